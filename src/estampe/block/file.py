"""Raw volumes: files and block devices read and written in place.

Extents of a file come from lseek(2) SEEK_DATA / SEEK_HOLE. A block device knows no holes: all of it is data.

A volume is whole sectors of 512 bytes. Of a file that is not, QEMU makes whole ones, zeros past its end (block/file-posix.c,
raw_co_getlength; block.c, bdrv_co_preadv): so the guest sees it, and so it is read here.

    file    |##########|
    volume  |##########.....|     to the next sector
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from typing import Final, Self

from estampe import errors
from estampe.model import extent

_SECTOR_BYTES: Final = 512
_FALLOC_FL_KEEP_SIZE: Final = 0x01
_FALLOC_FL_PUNCH_HOLE: Final = 0x02
_BLKGETSIZE64: Final = 0x80081272  # ioctl(2), linux/fs.h: size of a block device in bytes
_BLKZEROOUT: Final = 0x127F  # ioctl(2), linux/fs.h: zero a range; the kernel unmaps where the device can
_ZEROS: Final = bytes(1 << 20)
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def _translated(action: str, where: str, offset: int, length: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _translate(error, action, where, offset, length) from error


def _translate(error: OSError, action: str, where: str, offset: int, length: int) -> errors.EstampeError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return errors.NoSpace(where=where, needed=f"{length} more bytes", available="none")
    detail = error.strerror or str(error)
    return errors.BlockIOFailed(action=action, length=length, offset=offset, where=where, detail=detail)


class _RawVolume:
    """An open file descriptor with its size; common to reader and writer."""

    def __init__(self, path: str, flags: int) -> None:
        self._path = path
        try:
            self._fd = os.open(path, flags | os.O_CLOEXEC)
        except OSError as error:
            raise _translate(error, "opening", path, 0, 0) from error
        mode = os.fstat(self._fd).st_mode
        self._is_device = stat.S_ISBLK(mode)
        if not (self._is_device or stat.S_ISREG(mode)):
            self.close()
            raise errors.BlockIOFailed(
                action="opening", length=0, offset=0, where=path, detail="it is neither a file nor a block device"
            )
        self._held = self._device_size() if self._is_device else os.fstat(self._fd).st_size  # bytes that there are
        self._size = -(-self._held // _SECTOR_BYTES) * _SECTOR_BYTES

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def size_bytes(self) -> int:
        """The volume's size."""
        return self._size

    def _device_size(self) -> int:
        answer = bytearray(8)
        fcntl.ioctl(self._fd, _BLKGETSIZE64, answer)
        return int(struct.unpack("<Q", answer)[0])

    def _check(self, action: str, offset: int, length: int) -> None:
        if offset < 0 or offset + length > self._size:
            detail = f"outside the volume of {self._size} bytes"
            raise errors.BlockIOFailed(action=action, length=length, offset=offset, where=self._path, detail=detail)

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class FileReader(_RawVolume):
    """A raw volume open for reading, through the page cache (a volume that was just in use is warm there)."""

    def __init__(self, path: str) -> None:
        super().__init__(path, os.O_RDONLY)

    def extents(self, offset: int = 0, length: int | None = None) -> Iterator[extent.Extent]:
        """Data and holes as the file system tells."""
        end = self._size if length is None else offset + length
        self._check("listing", offset, end - offset)
        if self._is_device:
            yield from [extent.Extent(offset, end - offset, extent.Kind.DATA)] if end > offset else []
            return
        while offset < end:
            start = min(self._seek(offset, os.SEEK_DATA), end)
            if start > offset:
                yield extent.Extent(offset, start - offset, extent.Kind.HOLE)
            stop = min(self._seek(start, os.SEEK_HOLE), end) if start < end else end
            if stop > start:
                yield extent.Extent(start, stop - start, extent.Kind.DATA)
            offset = max(stop, start)

    def _seek(self, offset: int, whence: int) -> int:
        try:
            return os.lseek(self._fd, offset, whence)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing of that kind up to the end
                return self._size
            raise _translate(error, "listing", self._path, offset, 0) from error

    def read(self, offset: int, length: int) -> bytes:
        """Pread, whole; zeros between the file's end and the volume's."""
        self._check("reading", offset, length)
        held = min(length, max(0, self._held - offset))
        with _translated("reading", self._path, offset, length):
            data = os.pread(self._fd, held, offset)
            while len(data) < held:  # a signal, or a file that was cut short under us
                data += self._read_more(offset + len(data), held - len(data))
        return data if held == length else data + bytes(length - held)

    def _read_more(self, offset: int, length: int) -> bytes:
        more = os.pread(self._fd, length, offset)
        if not more:
            raise OSError(errno.EIO, "the volume became shorter")
        return more


class FileWriter(_RawVolume):
    """A raw volume open for writing.

    `is_zeroed` is the caller's knowledge: a file just made reads as zeros, a block device holds what was there before.
    """

    def __init__(self, path: str, *, is_zeroed: bool) -> None:
        super().__init__(path, os.O_RDWR)
        self._is_zeroed = is_zeroed

    @property
    def is_zeroed(self) -> bool:
        """Whether every byte read as zero at the beginning."""
        return self._is_zeroed

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Pwrite, whole."""
        self._check("writing", offset, len(data))
        view = memoryview(data)
        with _translated("writing", self._path, offset, len(data)):
            while view:
                done = os.pwrite(self._fd, view, offset)
                offset, view = offset + done, view[done:]

    def zero(self, offset: int, length: int) -> None:
        """Punch a hole (file), or have the kernel zero the range (block device); plain writes where neither works."""
        self._check("zeroing", offset, length)
        if length == 0:
            return
        if self._is_device:
            done = self._zero_device(offset, length)
        else:
            flags = _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE
            done = _libc.fallocate(self._fd, flags, ctypes.c_int64(offset), ctypes.c_int64(length)) == 0
        if not done:
            self._write_zeros(offset, length)

    def _zero_device(self, offset: int, length: int) -> bool:
        if offset % 512 or length % 512:
            return False
        try:
            fcntl.ioctl(self._fd, _BLKZEROOUT, struct.pack("<QQ", offset, length))
        except OSError:
            return False
        return True

    def _write_zeros(self, offset: int, length: int) -> None:
        for at in range(offset, offset + length, len(_ZEROS)):
            self.write(at, memoryview(_ZEROS)[: offset + length - at])

    def flush(self) -> None:
        """Fdatasync."""
        with _translated("flushing", self._path, 0, 0):
            os.fdatasync(self._fd)
