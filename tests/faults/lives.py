"""Daemons as a test holds them: begun, told what to do, killed, begun again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from estampe import errors

_DAEMON = Path(__file__).with_name("daemon.py")
_READY_SECONDS = 60.0
_WORK_SECONDS = 420.0  # of an operation: with a launch of the appliance, under full emulation on a busy host, minutes
_ANSWER_SECONDS = _WORK_SECONDS + 60.0
_DEATH_SECONDS = 60.0


class Killed(Exception):
    """The daemon ended while it was asked something, or was waited for."""


class Life:
    """One daemon's process."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(_ANSWER_SECONDS)
        self._connection = connection
        self._lines = connection.makefile("rwb")
        self.pid: int = json.loads(self._lines.readline())["pid"]

    def begin(self, settings: Mapping[str, Any], arms: Sequence[tuple[str, str, str]]) -> None:
        """Wire and launch. Raises: Killed where an arm went off during the launch."""
        told = [dict(zip(("step", "event", "act"), arm, strict=True)) for arm in arms]
        self.value_of(self._exchange({"settings": dict(settings), "arms": told}))

    def ask(self, do: str, **arguments: Any) -> Any:
        """The command's value. Raises: what the service raised; Killed."""
        return self.value_of(self._exchange({"do": do, **arguments}))

    @staticmethod
    def value_of(answer: dict[str, Any]) -> Any:
        """The value in an answer. Raises: the error in it."""
        if "error" in answer:
            raise errors.from_record(answer["error"])
        return answer["value"]

    def arm(self, step: str, event: str, act: str) -> None:
        self.ask("arm", step=step, event=event, act=act)

    def wait(self, operation_id: str, *, timeout_seconds: float = _WORK_SECONDS) -> dict[str, Any]:
        """The ended operation. Raises: AssertionError where it does not end, Killed."""
        told: dict[str, Any] = self.ask("wait", id=operation_id, timeout_seconds=timeout_seconds)
        assert told["has_ended"], told
        return told

    def wait_for_phase(self, operation_id: str, phase: str, *, timeout_seconds: float = 60.0) -> None:
        """Return as soon as the operation is in that phase."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            told = self.ask("wait", id=operation_id, timeout_seconds=0)
            if told["phase"].startswith(phase):
                return
            assert not told["has_ended"], told
            assert time.monotonic() < deadline, told
            time.sleep(0.02)

    def kill(self) -> None:
        """From outside, as `kill -9` does."""
        os.kill(self.pid, signal.SIGKILL)
        self.await_death()

    def await_death(self) -> None:
        """Return when an armed kill has gone off. Raises: TimeoutError where none does."""
        with contextlib.suppress(ConnectionError, ValueError):  # ValueError: closed, since an answer did not come
            while self._lines.readline():
                pass
        self._gone()

    def quit(self) -> None:
        """Stop cleanly, as SIGTERM does."""
        if self._lines.closed:
            return
        with contextlib.suppress(Killed):
            self.ask("quit")
        self._gone()

    def _exchange(self, said: dict[str, Any]) -> dict[str, Any]:
        try:
            self._lines.write(json.dumps(said).encode() + b"\n")
            self._lines.flush()
            line = self._lines.readline()
        except ConnectionError as error:
            raise Killed from error
        if not line:
            self._gone()
            raise Killed
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _gone(self) -> None:
        with contextlib.suppress(OSError):
            self._lines.close()
        self._connection.close()
        deadline = time.monotonic() + _DEATH_SECONDS
        while Path(f"/proc/{self.pid}").exists():
            assert time.monotonic() < deadline, f"the daemon {self.pid} does not end"
            time.sleep(0.005)


class Lives:
    """Begins daemons, one life after the other or several at once."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path
        self._begun: list[Life] = []

    def begin(self, settings: Mapping[str, Any], *arms: tuple[str, str, str]) -> Life:
        """A new daemon, its cut-off operations under way. Raises: Killed where an arm went off at once."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self._socket_path))
        life = Life(connection)
        self._begun.append(life)
        life.begin(settings, arms)
        return life

    def end_all(self) -> None:
        """Kill whatever still lives."""
        for life in self._begun:
            with contextlib.suppress(ProcessLookupError):
                os.kill(life.pid, signal.SIGKILL)
            life._gone()
        self._begun.clear()


@contextlib.contextmanager
def started(log: Path) -> Iterator[Lives]:
    """The process that forks the daemons; what they log goes to `log`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ESTAMPE_")}
    environment["ESTAMPE_CONFIG"] = os.devnull
    with tempfile.TemporaryDirectory(prefix="estampe-faults-") as directory, log.open("ab") as stderr:
        path = Path(directory) / "daemon.sock"
        parent = subprocess.Popen([sys.executable, _DAEMON, path], stderr=stderr, env=environment)
        try:
            _wait_until_listening(parent, path)
            lives = Lives(path)
            yield lives
            lives.end_all()
        finally:
            parent.kill()
            parent.wait()


def _wait_until_listening(parent: subprocess.Popen[bytes], path: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.connect(str(path))
            return
        assert parent.poll() is None, "the daemon's process ended"
        assert time.monotonic() < deadline, "the daemon's process does not listen"
        time.sleep(0.05)
