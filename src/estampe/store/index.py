"""All chunks of a store in few bytes each, for what has to look at millions of them: sweep, check, usage."""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterable

from estampe.store import base


class ChunkIndex:
    """Positions 0, 1, ... of the store's chunks in ascending order of id.

    Keeps the first 8 bytes of each id and the body's size: 12 bytes a chunk, so 48 MiB for each TiB of data in 256 KiB
    chunks, where a set of ids would take 440. Ids are BLAKE3 output, so two of 10 million chunks share 8 bytes with a chance of 3
    in a million; then a look-up answers with both positions, and whoever marks chunks as needed marks both: nothing
    needed is ever taken for not needed.
    """

    def __init__(self, chunks: Iterable[base.StoredChunk]) -> None:
        self._prefixes, self.sizes = array("Q"), array("I")
        for chunk in chunks:
            self._prefixes.append(_prefix(chunk.chunk_id))
            self.sizes.append(min(chunk.stored_bytes, 0xFFFF_FFFF))  # u32: no body is longer, a damaged file may be

    def __len__(self) -> int:
        return len(self._prefixes)

    def positions(self, chunk_id: bytes) -> range:
        """Where the chunk is: one position, none, or very rarely more. About 1 us among a million."""
        prefix = _prefix(chunk_id)
        first = bisect.bisect_left(self._prefixes, prefix)
        end = first
        while end < len(self._prefixes) and self._prefixes[end] == prefix:
            end += 1
        return range(first, end)


def _prefix(chunk_id: bytes) -> int:
    return int.from_bytes(chunk_id[:8], "big")  # big-endian: numbers ascend as the ids do
