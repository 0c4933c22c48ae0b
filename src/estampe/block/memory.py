"""A volume in memory, for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Self

from estampe import errors
from estampe.model import extent


class MemoryVolume:
    """Both reader and writer over one bytearray; unwritten `granularity` blocks are holes."""

    def __init__(self, size_bytes: int, *, granularity: int = 4096, is_zeroed: bool = True) -> None:
        self._data = bytearray(size_bytes)
        self._written: set[int] = set() if is_zeroed else set(range(-(-size_bytes // granularity)))
        self._granularity, self._is_zeroed, self._lock = granularity, is_zeroed, threading.Lock()
        if not is_zeroed:
            self._data[:] = b"\xa5" * size_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def size_bytes(self) -> int:
        """The volume's size."""
        return len(self._data)

    @property
    def is_zeroed(self) -> bool:
        """Whether it was all zeros when made."""
        return self._is_zeroed

    def extents(self, offset: int = 0, length: int | None = None) -> Iterator[extent.Extent]:
        """Written blocks are data, others holes."""
        length = self.size_bytes - offset if length is None else length
        blocks = range(-(-self.size_bytes // self._granularity))
        return extent.clip(extent.merge(map(self._block_extent, blocks)), offset, length)

    def _block_extent(self, block: int) -> extent.Extent:
        start = block * self._granularity
        kind = extent.Kind.DATA if block in self._written else extent.Kind.HOLE
        return extent.Extent(start, min(self._granularity, self.size_bytes - start), kind)

    def read(self, offset: int, length: int) -> bytes:
        """The bytes."""
        self._check("read", offset, length)
        return bytes(self._data[offset : offset + length])

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Copy the bytes in."""
        self._check("write", offset, len(data))
        with self._lock:
            self._data[offset : offset + len(data)] = data
            self._written.update(range(offset // self._granularity, -(-(offset + len(data)) // self._granularity)))

    def zero(self, offset: int, length: int) -> None:
        """Zeros; whole blocks become holes."""
        self._check("zero", offset, length)
        with self._lock:
            self._data[offset : offset + length] = bytes(length)
            whole = range(-(-offset // self._granularity), (offset + length) // self._granularity)
            self._written.difference_update(whole)

    def _check(self, action: str, offset: int, length: int) -> None:
        if offset < 0 or offset + length > self.size_bytes:
            detail = f"outside the volume of {self.size_bytes} bytes"
            raise errors.BlockIOFailed(action=action, length=length, offset=offset, where="memory", detail=detail)

    def flush(self) -> None:
        """Nothing to do: memory is as durable as it gets."""

    def close(self) -> None:
        """Nothing to give back."""
