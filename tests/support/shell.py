"""Programs with deadlines."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

URI = "qemu:///system"
T = TypeVar("T")


class Failed(Exception):
    """A program or a wait that did not end well."""


def run(argv: Sequence[str], *, deadline_seconds: float = 60.0) -> str:
    """Standard output. Raises: Failed, with what the program said."""
    try:
        done = subprocess.run(
            list(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=deadline_seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{argv[0]} did not end within {deadline_seconds:g} s: {' '.join(argv)}") from error
    if done.returncode != 0:
        raise Failed(f"{' '.join(argv)}: exit status {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def virsh(*arguments: str, deadline_seconds: float = 60.0) -> str:
    """What virsh prints. Raises: Failed."""
    return run(["virsh", "--quiet", "--connect", URI, *arguments], deadline_seconds=deadline_seconds).strip()


def wait_for(what: str, ask: Callable[[], T | None], *, deadline_seconds: float, poll_seconds: float = 0.5) -> T:
    """The first answer that is true. Raises: Failed at the deadline."""
    deadline = time.monotonic() + deadline_seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failed(f"waited {deadline_seconds:g} s in vain for {what}")
        time.sleep(poll_seconds)
