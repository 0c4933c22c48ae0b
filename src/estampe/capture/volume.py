"""Copying one volume into the store, and working changed ranges into a copy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from estampe.block import base as block
from estampe.block import pipeline
from estampe.model import chunk, extent
from estampe.store import base as stores
from estampe.store import chunks as store_chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a copy read and what it added to the store."""

    data_bytes: int = 0  # plain bytes of the chunks that are not all zeros
    new_bytes: int = 0  # stored bytes that were not in the store before

    def __add__(self, other: Copied) -> Copied:
        return Copied(data_bytes=self.data_bytes + other.data_bytes, new_bytes=self.new_bytes + other.new_bytes)


class _Tally:
    """Counts what the threads have stored."""

    def __init__(self) -> None:
        self._lock, self.total = threading.Lock(), Copied()

    def add(self, stored: store_chunks.Stored, plain_bytes: int) -> None:
        if stored.chunk_id is None:
            return
        with self._lock:
            self.total += Copied(data_bytes=plain_bytes, new_bytes=stored.stored_bytes if stored.is_new else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copier:
    """Copies chunks through one writer of the store; `advance` is told the volume bytes that are dealt with."""

    chunks: store_chunks.Chunks
    writer: stores.ChunkWriter
    chunk_size_bytes: int
    threads: int
    advance: Callable[[int], None]
    check_cancelled: Callable[[], None]

    def copy(self, reader: block.VolumeReader, indexes: Iterable[int], table: chunk.TableFile) -> Copied:
        """Read, store and enter into `table` the chunks of `indexes`. The caller flushes the writer and syncs the table."""
        tally = _Tally()

        def work(index: int) -> None:
            offset = index * self.chunk_size_bytes
            plain = reader.read(offset, min(self.chunk_size_bytes, reader.size_bytes - offset))
            stored = self.chunks.put(self.writer, plain)
            if stored.chunk_id is not None:  # a new table says zeros already
                table.put(index, stored.chunk_id)
            tally.add(stored, len(plain))
            self.advance(len(plain))

        pipeline.run(indexes, work, threads=self.threads, check_cancelled=self.check_cancelled)
        return tally.total

    def patch(
        self, reader: block.VolumeReader, changed: Iterable[extent.Extent], table: chunk.TableFile, *, size_bytes: int
    ) -> Copied:
        """Work the `changed` ranges into the chunks that `table` names: data from `reader`, others become zeros."""
        tally = _Tally()

        def work(item: tuple[int, list[extent.Extent]]) -> None:
            index, parts = item
            plain = self._patched(reader, index, parts, table.find(index), size_bytes)
            stored = self.chunks.put(self.writer, plain)
            table.put(index, stored.chunk_id)
            tally.add(stored, len(plain))
            self.advance(sum(part.length for part in parts))

        by_chunk = _by_chunk(changed, self.chunk_size_bytes)
        pipeline.run(by_chunk, work, threads=self.threads, check_cancelled=self.check_cancelled)
        return tally.total

    def _patched(
        self,
        reader: block.VolumeReader,
        index: int,
        parts: Iterable[extent.Extent],
        chunk_id: bytes | None,
        size_bytes: int,
    ) -> bytes:
        start = index * self.chunk_size_bytes
        length = chunk.chunk_length(index, size_bytes=size_bytes, chunk_size_bytes=self.chunk_size_bytes)
        plain = bytearray(self.chunks.get(chunk_id, length)) if chunk_id else bytearray(length)
        for part in parts:
            data = reader.read(part.offset, part.length) if part.kind is extent.Kind.DATA else bytes(part.length)
            plain[part.offset - start : part.end - start] = data
        return bytes(plain)


def _by_chunk(changed: Iterable[extent.Extent], chunk_size_bytes: int) -> Iterable[tuple[int, list[extent.Extent]]]:
    """The changed parts of each chunk, ascending. `changed` ascends and does not overlap."""
    index, parts = -1, list[extent.Extent]()
    for run in changed:
        for nth in range(run.offset // chunk_size_bytes, -(-run.end // chunk_size_bytes)):
            if nth != index and parts:
                yield index, parts
                parts = []
            index = nth
            parts.extend(extent.clip([run], nth * chunk_size_bytes, chunk_size_bytes))
    if parts:
        yield index, parts
