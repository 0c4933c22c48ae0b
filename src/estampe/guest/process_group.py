"""A child's process group seen from outside: who is in it, and whether all are gone."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_POLL_SECONDS: Final = 0.02
_GONE_SECONDS: Final = 10.0  # SIGKILL takes effect at once but for a process in uninterruptible I/O


class ProcessGroup:
    """The group led by `leader`, which `process.start` made."""

    def __init__(self, leader: int) -> None:
        self._leader = leader

    def members(self) -> list[int]:
        """Its processes, without zombies: those hold nothing any more, and whoever is their parent may never ask for them."""
        return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit() and self._holds(entry)]

    def _holds(self, entry: Path) -> bool:
        """proc(5), /proc/pid/stat: `pid (name) state ppid pgrp ...`; the name may hold anything, so from the last bracket on."""
        try:
            state, _parent, group, *_rest = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):  # ended meanwhile
            return False
        return state != "Z" and int(group) == self._leader

    def command_lines(self) -> list[bytes]:
        """Their arguments, each ended by a NUL."""
        lines = []
        for pid in self.members():
            with contextlib.suppress(OSError):
                lines.append((_PROC / str(pid) / "cmdline").read_bytes())
        return lines

    def wait_gone(self) -> bool:
        """Wait until no member is left, after they were killed; False where some will not go."""
        deadline = time.monotonic() + _GONE_SECONDS
        while self.members():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True
