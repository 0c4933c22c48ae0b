"""Contract of the store family: chunk bodies and manifests, as opaque bytes under ids.

The contract suite is tests/contract/test_store.py; a "must" here is tested there on every implementation. What a body
holds (codec, verification) is `store.chunks`' business; what a manifest holds is `model.manifest`'s.

Write order is the caller's must: every chunk flushed, then the manifest, then the catalogue's row; delete in reverse.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol, Self

from estampe import units

DEFAULT_CHUNK_SIZE_BYTES: Final = 256 * units.KIB  # by measurement: docs/performance.md, "Chunk size"
LEAST_CHUNK_SIZE_BYTES: Final = 4 * units.KIB  # a file system's block: below, the ids outweigh what they save
LARGEST_CHUNK_SIZE_BYTES: Final = 16 * units.MIB  # bounds what one hostile body can make a reader allocate
CHUNK_SIZE_RULE: Final = "a power of two from 4 KiB to 16 MiB"


def is_chunk_size(size_bytes: int) -> bool:
    """Whether volumes can be cut into chunks of this size."""
    is_power_of_two = size_bytes > 0 and size_bytes & (size_bytes - 1) == 0
    return is_power_of_two and LEAST_CHUNK_SIZE_BYTES <= size_bytes <= LARGEST_CHUNK_SIZE_BYTES


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as the store lists it."""

    chunk_id: bytes
    stored_bytes: int
    modified_at: float  # seconds since the epoch; a repeated put renews it


class ChunkWriter(Protocol):
    """A run of puts that becomes durable together. One per volume copy; threads may share it.

    Context manager: leaving it without `flush` gives no promise about what was put since the last one, and leaves
    nothing half-written under an id.
    """

    def has(self, chunk_id: bytes) -> bool:
        """Whether the chunk is in the store already, or was put through this writer.

        Must renew the chunk's age where it is there, so that a sweep that runs now spares it.
        """

    def put(self, chunk_id: bytes, body: bytes) -> bool:
        """Store `body` under `chunk_id` unless something is there (create-only); True when this call stored it.

        Two writers that put the same chunk at once may both be told True; one body stays. An id must never name a partly
        written body, also after power loss. A repeated put must renew the chunk's age. May block while earlier puts are made durable. Raises: errors.NoSpace, errors.StoreUnavailable.
        """

    def flush(self) -> None:
        """Returns when every chunk put through, or found by, this writer is durable under its id.

        An error of an earlier `put` must be raised again, since `has` may have promised that chunk to another thread.
        Raises: errors.NoSpace, errors.StoreUnavailable.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class Store(Protocol):
    """Chunks and manifests. Every method is safe from several threads, and from several processes on one store."""

    @property
    def chunk_size_bytes(self) -> int:
        """The size volumes are cut into; a property of the store from its creation on."""

    def writer(self) -> ChunkWriter:
        """A new writer."""

    def get_chunk(self, chunk_id: bytes) -> bytes:
        """The body. Raises: errors.ChunkNotFound, errors.StoreUnavailable."""

    def stat_chunk(self, chunk_id: bytes) -> StoredChunk:
        """Size and age, without reading the body. Raises: errors.ChunkNotFound, errors.StoreUnavailable."""

    def list_chunks(self) -> Iterator[StoredChunk]:
        """All chunks in ascending order of id; one that comes or goes meanwhile may be missing. Bounded memory."""

    def delete_chunk_if_older(self, chunk_id: bytes, than: float) -> bool:
        """Remove the chunk if its age was last renewed before `than` (seconds since the epoch); True when it went.

        Must not remove a chunk whose age is renewed (put or has) while this runs: where `has` said True or `put` returned,
        the chunk is there afterwards. It may be out of sight for a moment. A missing chunk is False.
        """

    def set_aside(self, chunk_id: bytes) -> bool:
        """Take a damaged chunk out from under its id, so that the next put of it stores it anew; True when it was there.

        Its bytes are kept for whoever wants to look at them, where nothing reads or lists them.
        """

    def put_manifest(self, template_id: uuid.UUID, data: bytes) -> None:
        """Store a manifest, durable on return; equal bytes under the id already are fine (a repeated step).

        Raises: errors.ManifestExists (other bytes are there), errors.NoSpace, errors.StoreUnavailable.
        """

    def get_manifest(self, template_id: uuid.UUID) -> bytes:
        """Raises: errors.ManifestNotFound, errors.StoreUnavailable."""

    def list_manifests(self) -> Iterator[uuid.UUID]:
        """All manifests' ids."""

    def delete_manifest(self, template_id: uuid.UUID) -> bool:
        """Remove it durably; True when it was there."""

    def available_bytes(self) -> int | None:
        """Free space for new chunks, or None where the store cannot tell (an object store)."""
