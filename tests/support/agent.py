"""Asking a guest itself, through its agent. https://www.qemu.org/docs/master/interop/qemu-ga-ref.html"""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from tests.support import shell


def ask(domain: str, command: str, arguments: dict[str, Any] | None = None, *, timeout_seconds: int = 10) -> Any:
    """The agent's `return`. Raises: shell.Failed."""
    request = json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})})
    answer = shell.virsh(
        "qemu-agent-command", domain, request, "--timeout", str(timeout_seconds), deadline_seconds=timeout_seconds + 20
    )
    return json.loads(answer)["return"]


def answers(domain: str) -> bool:
    """Whether it does now."""
    try:
        ask(domain, "guest-ping", timeout_seconds=3)
    except shell.Failed:
        return False
    return True


def run(domain: str, script: str, *, deadline_seconds: float = 60.0) -> str:
    """Standard output of a shell script run in the guest as root. Raises: shell.Failed, with what it said."""
    arguments = {"path": "/bin/sh", "arg": ["-euc", script], "capture-output": True}
    pid = ask(domain, "guest-exec", arguments)["pid"]
    deadline = time.monotonic() + deadline_seconds
    while True:
        status = ask(domain, "guest-exec-status", {"pid": pid})
        if status["exited"]:
            break
        if time.monotonic() > deadline:
            raise shell.Failed(f"a script in {domain} did not end within {deadline_seconds:g} s: {script[:80]}")
        time.sleep(0.3)
    said = {name: base64.b64decode(status.get(f"{name}-data", "")).decode() for name in ("out", "err")}
    if status.get("exitcode") != 0:
        raise shell.Failed(f"a script in {domain} failed ({status.get('exitcode')}): {said['err'] or said['out']}")
    return said["out"]
