"""Making files durable on Linux, and the operating system's errors as Estampe's."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
from collections.abc import Iterator
from typing import Final

from estampe import errors, units

_libc = ctypes.CDLL(None, use_errno=True)  # a CDLL call releases the GIL

# syncfs(2): before Linux 5.8 it reported no failed writeback, so a torn body could have been given its id.
_SYNCFS_REPORTS_SINCE: Final = (5, 8)
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def require_syncfs(release: str | None = None) -> None:
    """Refuse a kernel whose syncfs(2) hides write errors. Raises: errors.KernelTooOld."""
    release = release or platform.release()
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    if numbers < _SYNCFS_REPORTS_SINCE:
        needed = ".".join(map(str, _SYNCFS_REPORTS_SINCE))
        raise errors.KernelTooOld(release=release, needed=needed, why="a local store needs its syncfs(2)")


def syncfs(fd: int) -> None:
    """Write out everything of the file system that `fd` lies on, and wait.

    Raises: OSError, also where any file of that file system could not be written back since `fd` was opened or since the
    last call on it (syncfs(2), Linux >= 5.8). Each error is told to each open file once: keep one `fd` per consumer, opened
    before its first write.
    """
    if _libc.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def sync_file_system(path: str) -> None:
    """`syncfs` of the file system that `path` lies on, for what must be durable once and for all. Raises: OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syncfs(fd)
    finally:
        os.close(fd)


def write_file(path: str, data: bytes, *, is_synced: bool) -> None:
    """Write a new file, readable by its owner only. Raises: OSError (then no file is left)."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        rest = memoryview(data)
        while rest:  # a write may be short: at 2 GiB, or where the space ends just here (the next one then says ENOSPC)
            rest = rest[os.write(fd, rest) :]
        if is_synced:
            os.fsync(fd)
    except OSError:
        os.unlink(path)
        raise
    finally:
        os.close(fd)


@contextlib.contextmanager
def store_errors(where: str, action: str, *, needed_bytes: int = 0) -> Iterator[None]:
    """Turn OSErrors inside into errors.NoSpace and errors.StoreUnavailable."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            needed = units.format_bytes(needed_bytes) + " more" if needed_bytes else "more"
            available = units.format_bytes(_available_bytes(where))
            raise errors.NoSpace(where=f"the store at {where}", needed=needed, available=available) from error
        raise errors.StoreUnavailable(where=where, action=action, detail=error.strerror or str(error)) from error


def _available_bytes(path: str) -> int:
    try:
        state = os.statvfs(path)
    except OSError:
        return 0
    return state.f_bavail * state.f_frsize
