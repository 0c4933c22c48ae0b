"""One appliance launch, from outside: a child process with a deadline, ended with all it started."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

from estampe import errors, process
from estampe.guest import base, overlay, process_group, protocol, text

Drive = protocol.Drive
Job = protocol.Job

_WORKER: Final = (sys.executable, "-m", "estampe.guest.worker")
_POLL_SECONDS: Final = 0.25  # how late a cancel or the deadline is seen
_MOST_SAID_BYTES: Final = 16 * 1024 * 1024  # by the worker, in all
_TAIL_BYTES: Final = 4096
# Emulated, the appliance's kernel switches at each copy from and to a program between two views of memory, which takes QEMU 5 of
# the 19 s of CPU of a launch (QEMU 7.2, Linux 6.1). What SMAP keeps the kernel from is programs of an attacker, and in the
# appliance run none: what a stranger wrote are file systems.
_EMULATED_KERNEL_ARGUMENTS: Final = "nosmap"


def finish(
    job: Job,
    *,
    is_kvm_usable: bool,
    work_directory: Path,
    deadline_seconds: float = 300.0,
    check_cancelled: Callable[[], None],
    tell: Callable[[str], None] = lambda _text: None,
    cache_directory: Path | None = None,
    worker: Sequence[str] = _WORKER,
) -> base.Finished:
    """Inspect, seal and trim the guest on the job's overlays over its copied volumes.

    What is wrong with the guest is told in the result (`sealing.why_not`), and the overlays are then to be thrown away. The
    overlays' backing must be served until this returns. `cache_directory` keeps the built appliance (400 MB) for the next
    launch; without one it is built each time, in `work_directory` (some 10 s). `check_cancelled` raises to end it.

    Raises: errors.ApplianceFailed (it did not start, broke down, or took longer than the deadline), what `check_cancelled`
        raises. Nothing it started is left then.
    """
    finished = _launch(
        job,
        base.Finished,
        env=_environment(is_kvm_usable, work_directory, cache_directory),
        work_directory=work_directory,
        deadline_seconds=deadline_seconds,
        check_cancelled=check_cancelled,
        tell=tell,
        worker=worker,
    )
    freed = sum(overlay.freed_bytes(drive.overlay) for drive in job.drives) if finished.is_overlay_usable else 0
    return dataclasses.replace(finished, sealing=dataclasses.replace(finished.sealing, trimmed_bytes=freed))


def adapt(
    job: Job,
    *,
    is_kvm_usable: bool,
    work_directory: Path,
    deadline_seconds: float,
    check_cancelled: Callable[[], None],
    tell: Callable[[str], None] = lambda _text: None,
    cache_directory: Path | None = None,
    worker: Sequence[str] = _WORKER,
) -> base.Adapted:
    """Do a job that has an adaptation, on overlays over what a new server's volumes are to hold. Otherwise as `finish`.

    Raises: errors.ApplianceFailed for whatever could not be done, too: the overlays are then to be thrown away.
    """
    return _launch(
        job,
        base.Adapted,
        env=_environment(is_kvm_usable, work_directory, cache_directory),
        work_directory=work_directory,
        deadline_seconds=deadline_seconds,
        check_cancelled=check_cancelled,
        tell=tell,
        worker=worker,
    )


_Outcome = TypeVar("_Outcome", base.Finished, base.Adapted)


def _launch(
    job: protocol.Job,
    kind: type[_Outcome],
    *,
    env: dict[str, str],
    work_directory: Path,
    deadline_seconds: float,
    check_cancelled: Callable[[], None],
    tell: Callable[[str], None],
    worker: Sequence[str],
) -> _Outcome:
    with _running(worker, job, env, work_directory) as running:
        listening = _Listening(running.output, check_cancelled, time.monotonic() + deadline_seconds)
        outcome = listening.outcome(tell)
        if outcome is None and listening.is_too_late:
            raise errors.ApplianceFailed(detail=f"it did not finish within {deadline_seconds:g} s and was ended")
        if outcome is None:
            raise errors.ApplianceFailed(detail=_why_silent(running.child, work_directory))
        if not isinstance(outcome, kind):
            raise errors.ApplianceFailed(detail="its worker did another job than it was given")
    return outcome


class _Listening:
    """Hears the worker out, until its outcome, its end, or the deadline."""

    def __init__(self, fd: int, check_cancelled: Callable[[], None], deadline: float) -> None:
        self._fd = fd
        self._check_cancelled, self._deadline = check_cancelled, deadline
        self.is_too_late = False

    def outcome(self, tell: Callable[[str], None]) -> base.Finished | base.Adapted | None:
        """None where it ended, or had to be given up, without one. Raises: errors.ApplianceFailed that the worker said."""
        for line in self._lines():
            said = protocol.decode_line(line)
            if not isinstance(said, str):
                return said
            tell(said)
        return None

    def _lines(self) -> Iterator[bytes]:
        heard, total = b"", 0
        for data in self._pieces():
            total += len(data)
            if total > _MOST_SAID_BYTES:
                raise errors.ApplianceFailed(detail="its worker said too much")
            *lines, heard = (heard + data).split(b"\n")
            yield from lines

    def _pieces(self) -> Iterator[bytes]:
        with selectors.DefaultSelector() as selector:
            selector.register(self._fd, selectors.EVENT_READ)
            while True:
                self._check_cancelled()
                if time.monotonic() > self._deadline:
                    self.is_too_late = True
                    return
                if not selector.select(_POLL_SECONDS):
                    continue
                data = os.read(self._fd, 65536)
                if not data:
                    return
                yield data


@dataclasses.dataclass(frozen=True, slots=True)
class _Running:
    child: subprocess.Popen[bytes]
    output: int  # what the worker says


@contextlib.contextmanager
def _running(worker: Sequence[str], job: Job, env: dict[str, str], work_directory: Path) -> Iterator[_Running]:
    """The worker, with its job; ended with QEMU and whatever else it started."""
    told = work_directory / "appliance-job.json"
    _write_private(told, protocol.encode_job(job))  # keys, hashes of passwords
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb", buffering=0), told.open("rb") as stdin, _log(work_directory).open("wb") as log:
        try:
            child = process.start(worker, env=env, stdin=stdin.fileno(), stdout=theirs, stderr=log.fileno())
        finally:
            os.close(theirs)
        group = process_group.ProcessGroup(child.pid)
        try:
            yield _Running(child, ours)
        finally:
            leftovers = [*_socket_directories(group), env["TMPDIR"]]
            process.end(child)
            group.wait_gone()
            for directory in leftovers:
                shutil.rmtree(directory, ignore_errors=True)


def _write_private(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)


_SOCKET_DIRECTORY: Final = re.compile(rb"path=(/[^,\0]*/libguestfs\w{6})/")


def _socket_directories(group: process_group.ProcessGroup) -> set[str]:
    """Where libguestfs put its sockets, by QEMU's command line: a killed worker leaves them, and for root they are always in /tmp."""
    return {found.decode() for line in group.command_lines() for found in _SOCKET_DIRECTORY.findall(line)}


def _environment(is_kvm_usable: bool, work_directory: Path, cache_directory: Path | None) -> dict[str, str]:
    """Ours, with libguestfs set up for one launch.

    Started directly, without libvirt; and under full emulation where KVM does not work, since libguestfs takes /dev/kvm by
    itself, and waits for ever for an appliance that does not come up under it.
    """
    work_directory.mkdir(parents=True, exist_ok=True)
    temporary, cache = work_directory / "appliance-tmp", cache_directory or work_directory / "appliance-cache"
    for directory in (temporary, cache):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIBGUESTFS_")}
    return kept | {
        "LIBGUESTFS_BACKEND": "direct",
        "LIBGUESTFS_BACKEND_SETTINGS": "" if is_kvm_usable else "force_tcg",
        "LIBGUESTFS_APPEND": "" if is_kvm_usable else _EMULATED_KERNEL_ARGUMENTS,
        "LIBGUESTFS_TMPDIR": str(temporary),
        "LIBGUESTFS_CACHEDIR": str(cache),
        "TMPDIR": str(temporary),
        "LC_ALL": "C.UTF-8",
    }


def _log(work_directory: Path) -> Path:
    return work_directory / "appliance.log"


def _why_silent(child: subprocess.Popen[bytes], work_directory: Path) -> str:
    try:
        status = child.wait(1)
    except subprocess.TimeoutExpired:
        return "its worker closed its output without a word"
    lines = _log(work_directory).read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip().splitlines()
    return text.plain(f"its worker ended (status {status}): {lines[-1] if lines else 'no message'}")
