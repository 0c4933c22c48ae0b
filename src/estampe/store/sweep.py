"""Removing chunks that no manifest names.

Why no chunk of a template can go, for a sweep that asks for chunks not renewed since `older_than`, a time before it begins:
  - a manifest that is there when the sweep lists them marks its chunks: they stay;
  - a manifest that comes later had the age of each of its chunks renewed just before it was put (`manifests.put`). Where
    that was after `older_than`, the chunk is too young, and the store's second look at the age makes sure of it at the
    moment of removal. For it to have been before, `manifests.put` must have taken longer than the whole grace period;
  - a capture under way renews or puts each chunk as it reads it. A grace period shorter than the capture lets a sweep take
    its first chunks; its `manifests.put` then fails with errors.ChunkMissing, and no template comes to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from estampe.store import base, index, manifests

DEFAULT_GRACE_SECONDS: Final = 24 * 3600.0  # longer than any capture: at 100 MiB/s a day reads 8 TiB
_NEEDED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """What a sweep removed (a dry run: would remove) and left."""

    manifests_read: int
    removed_chunks: int
    removed_bytes: int
    kept_young_chunks: int  # named by no manifest, and younger than the grace period
    kept_young_bytes: int
    needed_chunks: int


def sweep(
    store: base.Store, *, older_than: float, is_dry_run: bool = False,
    on_progress: Callable[[int, int], None] | None = None, check_cancelled: Callable[[], None] | None = None,
) -> SweepReport:  # fmt: skip
    """Remove chunks that no manifest names and that nobody renewed since `older_than`.

    `older_than` is now - grace, in seconds since the epoch, taken before the call. `on_progress` gets chunks looked at and chunks in all; `check_cancelled` raises to stop. Memory: 13 bytes a chunk.

    Raises: errors.ManifestCorrupt, errors.ManifestVersionUnsupported (nothing has been removed then: what it names is not
        known), errors.StoreUnavailable, what `check_cancelled` raises.
    """
    check_cancelled = check_cancelled or (lambda: None)
    chunks = index.ChunkIndex(store.list_chunks())
    needed, count = _mark(store, chunks, check_cancelled)
    tally = _Tally(store, older_than, is_dry_run)
    for nth, chunk in enumerate(store.list_chunks(), 1):
        check_cancelled()
        at = chunks.positions(chunk.chunk_id)
        tally.look_at(chunk, is_needed=any(needed[position] for position in at), is_known=bool(at))
        if on_progress is not None:
            on_progress(nth, len(chunks))
    return tally.report(count)


def _mark(
    store: base.Store, chunks: index.ChunkIndex, check_cancelled: Callable[[], None]
) -> tuple[bytearray, int]:  # one byte a position
    needed, count = bytearray(len(chunks)), 0
    for found in manifests.each(store):
        check_cancelled()
        count += 1
        for chunk_id in found.chunk_ids():
            for at in chunks.positions(chunk_id):
                needed[at] = _NEEDED
    return needed, count


class _Tally:
    """Decides about each chunk and counts."""

    def __init__(self, store: base.Store, older_than: float, is_dry_run: bool) -> None:
        self._store, self._older_than, self._is_dry_run = store, older_than, is_dry_run
        self._removed = [0, 0]  # chunks, bytes
        self._young = [0, 0]
        self._needed = 0

    def look_at(self, chunk: base.StoredChunk, *, is_needed: bool, is_known: bool) -> None:
        if is_needed:
            self._needed += 1
            return
        # one that came since the first listing was not asked about when the manifests were read: the next sweep's
        counted = self._removed if is_known and self._goes(chunk) else self._young
        counted[0] += 1
        counted[1] += chunk.stored_bytes

    def _goes(self, chunk: base.StoredChunk) -> bool:
        if chunk.modified_at >= self._older_than or self._is_dry_run:
            return chunk.modified_at < self._older_than
        return self._store.delete_chunk_if_older(chunk.chunk_id, self._older_than)

    def report(self, manifest_count: int) -> SweepReport:
        return SweepReport(
            manifests_read=manifest_count, removed_chunks=self._removed[0], removed_bytes=self._removed[1],
            kept_young_chunks=self._young[0], kept_young_bytes=self._young[1], needed_chunks=self._needed,
        )  # fmt: skip
