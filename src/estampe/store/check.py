"""Checking a store: every chunk (or a sample) read and verified, every named chunk looked for, every manifest read."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from random import Random

from estampe import errors
from estampe.store import base, chunks, codec, index, manifests


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedChunk:
    """A chunk that cannot be used."""

    chunk_id: bytes
    kind: codec.Damage
    detail: str
    templates: tuple[uuid.UUID, ...]  # that need it; empty: none does, but the next capture of the same data would


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What a check found. Of missing chunks and manifests every one is looked for, also where chunks are sampled."""

    chunks: int  # in the store
    checked_chunks: int
    checked_bytes: int
    manifests_read: int
    damaged: tuple[DamagedChunk, ...]
    unreadable: tuple[manifests.Unreadable, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damaged and not self.unreadable


@dataclass(slots=True)
class _Findings:
    kind: codec.Damage
    detail: str
    templates: set[uuid.UUID] = field(default_factory=set)


def check(
    store: base.Store, *, rng: Random, sample: float | None = None, threads: int = 2,
    on_progress: Callable[[int, int], None] | None = None, check_cancelled: Callable[[], None] | None = None,
) -> CheckReport:  # fmt: skip
    """Check the store.

    `sample` is the share of chunks to read (0 to 1), picked by `rng`; None reads all. `on_progress` gets stored bytes
    checked and to check (an estimate for a sample); `check_cancelled` raises to stop. Both are called from several threads,
    one at a time. Memory: 12 bytes a chunk, and 200 for each damaged one.

    Raises: errors.StoreUnavailable (not for a single chunk: that is a finding), what `check_cancelled` raises.
    """
    known = index.ChunkIndex(store.list_chunks())
    picked = (chunk for chunk in store.list_chunks() if sample is None or rng.random() < sample)
    total = round(sum(known.sizes) * (1 if sample is None else sample))
    reading = _Reading(
        store, picked, total, on_progress or (lambda _done, _total: None), check_cancelled or (lambda: None)
    )
    reading.run(threads)
    named = _Named(store, known, reading.found, reading.short)
    unreadable, readable = named.look_for_all()
    damaged = tuple(
        DamagedChunk(chunk_id=chunk_id, kind=one.kind, detail=one.detail, templates=tuple(sorted(one.templates)))
        for chunk_id, one in sorted([*reading.found.items(), *named.misfits.items()], key=lambda each: each[0])
    )
    return CheckReport(
        chunks=len(known), checked_chunks=reading.chunks, checked_bytes=reading.bytes, manifests_read=readable,
        damaged=damaged, unreadable=tuple(unreadable),
    )  # fmt: skip


class _Reading:
    """Threads that draw chunks from one iterator and verify them."""

    def __init__(
        self, store: base.Store, picked: Iterator[base.StoredChunk], total_bytes: int,
        on_progress: Callable[[int, int], None], check_cancelled: Callable[[], None],
    ) -> None:  # fmt: skip
        self._store, self._picked, self._total_bytes = store, picked, total_bytes
        self._on_progress, self._check_cancelled = on_progress, check_cancelled
        self._lock = threading.Lock()
        self._is_over = False
        self.chunks = self.bytes = 0
        self.found: dict[bytes, _Findings] = {}
        self.short: dict[
            bytes, int
        ] = {}  # plain length of each that is no whole chunk: the last one of a volume or blob

    def run(self, threads: int) -> None:
        with futures.ThreadPoolExecutor(threads, thread_name_prefix="store-check") as pool:
            for work in futures.as_completed([pool.submit(self._work) for _ in range(threads)]):
                work.result()

    def _work(self) -> None:
        while (chunk := self._next()) is not None:
            finding, plain_bytes = self._verify(chunk)
            with self._lock:
                self.chunks += 1
                self.bytes += chunk.stored_bytes
                if finding is not None:
                    self.found[chunk.chunk_id] = finding
                elif plain_bytes is not None and plain_bytes < self._store.chunk_size_bytes:
                    self.short[chunk.chunk_id] = plain_bytes
                self._on_progress(self.bytes, self._total_bytes)

    def _next(self) -> base.StoredChunk | None:
        with self._lock:
            if self._is_over:
                return None
            self._is_over = True  # unless all goes well: an error here ends the other threads too
            self._check_cancelled()
            chunk = next(self._picked, None)
            self._is_over = chunk is None
            return chunk

    def _verify(self, chunk: base.StoredChunk) -> tuple[_Findings | None, int | None]:
        """(what is wrong with it, its plain length where nothing is)."""
        try:
            return None, len(_plain(self._store, chunk.chunk_id))
        except errors.ChunkNotFound:  # swept since it was listed; where a template needs it, it is missed below
            return None, None
        except errors.ChunkCorrupt as error:
            return _Findings(codec.Damage(error.facts["kind"]), error.facts["detail"]), None
        except errors.ChunkVersionUnsupported as error:
            return _Findings(codec.Damage.NEWER, str(error)), None
        except errors.StoreUnavailable as error:  # EIO: the device knows that it has lost it
            return _Findings(codec.Damage.UNREADABLE, error.facts["detail"]), None


def _plain(store: base.Store, chunk_id: bytes) -> bytes:
    return chunks.verified(store.get_chunk(chunk_id), chunk_id=chunk_id, most_bytes=store.chunk_size_bytes)


def set_aside(store: base.Store, report: CheckReport) -> int:
    """Take the damaged chunks of `report` out of the way of the next capture; how many went.

    Each is read once more: what a failing memory or cable garbled on its way is not the store's damage. One of a newer version,
    or one that is whole and only does not fit a template, stays where it is.
    """
    return sum(_is_damaged(store, each) and store.set_aside(each.chunk_id) for each in report.damaged)


def _is_damaged(store: base.Store, told: DamagedChunk) -> bool:
    try:
        _plain(store, told.chunk_id)
    except errors.ChunkCorrupt:
        return True
    except (errors.ChunkNotFound, errors.ChunkVersionUnsupported, errors.StoreUnavailable):
        return False
    return False


class _Named:
    """What the manifests name: looked for in the store, and compared with what was read."""

    def __init__(
        self, store: base.Store, known: index.ChunkIndex, found: dict[bytes, _Findings], short: dict[bytes, int]
    ) -> None:
        self._store, self._known, self._found, self._short = store, known, found, short
        self.misfits: dict[bytes, _Findings] = {}

    def look_for_all(self) -> tuple[list[manifests.Unreadable], int]:
        """Add missing chunks and the templates that need those found; unreadable manifests, and how many were read."""
        unreadable, readable = [], 0
        for one in manifests.each_or_why_not(self._store):
            if isinstance(one, manifests.Unreadable):
                unreadable.append(one)
                continue
            readable += 1
            for chunk_id, length in one.chunks():
                self._look_for(chunk_id, length, one.template_id)
        return unreadable, readable

    def _look_for(self, chunk_id: bytes, length: int, template_id: uuid.UUID) -> None:
        found = self._found
        if chunk_id not in found and not self._known.positions(chunk_id) and not _is_there(self._store, chunk_id):
            found[chunk_id] = _Findings(codec.Damage.MISSING, "the store does not hold it")
        if chunk_id in found:
            found[chunk_id].templates.add(template_id)
            return
        holds = self._plain_bytes(chunk_id, length)
        if holds != length:
            detail = f"it holds {holds} bytes where its template needs {length}"
            self.misfits.setdefault(chunk_id, _Findings(codec.Damage.MISFIT, detail)).templates.add(template_id)

    def _plain_bytes(self, chunk_id: bytes, length: int) -> int:
        """How long it is; taken for right where a sample has not read it, but for the few that are named as short ones."""
        whole = self._store.chunk_size_bytes
        if length < whole and chunk_id not in self._short:
            try:
                self._short[chunk_id] = len(_plain(self._store, chunk_id))
            except errors.EstampeError:  # outside of the sample, or hurt since: the next full check tells
                return length
        return self._short.get(chunk_id, whole)


def _is_there(store: base.Store, chunk_id: bytes) -> bool:
    """A second look: it may have come after the listing."""
    try:
        store.stat_chunk(chunk_id)
    except errors.ChunkNotFound:
        return False
    return True
