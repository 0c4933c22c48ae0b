"""Chunk ids and tables: which chunk stands where in a volume.

volume   |chunk 0|chunk 1|chunk 2|...|last, may be short|     fixed size, aligned
table    | id    | none  | id    |...| id               |     none: all zeros, never stored
"""

from __future__ import annotations

import bisect
import errno
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from estampe import durability

ID_BYTES: Final = 32  # BLAKE3-256 of the chunk's plain bytes
NO_CHUNK: Final = bytes(ID_BYTES)  # how a table file says "all zeros"; no BLAKE3 output is expected to be it
_RUN: Final = struct.Struct("<QQ")  # first chunk index, number of ids that follow


def chunk_count(size_bytes: int, chunk_size_bytes: int) -> int:
    """How many chunks a volume of `size_bytes` is cut into."""
    return -(-size_bytes // chunk_size_bytes)


def chunk_length(index: int, *, size_bytes: int, chunk_size_bytes: int) -> int:
    """Bytes in chunk `index`: the chunk size but for the last one."""
    return min(chunk_size_bytes, size_bytes - index * chunk_size_bytes)


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring chunks that all have ids."""

    first: int
    ids: bytes  # ID_BYTES each

    @property
    def count(self) -> int:
        """How many chunks the run covers."""
        return len(self.ids) // ID_BYTES


class ChunkTable:
    """The ids of a volume's chunks, immutable; 32 bytes for each stored chunk and nothing for zeros."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self.runs: tuple[Run, ...] = tuple(runs)
        self._firsts = [run.first for run in self.runs]
        following = 0
        for run in self.runs:
            if run.first < following or not run.ids or len(run.ids) % ID_BYTES:
                raise ValueError(f"runs of a chunk table must ascend, not overlap and hold whole ids (at {run.first})")
            following = run.first + run.count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ChunkTable) and self.runs == other.runs

    def __hash__(self) -> int:
        return hash(self.runs)

    def __len__(self) -> int:
        """How many chunks have an id."""
        return sum(run.count for run in self.runs)

    def find(self, index: int) -> bytes | None:
        """The id of chunk `index`, or None where it is all zeros."""
        at = bisect.bisect_right(self._firsts, index) - 1
        if at < 0 or index - self.runs[at].first >= self.runs[at].count:
            return None
        start = (index - self.runs[at].first) * ID_BYTES
        return self.runs[at].ids[start : start + ID_BYTES]

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """(index, id) of every stored chunk, ascending."""
        for run in self.runs:
            for nth in range(run.count):
                yield run.first + nth, run.ids[nth * ID_BYTES : (nth + 1) * ID_BYTES]

    @property
    def last_index(self) -> int:
        """Index of the last stored chunk, -1 where there is none."""
        return self.runs[-1].first + self.runs[-1].count - 1 if self.runs else -1

    def encode(self) -> bytes:
        """Per run: u64 first index, u64 count (little-endian), then the ids. See docs/format.md."""
        return b"".join(self.encoded_parts())

    def encoded_parts(self) -> Iterator[bytes]:
        """What `encode` gives, in pieces: a full table of a large volume need not be copied before it is written."""
        for run in self.runs:
            yield _RUN.pack(run.first, run.count)
            yield run.ids

    @property
    def encoded_bytes(self) -> int:
        """Length of what `encode` gives."""
        return len(self.runs) * _RUN.size + len(self) * ID_BYTES

    @classmethod
    def decode(cls, data: bytes | memoryview) -> Self:
        """The table that `encode` wrote. Raises: ValueError where the bytes are not one."""
        runs, at = [], 0
        while at < len(data):
            if len(data) - at < _RUN.size:
                raise ValueError("a chunk table ends inside a run's head")
            first, count = _RUN.unpack_from(data, at)
            at += _RUN.size
            if count > (len(data) - at) // ID_BYTES:
                raise ValueError("a chunk table ends inside a run")
            runs.append(Run(first, bytes(data[at : at + count * ID_BYTES])))
            at += count * ID_BYTES
        return cls(runs)


class TableFile:
    """A chunk table being made, in a sparse file of ID_BYTES per chunk, so that memory does not grow with the volume.

    Thread-safe: `put` of different indexes may run at once. Durable only after `sync`: a capture that is cut off before
    starts its copy over (chunks already stored are only hashed again).
    """

    def __init__(self, path: Path, count: int, *, is_new: bool = False) -> None:
        flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if is_new else 0)
        self._fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
        self.path, self.count = path, count
        os.ftruncate(self._fd, count * ID_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def put(self, index: int, chunk_id: bytes | None) -> None:
        """Say what chunk `index` holds; None for zeros."""
        os.pwrite(self._fd, chunk_id or NO_CHUNK, self._offset(index))

    def find(self, index: int) -> bytes | None:
        """The id of chunk `index`, or None for zeros."""
        chunk_id = os.pread(self._fd, ID_BYTES, self._offset(index))
        return None if chunk_id == NO_CHUNK else chunk_id

    def _offset(self, index: int) -> int:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return index * ID_BYTES

    def table(self) -> ChunkTable:
        """The whole table as it stands."""
        return ChunkTable(self._runs())

    def _runs(self) -> Iterator[Run]:
        first, ids = 0, bytearray()
        for index, chunk_id in self._stored():
            if ids and index != first + len(ids) // ID_BYTES:
                yield Run(first, bytes(ids))
                ids.clear()
            if not ids:
                first = index
            ids += chunk_id
        if ids:
            yield Run(first, bytes(ids))

    def _stored(self) -> Iterator[tuple[int, bytes]]:
        """(index, id) of stored chunks; holes of the file are skipped, so an empty TiB costs nothing."""
        end, at = self.count * ID_BYTES, 0
        while at < end:
            try:
                at = os.lseek(self._fd, at, os.SEEK_DATA) // ID_BYTES * ID_BYTES
            except OSError as error:
                if error.errno != errno.ENXIO:  # which says that only a hole is left: lseek(2)
                    raise
                return
            block = os.pread(self._fd, 1024 * ID_BYTES, at)
            for nth in range(len(block) // ID_BYTES):
                chunk_id = block[nth * ID_BYTES : (nth + 1) * ID_BYTES]
                if chunk_id != NO_CHUNK:
                    yield at // ID_BYTES + nth, chunk_id
            at += len(block)

    def sync(self) -> None:
        """Make the table, and its name in its directory, durable."""
        os.fsync(self._fd)
        durability.sync_directory(self.path.parent)

    def close(self) -> None:
        """Close the file; the file itself stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def write_table(path: Path, table: ChunkTable, count: int) -> None:
    """Write `table` as a table file of `count` chunks at `path` (replacing it)."""
    with TableFile(path, count, is_new=True) as file:
        for index, chunk_id in table:
            file.put(index, chunk_id)
