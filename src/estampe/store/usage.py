"""What a store holds, for whom, and what deduplication and compression save."""

from __future__ import annotations

import dataclasses
import uuid
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from estampe.model import manifest
from estampe.store import base, index, manifests

_NOBODY: Final = -1  # no template needs the chunk
_SEVERAL: Final = -2


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateUsage:
    """What one template takes. `name` and `version` are as at capture; the catalogue's may have changed since."""

    template_id: uuid.UUID
    name: str
    version: int
    logical_bytes: int  # sum of its volumes' sizes
    data_bytes: int  # of its chunks, repeats included, before compression
    stored_bytes: int  # of its chunks, each once
    unique_bytes: int  # stored for it alone: what deleting it frees, at the next sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the store holds. Sizes of bodies; a file system adds its rounding to blocks."""

    logical_bytes: int
    data_bytes: int
    distinct_bytes: int  # data, each chunk once
    stored_bytes: int  # what is stored of that
    orphan_bytes: int  # stored, and named by no manifest: the next sweep's, or a capture's under way
    chunks: int
    available_bytes: int | None
    templates: tuple[TemplateUsage, ...]
    unreadable: tuple[manifests.Unreadable, ...]  # their chunks count as orphans

    @property
    def saved_by_deduplication_bytes(self) -> int:
        """Data that is there already, in the same template or in another."""
        return self.data_bytes - self.distinct_bytes

    @property
    def saved_by_compression_bytes(self) -> int:
        """Of the rest."""
        return self.distinct_bytes - self.stored_bytes

    @property
    def saved_bytes(self) -> int:
        """Both."""
        return self.data_bytes - self.stored_bytes


def usage(store: base.Store, *, check_cancelled: Callable[[], None] | None = None) -> Usage:
    """Count everything; reads all manifests and no chunk. Memory: 20 bytes a chunk.

    Raises: errors.StoreUnavailable, what `check_cancelled` raises.
    """
    count = _Count(index.ChunkIndex(store.list_chunks()))
    unreadable = []
    for one in manifests.each_or_why_not(store):
        if check_cancelled is not None:
            check_cancelled()
        if isinstance(one, manifests.Unreadable):
            unreadable.append(one)
        else:
            count.add(one)
    return count.report(available_bytes=store.available_bytes(), unreadable=tuple(unreadable))


@dataclass(slots=True, kw_only=True)
class _Facts:
    """A template's counters; not its manifest, so that one manifest at a time is in memory."""

    template_id: uuid.UUID
    name: str
    version: int
    logical_bytes: int
    data_bytes: int = 0
    stored_bytes: int = 0
    unique_bytes: int = 0

    @classmethod
    def of(cls, made: manifest.Manifest) -> Self:
        logical_bytes = sum(volume.size_bytes for volume in made.volumes)
        return cls(template_id=made.template_id, name=made.name, version=made.version, logical_bytes=logical_bytes)

    def usage(self) -> TemplateUsage:
        return TemplateUsage(**dataclasses.asdict(self))


class _Count:
    """Who needs each chunk: for every position of the index the one template that does, or that several do."""

    def __init__(self, chunks: index.ChunkIndex) -> None:
        self._chunks = chunks
        self._owner = array("i", [_NOBODY]) * len(chunks)
        self._seen_by = array("i", [_NOBODY]) * len(
            chunks
        )  # the last template that named it: repeats inside one count once
        self._templates: list[_Facts] = []
        self._distinct_bytes = 0

    def add(self, made: manifest.Manifest) -> None:
        nth = len(self._templates)
        facts = _Facts.of(made)
        self._templates.append(facts)
        for chunk_id, length in made.chunks():
            facts.data_bytes += length
            for at in self._chunks.positions(chunk_id)[:1]:  # a missing chunk takes no space
                self._count(at, nth, length)

    def _count(self, at: int, nth: int, length: int) -> None:
        if self._seen_by[at] == nth:
            return
        self._seen_by[at] = nth
        self._templates[nth].stored_bytes += self._chunks.sizes[at]
        if self._owner[at] == _NOBODY:
            self._owner[at] = nth
            self._distinct_bytes += length
        else:
            self._owner[at] = _SEVERAL

    def report(self, *, available_bytes: int | None, unreadable: tuple[manifests.Unreadable, ...]) -> Usage:
        orphan_bytes = 0
        for owner, size in zip(self._owner, self._chunks.sizes, strict=True):
            if owner == _NOBODY:
                orphan_bytes += size
            elif owner != _SEVERAL:
                self._templates[owner].unique_bytes += size
        return Usage(
            logical_bytes=sum(one.logical_bytes for one in self._templates),
            data_bytes=sum(one.data_bytes for one in self._templates),
            distinct_bytes=self._distinct_bytes,
            stored_bytes=sum(self._chunks.sizes) - orphan_bytes,
            orphan_bytes=orphan_bytes,
            chunks=len(self._chunks),
            available_bytes=available_bytes,
            templates=tuple(one.usage() for one in self._templates),
            unreadable=unreadable,
        )
