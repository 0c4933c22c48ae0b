"""Contracts of the block family: reading and writing a volume's bytes.

The contract suite is tests/contract/test_block.py; a "must" here is tested there on every implementation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, Self

from estampe.model import extent


class VolumeReader(Protocol):
    """A volume open for reading.

    Threads: `read` must be safe from several threads at once, and releases the GIL while it waits.
    Whoever opens it closes it; `close` is idempotent. After `close`, other calls are undefined.
    """

    @property
    def size_bytes(self) -> int:
        """The volume's virtual size; constant."""

    def extents(self, offset: int = 0, length: int | None = None) -> Iterator[extent.Extent]:
        """Extents that cover [offset, offset + length) exactly: ascending, no gap, no overlap, clipped to the range.

        `length` None means to the end. An extent that is not DATA must read as zeros. DATA may still read as zeros.
        Raises: errors.BlockIOFailed.
        """

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`. Blocking; never short.

        Raises: errors.BlockIOFailed (also where the range is not inside the volume).
        """

    def close(self) -> None:
        """Give everything back."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class VolumeWriter(Protocol):
    """A volume open for writing.

    Threads: `write` and `zero` must be safe from several threads at once on ranges that do not overlap.
    Nothing is durable before `flush` has returned.
    """

    @property
    def size_bytes(self) -> int:
        """The volume's virtual size; constant."""

    @property
    def is_zeroed(self) -> bool:
        """Whether every byte read as zero when it was opened (a new sparse file, not a used block device)."""

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of `data` at `offset`. Raises: errors.BlockIOFailed, errors.NoSpace."""

    def zero(self, offset: int, length: int) -> None:
        """Make the range read as zeros, unallocated where the volume can. Raises: errors.BlockIOFailed, errors.NoSpace."""

    def flush(self) -> None:
        """Make everything written durable. Raises: errors.BlockIOFailed, errors.NoSpace."""

    def close(self) -> None:
        """Give everything back, without an implied flush; idempotent."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
