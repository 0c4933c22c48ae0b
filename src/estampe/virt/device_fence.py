"""A fence around block devices: while one is read, the kernel refuses to write to it.

QEMU's image locks do not help here: libvirt gives each QEMU device nodes of its own in a mount namespace, and locks on one
node are not seen on another (libvirt 9.0, QEMU 7.2). The kernel's read-only mark (BLKROSET, ioctl(2), linux/fs.h) is the
device's own, whatever the node: every write is refused (EPERM), and QEMU, which looks at the mark when it opens a volume, does
not start a server meanwhile ("The device is not writable").

The mark outlives a killed process. So what was writable is recorded before (`writable`), and `release` takes the mark away
again, by whoever comes after.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from estampe import errors

_BLKROSET: Final = 0x125D
_BLKROGET: Final = 0x125E
_WRITE_MODES: Final = os.O_WRONLY | os.O_RDWR
_FLAGS: Final = re.compile(r"^flags:\s*([0-7]+)$", re.MULTILINE)


def writable(paths: Sequence[str]) -> list[str]:
    """Those that are not marked read-only now. Raises: errors.VolumeGone."""
    return [path for path in paths if not _get_mark(path)]


@contextlib.contextmanager
def fence(paths: Sequence[str]) -> Iterator[None]:
    """While it is held, the devices at `paths` cannot be written to; they were writable before.

    Raises: errors.VolumeLocked where a process has one open for writing, errors.VolumeGone.
    """
    _check_no_writer(paths)  # a running server must not meet the mark: its writes would fail
    with contextlib.ExitStack() as held:
        for path in paths:
            held.callback(release, [path])
            _set_mark(path, is_read_only=True)
        _check_no_writer(paths)  # one that opened it in between is seen now; one that comes later is refused
        yield


def _check_no_writer(paths: Sequence[str]) -> None:
    for path in paths:
        writer = find_writer(path)
        if writer is not None:
            raise errors.VolumeLocked(path=path, detail=f"process {writer} has it open for writing")


def release(paths: Sequence[str]) -> None:
    """Make the devices writable again; one that is gone is fine."""
    for path in paths:
        with contextlib.suppress(errors.VolumeGone):
            _set_mark(path, is_read_only=False)


def find_writer(path: str) -> int | None:
    """The pid of a process that has the device open for writing, under whatever name; mount namespaces hide nothing from proc(5).

    Raises: errors.VolumeGone.
    """
    try:
        device = Path(path).stat().st_rdev
    except OSError as error:
        raise errors.VolumeGone(volume=path, path=path, detail=error.strerror or str(error)) from error
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # it ended, or closed it
            found = descriptor.stat()
            if stat.S_ISBLK(found.st_mode) and found.st_rdev == device and _is_writing(descriptor):
                return int(descriptor.parts[2])
    return None


def _is_writing(descriptor: Path) -> bool:
    told = _FLAGS.search((descriptor.parent.parent / "fdinfo" / descriptor.name).read_text())
    return told is not None and bool(int(told[1], 8) & _WRITE_MODES)


def _get_mark(path: str) -> bool:
    with _opened(path) as descriptor:
        answer = fcntl.ioctl(descriptor, _BLKROGET, struct.pack("i", 0))
    return bool(struct.unpack("i", answer)[0])


def _set_mark(path: str, *, is_read_only: bool) -> None:
    with _opened(path) as descriptor:
        fcntl.ioctl(descriptor, _BLKROSET, struct.pack("i", int(is_read_only)))


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = -1
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        yield descriptor
    except OSError as error:
        raise errors.VolumeGone(volume=path, path=path, detail=error.strerror or str(error)) from error
    finally:
        if descriptor >= 0:
            os.close(descriptor)
