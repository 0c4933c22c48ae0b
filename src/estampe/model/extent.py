"""Extents: runs of a volume with one kind of content, and the arithmetic on them.

offset            offset + length
  |---- DATA ----|---- ZERO ----|---- HOLE ----|          half-open, in bytes
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


class Kind(enum.StrEnum):
    """What an extent holds."""

    DATA = "data"
    ZERO = "zero"  # allocated, and reads as zeros
    HOLE = "hole"  # not allocated in any layer; reads as zeros


@dataclass(frozen=True, slots=True)
class Extent:
    """`length` bytes from `offset`, all of one kind."""

    offset: int
    length: int
    kind: Kind

    @property
    def end(self) -> int:
        """The first byte after the extent."""
        return self.offset + self.length


def merge(extents: Iterable[Extent]) -> Iterator[Extent]:
    """Join neighbours of one kind. Input in ascending order without overlap; empty extents vanish."""
    last: Extent | None = None
    for extent in extents:
        if extent.length == 0:
            continue
        if last is not None and last.end == extent.offset and last.kind is extent.kind:
            last = Extent(last.offset, last.length + extent.length, last.kind)
            continue
        if last is not None:
            yield last
        last = extent
    if last is not None:
        yield last


def clip(extents: Iterable[Extent], offset: int, length: int) -> Iterator[Extent]:
    """The parts of `extents` inside [offset, offset + length)."""
    end = offset + length
    for extent in extents:
        start, stop = max(extent.offset, offset), min(extent.end, end)
        if start < stop:
            yield Extent(start, stop - start, extent.kind)


def data_bytes(extents: Iterable[Extent]) -> int:
    """How many bytes of `extents` are data."""
    return sum(extent.length for extent in extents if extent.kind is Kind.DATA)


def data_chunks(extents: Iterable[Extent], chunk_size_bytes: int) -> Iterator[int]:
    """Indexes, ascending and each once, of the aligned chunks that hold at least one byte of data."""
    following = 0
    for extent in extents:
        if extent.kind is not Kind.DATA or extent.length == 0:
            continue
        first = max(extent.offset // chunk_size_bytes, following)
        following = max(following, -(-extent.end // chunk_size_bytes))
        yield from range(first, following)
