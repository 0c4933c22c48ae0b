"""The daemon without its socket, driven line by line: what `estampe serve` does in its own process, timed from outside.

Reads JSON lines {"capture": {...}} or {"deploy": {...}} or {"memory": true}; answers one line each.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from estampe import config, wiring
from estampe.capture import request as captures
from estampe.deploy import request as deploys
from estampe.model import account, operation, record


def peak_bytes() -> int:
    """The largest resident set so far (VmHWM, proc(5))."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def run(installation: wiring.Installation, command: dict[str, Any]) -> dict[str, Any]:
    owner, services = account.DEFAULT_ACCOUNT_ID, installation.services
    if "memory" in command:
        return {"peak_bytes": peak_bytes()}
    begun = time.monotonic()
    if "capture" in command:
        started = services.captures.start(owner, record.load(captures.CaptureRequest, command["capture"]))
    else:
        started = services.deployments.start(owner, record.load(deploys.DeployRequest, command["deploy"]))
    now = follow(installation, str(started.id))
    return {"seconds": time.monotonic() - begun, "state": now.state, "result": now.result, "error": now.error}


def warm_up(installation: wiring.Installation) -> None:
    """One operation before the first that counts: on a database just made, the engine takes a second more to begin once."""
    begun = installation.services.storage.check(account.DEFAULT_ACCOUNT_ID, sample=1)
    follow(installation, str(begun.id))


def follow(installation: wiring.Installation, operation_id: str) -> operation.Operation:
    """The operation at its end."""
    seen = None
    while True:
        now = installation.services.operations.wait(
            account.DEFAULT_ACCOUNT_ID, operation_id, timeout_seconds=60, seen=seen
        )
        if now.state.has_ended:
            return now
        seen = now.change_token


def main() -> None:
    installation = wiring.install(config.load(**json.loads(sys.argv[1])))
    installation.launch()
    warm_up(installation)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(run(installation, json.loads(line))), flush=True)
    installation.close()


if __name__ == "__main__":
    main()
