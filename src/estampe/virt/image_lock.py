"""QEMU's image locks, taken from here: they keep a server from being started while its volumes are read.

A read-only `qemu-nbd` fences a qcow2 volume by itself (its format driver does not share writing), but not a raw one: two
QEMU processes may have the same raw file open, one writing, one reading. So the fence is taken here, for both alike.

The protocol (QEMU block/file-posix.c, since 2.10): open-file-description locks, shared, on single bytes of the image:

    byte 100 + n   "I use permission n"          permissions: 0 consistent read, 1 write, 2 write unchanged, 3 resize
    byte 200 + n   "I do not share permission n"

Locks belong to a file's inode. A block device has one for each of its nodes, and libvirt gives each QEMU nodes of its own:
there `device_fence` does what this cannot.

Whoever wants permission n tests that nobody holds byte 200 + n; whoever does not share it, that nobody holds 100 + n. A lock ends with the process that holds it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from typing import Final

from estampe import errors

_USED_BASE: Final = 100
_UNSHARED_BASE: Final = 200
_WRITE: Final = 1
_RESIZE: Final = 3
# From linux/fcntl.h: Python 3.11's fcntl module does not know them.
_F_OFD_GETLK: Final = 36
_F_OFD_SETLK: Final = 37
_FLOCK: Final = struct.Struct("hhqqi4x")  # l_type, l_whence, l_start, l_len, l_pid; padded as on 64-bit Linux


@contextlib.contextmanager
def fence(paths: Sequence[str]) -> Iterator[None]:
    """While it is held, no QEMU can write to or resize the images at `paths`; others may read them.

    Raises: errors.VolumeLocked where one writes now, errors.VolumeGone.
    """
    with contextlib.ExitStack() as held:
        for path in paths:
            held.enter_context(_hold(path, uses=(), unshared=(_WRITE, _RESIZE)))
        yield


@contextlib.contextmanager
def write_alone(paths: Sequence[str]) -> Iterator[None]:
    """Hold the images at `paths` as a server that runs does: writing, and letting nobody else write.

    Raises: errors.VolumeLocked, errors.VolumeGone.
    """
    with contextlib.ExitStack() as held:
        for path in paths:
            held.enter_context(_hold(path, uses=(_WRITE,), unshared=(_WRITE,)))
        yield


@contextlib.contextmanager
def _hold(path: str, *, uses: Sequence[int], unshared: Sequence[int]) -> Iterator[None]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # shared locks need no more
    except OSError as error:
        raise errors.VolumeGone(volume=path, path=path, detail=error.strerror) from error
    try:
        for permission in uses:
            _take(descriptor, path, mine=_USED_BASE + permission)
        for permission in unshared:
            _take(descriptor, path, mine=_UNSHARED_BASE + permission)
        # Locked first, tested after, as QEMU does: of two that come at once, at least one sees the other.
        for permission in uses:
            _test(descriptor, path, theirs=_UNSHARED_BASE + permission, detail="it lets nobody else write")
        for permission in unshared:
            _test(descriptor, path, theirs=_USED_BASE + permission, detail="it may write to it")
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: str, *, mine: int) -> None:
    try:
        fcntl.fcntl(descriptor, _F_OFD_SETLK, _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, mine, 1, 0))
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            raise errors.VolumeLocked(path=path, detail="another program has it locked as a whole") from error
        raise errors.VolumeGone(volume=path, path=path, detail=error.strerror) from error


def _test(descriptor: int, path: str, *, theirs: int, detail: str) -> None:
    """GETLK with an exclusive lock tells any lock of another open file description, and takes none."""
    answer = fcntl.fcntl(descriptor, _F_OFD_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, theirs, 1, 0))
    if _FLOCK.unpack(answer)[0] != fcntl.F_UNLCK:
        raise errors.VolumeLocked(path=path, detail=detail)
