"""Volumes behind an NBD unix socket: any format that QEMU reads, and exports out of the chunk store.

Extents come from the `base:allocation` metadata context (NBD protocol, "Metadata querying"; flags NBD_STATE_HOLE and
NBD_STATE_ZERO). One libnbd handle is one connection and takes one command at a time from us, so there are several.
"""

from __future__ import annotations

import contextlib
import errno
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import nbd

from estampe import errors
from estampe.model import extent

_CONTEXT: Final = nbd.CONTEXT_BASE_ALLOCATION
_MAX_STATUS_BYTES: Final = (1 << 32) - (1 << 20)  # a status request's length is 32 bits; kept aligned to 1 MiB
_MAX_REQUEST_BYTES: Final = 32 << 20  # what every server accepts (NBD protocol, "Block size constraints")


class NbdVolume:
    """Reader and writer over `connections` handles; a call waits for a free one.

    With several connections to a writable export the server must promise multi-connection consistency
    (NBD_FLAG_CAN_MULTI_CONN) or the ranges must not overlap before the flush; `flush` goes over every handle.

    `where` names the volume in errors; the socket's name tells people nothing.
    """

    def __init__(
        self,
        socket: Path,
        *,
        connections: int = 1,
        is_writable: bool = False,
        is_zeroed: bool = False,
        where: str | None = None,
    ) -> None:
        self._where = where or str(socket)
        self._is_zeroed = is_zeroed
        self._handles: list[Any] = []
        self._free: queue.LifoQueue[Any] = queue.LifoQueue()
        try:
            for _ in range(connections):
                self._connect(socket)
        except nbd.Error as error:
            self.close()
            raise self._translate(error, "opening", 0, 0) from error
        self._size = int(self._handles[0].get_size())
        if is_writable and self._handles[0].is_read_only():
            self.close()
            raise errors.BlockIOFailed(
                action="opening", length=0, offset=0, where=self._where, detail="it is read-only"
            )

    def _connect(self, socket: Path) -> None:
        handle = nbd.NBD()
        handle.add_meta_context(_CONTEXT)
        handle.connect_unix(str(socket))
        self._handles.append(handle)
        self._free.put(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _handle(self, action: str, offset: int, length: int) -> Iterator[Any]:
        if offset < 0 or offset + length > self._size:
            detail = f"outside the volume of {self._size} bytes"
            raise errors.BlockIOFailed(action=action, length=length, offset=offset, where=self._where, detail=detail)
        handle = self._free.get()
        try:
            yield handle
        except nbd.Error as error:
            raise self._translate(error, action, offset, length) from error
        finally:
            self._free.put(handle)

    def _translate(self, error: Any, action: str, offset: int, length: int) -> errors.EstampeError:
        if error.errnum in {errno.ENOSPC, errno.EDQUOT}:
            return errors.NoSpace(where=self._where, needed=f"{length} more bytes", available="none")
        return errors.BlockIOFailed(action=action, length=length, offset=offset, where=self._where, detail=error.string)

    @property
    def size_bytes(self) -> int:
        """The export's size."""
        return self._size

    @property
    def is_zeroed(self) -> bool:
        """The caller's knowledge: whether every byte read as zero when it was opened."""
        return self._is_zeroed

    def extents(self, offset: int = 0, length: int | None = None) -> Iterator[extent.Extent]:
        """What the server tells; all data where it tells nothing."""
        end = self._size if length is None else offset + length
        return extent.merge(self._status(offset, end))

    def _status(self, offset: int, end: int) -> Iterator[extent.Extent]:
        while offset < end:
            for found in self._status_once(offset, min(end - offset, _MAX_STATUS_BYTES)):
                clipped = min(found.length, end - offset)  # the last one may go past what was asked
                yield extent.Extent(offset, clipped, found.kind)
                offset += clipped

    def _status_once(self, offset: int, length: int) -> list[extent.Extent]:
        entries: list[int] = []

        def remember(context: str, _offset: int, found: list[int], _error: Any) -> int:
            if context == _CONTEXT:
                entries.extend(found)
            return 0

        with self._handle("listing", offset, length) as handle:
            if not handle.can_meta_context(_CONTEXT):
                return [extent.Extent(offset, length, extent.Kind.DATA)]
            handle.block_status(length, offset, remember)
        pairs = zip(entries[::2], entries[1::2], strict=True)
        return [extent.Extent(offset, run, _kind(flags)) for run, flags in pairs]

    def read(self, offset: int, length: int) -> bytes:
        """Pread, whole."""
        with self._handle("reading", offset, length) as handle:
            if length <= _MAX_REQUEST_BYTES:
                return bytes(handle.pread(length, offset))
            parts = range(offset, offset + length, _MAX_REQUEST_BYTES)
            return b"".join(handle.pread(min(_MAX_REQUEST_BYTES, offset + length - at), at) for at in parts)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Pwrite, whole."""
        with self._handle("writing", offset, len(data)) as handle:
            view = memoryview(data)
            for at in range(0, len(view), _MAX_REQUEST_BYTES):
                handle.pwrite(view[at : at + _MAX_REQUEST_BYTES], offset + at)

    def zero(self, offset: int, length: int) -> None:
        """NBD_CMD_WRITE_ZEROES, which unmaps where the server can."""
        with self._handle("zeroing", offset, length) as handle:
            for at in range(offset, offset + length, _MAX_STATUS_BYTES):
                handle.zero(min(_MAX_STATUS_BYTES, offset + length - at), at)

    def flush(self) -> None:
        """NBD_CMD_FLUSH on every connection."""
        for handle in self._handles:
            try:
                if handle.can_flush():
                    handle.flush()
            except nbd.Error as error:
                raise self._translate(error, "flushing", 0, 0) from error

    def close(self) -> None:
        """Disconnect."""
        for handle in self._handles:
            with contextlib.suppress(nbd.Error):
                handle.shutdown()
        self._handles.clear()
        self._free = queue.LifoQueue()  # libnbd closes a handle when its last reference goes


def _kind(flags: int) -> extent.Kind:
    """NBD_STATE_ZERO says that it reads as zeros; NBD_STATE_HOLE alone does not."""
    if not flags & nbd.STATE_ZERO:
        return extent.Kind.DATA
    return extent.Kind.HOLE if flags & nbd.STATE_HOLE else extent.Kind.ZERO
