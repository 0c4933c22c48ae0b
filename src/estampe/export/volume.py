"""A volume as a table of chunks describes it, read without ever being put together.

table file  | id | 0 | 0 | id | ...     0: a hole
volume      |data| hole  |data| ...     each DATA extent is whole chunks, clipped to the volume
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self

from estampe.export import cache
from estampe.model import chunk, extent

_IDS_AT_ONCE: Final = 4096  # of a table file per read: 128 KiB


class ExportedVolume:
    """Read-only. Thread-safe. The table file may change under it: ids are looked up at each read."""

    def __init__(
        self,
        table: Path,
        load: Callable[[bytes, int], bytes],
        *,
        size_bytes: int,
        chunk_size_bytes: int,
        cache_bytes: int,
    ) -> None:
        """`load(chunk_id, length)` gives a chunk's verified plain bytes. Raises: OSError, ValueError for a table too short."""
        self.size_bytes, self._chunk_size_bytes = size_bytes, chunk_size_bytes
        self._cache = cache.ChunkCache(load, limit_bytes=cache_bytes)
        self._table = os.open(table, os.O_RDONLY | os.O_CLOEXEC)
        count = chunk.chunk_count(size_bytes, chunk_size_bytes)
        if os.fstat(self._table).st_size != count * chunk.ID_BYTES:
            os.close(self._table)
            raise ValueError(f"table file {table} is not one of {count} chunks")

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill `buffer` from `offset`; the range lies in the volume. Raises: whatever loading a chunk raises."""
        done = 0
        while done < len(buffer):
            index, start = divmod(offset + done, self._chunk_size_bytes)
            take = min(self._chunk_size_bytes - start, len(buffer) - done)
            buffer[done : done + take] = self._piece(index, start, take)
            done += take

    def _piece(self, index: int, start: int, length: int) -> bytes | memoryview:
        chunk_id = os.pread(self._table, chunk.ID_BYTES, index * chunk.ID_BYTES)
        if chunk_id == chunk.NO_CHUNK:
            return bytes(length)
        whole = chunk.chunk_length(index, size_bytes=self.size_bytes, chunk_size_bytes=self._chunk_size_bytes)
        return memoryview(self._cache.get(chunk_id, whole))[start : start + length]

    def extents(self, offset: int, length: int) -> Iterator[extent.Extent]:
        """DATA and HOLE extents that cover the range exactly, joined where neighbours are alike."""
        return extent.merge(
            extent.clip(self._chunk_extents(offset, length), offset, min(length, self.size_bytes - offset))
        )

    def _chunk_extents(self, offset: int, length: int) -> Iterator[extent.Extent]:
        first = offset // self._chunk_size_bytes
        last = chunk.chunk_count(offset + length, self._chunk_size_bytes)
        for at in range(first, last, _IDS_AT_ONCE):
            ids = os.pread(self._table, min(_IDS_AT_ONCE, last - at) * chunk.ID_BYTES, at * chunk.ID_BYTES)
            for nth in range(len(ids) // chunk.ID_BYTES):
                is_hole = ids[nth * chunk.ID_BYTES : (nth + 1) * chunk.ID_BYTES] == chunk.NO_CHUNK
                kind = extent.Kind.HOLE if is_hole else extent.Kind.DATA
                yield extent.Extent((at + nth) * self._chunk_size_bytes, self._chunk_size_bytes, kind)

    def close(self) -> None:
        """Close the table file; idempotent."""
        if self._table >= 0:
            os.close(self._table)
            self._table = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
