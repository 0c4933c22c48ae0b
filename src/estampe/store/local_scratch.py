"""Private directories for files that have no name yet, and the clearing of those whose process has died.

A live process holds an flock(2) on `tmp/<run>.lock`; the kernel drops it with the process, however that ends. The lock
file comes first and goes last, so that no directory is ever without one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from typing import Final, Self

_LOCK_SUFFIX: Final = ".lock"


class Scratch:
    """A new directory `tmp/<run>` of this process alone."""

    def __init__(self, tmp: str) -> None:
        self.path, self._lock_fd = _locked_name(tmp)
        try:
            os.mkdir(self.path, 0o700)
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the directory with all that is left in it; idempotent."""
        if self._lock_fd >= 0:
            _remove(self.path)
            os.close(self._lock_fd)
            self._lock_fd = -1


def _locked_name(tmp: str) -> tuple[str, int]:
    while True:
        path = f"{tmp}/{uuid.uuid4()}"
        fd = os.open(path + _LOCK_SUFFIX, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        if _try_lock(fd) and os.fstat(fd).st_nlink:
            return path, fd
        os.close(fd)  # somebody who clears took it between our open and our lock: take another name


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path + _LOCK_SUFFIX)


def clear_dead(tmp: str) -> int:
    """Remove the directories of processes that live no more; how many there were. Raises: OSError."""
    cleared = 0
    for name in os.listdir(tmp):
        if name.endswith(_LOCK_SUFFIX):
            cleared += _clear_if_dead(f"{tmp}/{name}")
    return cleared


def _clear_if_dead(lock: str) -> bool:
    try:
        fd = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        is_dead = _try_lock(fd)
        if is_dead:
            _remove(lock.removesuffix(_LOCK_SUFFIX))
        return is_dead
    finally:
        os.close(fd)
