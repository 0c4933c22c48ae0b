"""Child processes with deadlines, ended as a group, dying with their parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from estampe import errors

_PR_SET_PDEATHSIG: Final = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    """In the child before exec: SIGKILL when the parent thread's process ends (prctl(2), PR_SET_PDEATHSIG)."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def find_program(program: str, *, package: str) -> str:
    """The program's path. Raises: errors.ProgramMissing."""
    path = shutil.which(program)
    if path is None:
        raise errors.ProgramMissing(program=program, package=package)
    return path


def start(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE, pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:  # fmt: skip
    """Start a child in a session (process group) of its own that dies with this process. End it with `end`.

    PR_SET_PDEATHSIG fires when the *thread* that forked ends, so call this from a thread that lives as long as the child
    is wanted.
    """
    return subprocess.Popen(
        list(argv), stdin=stdin, stdout=stdout, stderr=stderr, env=None if env is None else dict(env),
        start_new_session=True, pass_fds=tuple(pass_fds), preexec_fn=_die_with_parent,  # noqa: PLW1509 - only calls prctl
    )  # fmt: skip


def end(child: subprocess.Popen[bytes], *, grace_seconds: float = 2.0) -> None:
    """End the child's whole group: SIGTERM, then SIGKILL after the grace; returns when it is reaped."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace_seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream is not None:
            stream.close()


def run(
    argv: Sequence[str], *, deadline_seconds: float, env: Mapping[str, str] | None = None, data: bytes | None = None,
    stdout: int = subprocess.PIPE,
) -> bytes:  # fmt: skip
    """Run to the end and return standard output; nothing where `stdout` is a file's descriptor.

    Raises: errors.DeadlineExceeded (the group is killed), errors.ProcessFailed (with the last line of standard error).
    """
    stdin = subprocess.DEVNULL if data is None else subprocess.PIPE
    child = start(argv, env=env, stdin=stdin, stdout=stdout)
    try:
        out, err = child.communicate(data, timeout=deadline_seconds)
    except subprocess.TimeoutExpired as error:
        raise errors.DeadlineExceeded(what=Path(argv[0]).name, seconds=deadline_seconds) from error
    finally:
        end(child, grace_seconds=0)
    if child.returncode != 0:
        lines = err.decode(errors="replace").strip().splitlines() or ["no message"]
        raise errors.ProcessFailed(program=Path(argv[0]).name, status=child.returncode, detail=lines[-1][:500])
    return out or b""
