"""A daemon of one's own, and the command line that talks to it."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.support import corner, guests, shell

from estampe.client import client

PROGRAM = guests.REPOSITORY / ".venv/bin/estampe"
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class CommandFailed(Exception):
    """A command that ended with an error."""

    def __init__(self, status: int, problem: dict[str, Any], arguments: tuple[str, ...]) -> None:
        self.status, self.problem = status, problem
        super().__init__(f"estampe {' '.join(arguments)}: exit status {status}: {problem.get('detail')}")

    @property
    def code(self) -> str:
        """Of the error, as docs/reference/errors.md lists it."""
        return str(self.problem.get("code"))


@dataclass
class Installation:
    """Settings, the daemon under them, and its commands. Context manager: the daemon runs inside."""

    state_directory: Path
    run_directory: Path
    settings: dict[str, str] = field(default_factory=dict)  # name -> value, as ESTAMPE_NAME gets it
    _daemon: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.run_directory / "estampe.sock"

    @property
    def log(self) -> Path:
        return self.state_directory / "daemon.log"

    @property
    def environment(self) -> dict[str, str]:
        """What makes a command or a daemon one of this installation, and of no other."""
        return {
            "ESTAMPE_CONFIG": os.devnull,
            "ESTAMPE_STATE_DIRECTORY": str(self.state_directory),
            "ESTAMPE_RUN_DIRECTORY": str(self.run_directory),
            "ESTAMPE_SOCKET": str(self.socket),
            **{f"ESTAMPE_{name.upper()}": value for name, value in self.settings.items()},
        }

    @property
    def pid(self) -> int | None:
        """Of the running daemon."""
        return self._daemon.pid if self._daemon and self._daemon.poll() is None else None

    def served_by(self) -> int | None:
        """The process that holds the state directory's lock, ours or another's; None where no daemon works there."""
        path = self.state_directory / "lock"
        if not path.exists():
            return None
        with path.open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return next(pid for pid in _holding(path) if pid != os.getpid())
        return None

    def start(self, *, deadline_seconds: float = 90.0) -> None:
        """Start the daemon and wait until it answers. It ends when this process does, however that ends."""
        self.state_directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._daemon = subprocess.Popen(
                [PROGRAM, "serve"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment(),
                start_new_session=True, preexec_fn=_end_with_parent,  # noqa: PLW1509 - only calls prctl
            )  # fmt: skip
        shell.wait_for("the daemon", self._is_ready, deadline_seconds=deadline_seconds, poll_seconds=0.1)

    def _is_ready(self) -> bool:
        if self.pid is None:
            last = self.log.read_text(errors="replace").strip().splitlines()[-15:]
            raise shell.Failed("the daemon ended:\n" + "\n".join(last))
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.socket)) == 0

    def stop(self, *, deadline_seconds: float = 60.0) -> int:
        """SIGTERM, and SIGKILL at the deadline; the exit status."""
        if self._daemon is None:
            return 0
        self._daemon.send_signal(signal.SIGTERM)
        try:
            return self._daemon.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise shell.Failed(f"the daemon did not stop within {deadline_seconds:g} s") from None

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()

    def remove(self) -> None:
        """All that it kept; the daemon must not run."""
        for directory in (self.state_directory, self.run_directory):
            shutil.rmtree(directory, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def command(
        self, *arguments: str, deadline_seconds: float = 60.0, may_fail: bool = False, key: str | None = None
    ) -> Any:
        """The JSON document that a command prints; with `may_fail` also of one that has found something wrong.

        `key` is an API key: the command is then its account's, else the cloud operator's.

        Raises: CommandFailed, shell.Failed at the deadline.
        """
        try:
            done = subprocess.run(
                [PROGRAM, *arguments, "--output", "json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                env=self._environment() | ({} if key is None else {"ESTAMPE_KEY": key}), timeout=deadline_seconds, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise shell.Failed(f"estampe {' '.join(arguments)} did not end within {deadline_seconds:g} s") from error
        if done.returncode != 0 and not (may_fail and done.stdout):
            raise CommandFailed(done.returncode, _problem(done.stderr), arguments)
        return json.loads(done.stdout)

    def client(self) -> client.Client:
        """Context manager. Where a test must be quick: a command takes a second, and on a busy machine several."""
        return client.Client(self.socket)

    def wait_for_phase(self, operation_id: str, phase: str, *, deadline_seconds: float = 120.0) -> None:
        """Return as soon as the operation is in a phase that begins so. Raises: AssertionError where it ends before."""
        with self.client() as daemon:

            def is_there() -> bool:
                seen = daemon.get_operation(operation_id)
                assert not seen.state.has_ended, seen
                return seen.progress.phase.startswith(phase)

            shell.wait_for(
                f"the operation to be {phase}", is_there, deadline_seconds=deadline_seconds, poll_seconds=0.02
            )

    def argv(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """A command to be run by hand, and its environment."""
        return [str(PROGRAM), *arguments], self._environment()

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ESTAMPE_")}
        return kept | self.environment

    def has_kvm(self) -> bool:
        """By the doctor, who boots a probe; the answer is remembered in the state directory, for the daemon, too."""
        checks = self.command("doctor", deadline_seconds=120, may_fail=True)["checks"]
        return next(check["status"] == "ok" for check in checks if check["name"] == "KVM")


@contextlib.contextmanager
def working_in(place: corner.Corner, *, appliance: Path | None = None, **settings: str) -> Iterator[Installation]:
    """A running one, whose default pool and network are the corner's; it is gone at the end, its servers are not.

    `appliance` is where the appliance of all of a run's tests is kept; without it this one builds its own.
    """
    made = Installation(
        state_directory=place.directory / "state",
        run_directory=Path("/run") / place.prefix,
        settings={"default_pool": place.pool, "default_network": place.network, **settings},
    )
    try:
        if appliance is not None:
            share_appliance(appliance, made.state_directory)
        made.settings["accelerator"] = "kvm" if made.has_kvm() else "tcg"
        made.start()
        yield made
        made.stop()
    finally:
        made.kill()
        made.remove()


def share_appliance(appliance: Path, state_directory: Path) -> None:
    """Let a daemon that is yet to be started there launch the appliance that is kept here: to build it takes 10 s of CPU."""
    state_directory.mkdir(mode=0o711, parents=True)
    (state_directory / "appliance").symlink_to(appliance)


def _holding(path: Path) -> Iterator[int]:
    """Processes that have the file open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if link.samefile(path):
                yield int(link.parts[2])


def _end_with_parent() -> None:
    """In the child before exec: SIGTERM when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG)."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _problem(said: str) -> dict[str, Any]:
    try:
        found = json.loads(said)
    except ValueError:
        return {"detail": said.strip()}
    return found if isinstance(found, dict) else {"detail": said}
