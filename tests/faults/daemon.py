"""The daemon as the fault tests run it: wired as `estampe serve` wires it, without HTTP, killed by itself at a named place.

    daemon.py SOCKET

To import the engine takes three seconds, so one process does it once, and forks a daemon for each connection to SOCKET: a
life. It is an ordinary process from then on: threads, children, files and locks are its own, and SIGKILL takes it alone.

    it says      {"pid": ...}
    first line   {"settings": {...}, "arms": [...]}      wire and launch (what was cut off goes on), then answer
    more lines   {"do": NAME, ...}                       one of `Commands`; answered by {"value": ...} or {"error": record}
    arm          {"step": "copy", "event": "begin", "act": "kill" | "cancel" | "hold"}

Each arm goes off once, at the first operation that comes by.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent import futures
from typing import Any

from estampe import config, errors, wiring
from estampe.capture import request as capture_request
from estampe.deploy import request as deploy_request
from estampe.jobs import progress
from estampe.model import account, listing, operation, record

_log = logging.getLogger("daemon")
OWNER = account.DEFAULT_ACCOUNT_ID
# An operation looks for a cancel so often, and no oftener: after this long its next look sees one that was asked for.
_HEARD_SECONDS = progress.POLL_INTERVAL_SECONDS + 0.05
_ENDS_SECONDS = 2.0


class Observer:
    """Keeps what it is told of, and does what was armed for it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.cancel: Callable[[uuid.UUID], object] = lambda _id: None
        self.released = threading.Event()
        self._arms: list[dict[str, str]] = []
        self._lock = threading.Lock()

    def arm(self, step: str, event: str, act: str) -> None:
        with self._lock:
            self._arms.append({"step": step, "event": event, "act": act})

    def __call__(self, operation_id: uuid.UUID, step: str, event: str) -> None:
        self.seen.append((str(operation_id), step, event))
        for act in self._due(step, event):
            if act == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif act == "cancel":
                self.cancel(operation_id)
                time.sleep(_HEARD_SECONDS)
            else:
                self.released.wait()

    def _due(self, step: str, event: str) -> list[str]:
        with self._lock:
            due = [arm for arm in self._arms if (arm["step"], arm["event"]) == (step, event)]
            self._arms = [arm for arm in self._arms if arm not in due]
        return [arm["act"] for arm in due]


class Commands:
    """What a test may ask of a daemon: the services' calls, by the names that people know."""

    def __init__(self, installation: wiring.Installation, observer: Observer) -> None:
        self._installation, self._services, self._observer = installation, installation.services, observer

    def arm(self, *, step: str, event: str, act: str) -> None:
        self._observer.arm(step, event, act)

    def release(self) -> None:
        """Let go on what an arm holds, and whatever it would hold later."""
        self._observer.released.set()

    def trace(self) -> list[tuple[str, str, str]]:
        """(operation, step, event), in order, of this life."""
        return self._observer.seen

    def capture(self, **request: Any) -> str:
        asked = capture_request.CaptureRequest(**request)
        return str(self._services.captures.start(OWNER, asked).id)

    def deploy(self, **request: Any) -> str:
        return str(self._services.deployments.start(OWNER, record.load(deploy_request.DeployRequest, request)).id)

    def check(self) -> str:
        return str(self._services.storage.check(OWNER, sample=1).id)

    def sweep(self, *, grace_seconds: float) -> str:
        return str(self._services.storage.sweep(OWNER, is_dry_run=False, grace_seconds=grace_seconds).id)

    def cancel(self, *, id: str) -> None:
        self._services.operations.cancel(OWNER, id)

    def wait(self, *, id: str, timeout_seconds: float) -> dict[str, Any]:
        """The operation when it has ended, or after the time."""
        deadline, seen = time.monotonic() + timeout_seconds, None
        while True:
            found = self._services.operations.wait(
                OWNER, id, timeout_seconds=max(0.0, deadline - time.monotonic()), seen=seen
            )
            if found.state.has_ended or time.monotonic() >= deadline:
                return _told(found)
            seen = found.change_token

    def operations(self) -> list[dict[str, Any]]:
        """All, the newest first."""
        return [_told(each) for each in self._services.operations.list(OWNER, listing.OperationQuery(limit=1000)).items]

    def unfinished(self) -> list[str]:
        """Of the rows as of the engine: both must be empty when nothing is to do."""
        rows = {str(row.id) for row in self._installation.rows.list_unfinished()}
        return sorted(rows | {str(each) for each in self._installation.engine.list_unfinished()})

    def locks(self) -> list[str]:
        return [held.key for held in self._installation.rows.locks_held()]

    def templates(self) -> dict[str, str]:
        """State by id."""
        found = self._services.templates.list(OWNER, listing.TemplateQuery(limit=1000)).items
        return {str(each.template.id): str(each.template.state) for each in found}

    def delete_template(self, *, template: str) -> None:
        self._services.life.delete(OWNER, template, by="a test")

    def servers(self) -> list[str]:
        return [each.name for each in self._services.servers.list(OWNER, listing.ServerQuery(limit=1000)).items]

    def delete_server(self, *, server: str) -> None:
        self._services.servers.delete(OWNER, server, is_volumes_deleted=True, is_forced=True)

    def together(self, *, commands: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """All at once, each in a thread of its own that waits for the others before it begins."""
        barrier = threading.Barrier(len(commands))

        def run(command: dict[str, Any]) -> dict[str, Any]:
            barrier.wait()
            return self.answer(command)

        with futures.ThreadPoolExecutor(len(commands)) as pool:
            return list(pool.map(run, commands))

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        asked = dict(command)
        try:
            return {"value": getattr(self, asked.pop("do"))(**asked)}
        except errors.EstampeError as error:
            return {"error": error.to_record()}


def _told(found: operation.Operation) -> dict[str, Any]:
    return {
        "id": str(found.id), "kind": str(found.kind), "state": str(found.state), "has_ended": found.state.has_ended,
        "phase": found.progress.phase, "done_bytes": found.progress.done_bytes, "result": found.result, "error": found.error,
    }  # fmt: skip


def live(connection: socket.socket) -> None:
    """One daemon's life: until `quit`, the end of its input, or a kill."""
    with connection.makefile("rwb") as lines:

        def say(answer: dict[str, Any]) -> None:
            lines.write(json.dumps(answer).encode() + b"\n")
            lines.flush()

        say({"pid": os.getpid()})
        first = json.loads(lines.readline())
        observer = Observer()
        for arm in first["arms"]:
            observer.arm(**arm)
        installation = wiring.install(config.load(**first["settings"]), observer=observer)
        observer.cancel = lambda of: installation.services.operations.cancel(OWNER, str(of))
        installation.launch()
        say({"value": None})
        commands = Commands(installation, observer)
        for line in lines:
            command = json.loads(line)
            if command["do"] == "quit":
                installation.close()
                say({"value": None})
                break
            say(commands.answer(command))


def main(path: str) -> None:
    """Fork a life for each connection; the parent never runs a thread, so a fork copies nothing half done."""
    logging.basicConfig(
        stream=sys.stderr, level="INFO", format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
    )
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                try:
                    live(connection)
                except (ConnectionError, json.JSONDecodeError):  # whoever asked has gone
                    pass
                except Exception:  # noqa: BLE001 - the edge of the process
                    _log.exception("the daemon broke down")
                finally:
                    os._exit(0)  # as the daemon ends: without waiting for a step's thread
            connection.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1])
