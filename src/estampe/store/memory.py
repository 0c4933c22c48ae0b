"""A store in memory: for tests, and for measuring what storage costs."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

from estampe import errors, units
from estampe.store import base

_WHERE = "the store in memory"


@dataclass(slots=True)
class _Body:
    data: bytes
    modified_at: float


class MemoryStore:
    """See base.Store. As strict as it can be: what a writer put is only in the store after `flush`."""

    def __init__(
        self, *, chunk_size_bytes: int = base.DEFAULT_CHUNK_SIZE_BYTES, capacity_bytes: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._chunk_size_bytes, self._capacity_bytes, self._clock = chunk_size_bytes, capacity_bytes, clock
        self._lock = threading.RLock()
        self._chunks: dict[bytes, _Body] = {}
        self._manifests: dict[uuid.UUID, bytes] = {}
        self._reserved_bytes = 0  # put and not flushed

    @property
    def chunk_size_bytes(self) -> int:
        """See base.Store."""
        return self._chunk_size_bytes

    def writer(self) -> MemoryWriter:
        """See base.Store."""
        return MemoryWriter(self)

    def get_chunk(self, chunk_id: bytes) -> bytes:
        """See base.Store."""
        return self._find(chunk_id).data

    def stat_chunk(self, chunk_id: bytes) -> base.StoredChunk:
        """See base.Store."""
        body = self._find(chunk_id)
        return base.StoredChunk(chunk_id, len(body.data), body.modified_at)

    def list_chunks(self) -> Iterator[base.StoredChunk]:
        """See base.Store."""
        with self._lock:
            chunks = [base.StoredChunk(key, len(body.data), body.modified_at) for key, body in self._chunks.items()]
        yield from sorted(chunks, key=lambda chunk: chunk.chunk_id)

    def delete_chunk_if_older(self, chunk_id: bytes, than: float) -> bool:
        """See base.Store."""
        with self._lock:
            body = self._chunks.get(chunk_id)
            if body is None or body.modified_at >= than:
                return False
            del self._chunks[chunk_id]
            return True

    def set_aside(self, chunk_id: bytes) -> bool:
        """See base.Store."""
        with self._lock:
            return self._chunks.pop(chunk_id, None) is not None

    def put_manifest(self, template_id: uuid.UUID, data: bytes) -> None:
        """See base.Store."""
        with self._lock:
            if self._manifests.setdefault(template_id, data) != data:
                raise errors.ManifestExists(template=template_id)

    def get_manifest(self, template_id: uuid.UUID) -> bytes:
        """See base.Store."""
        with self._lock:
            if template_id not in self._manifests:
                raise errors.ManifestNotFound(template=template_id)
            return self._manifests[template_id]

    def list_manifests(self) -> Iterator[uuid.UUID]:
        """See base.Store."""
        with self._lock:
            found = sorted(self._manifests)
        yield from found

    def delete_manifest(self, template_id: uuid.UUID) -> bool:
        """See base.Store."""
        with self._lock:
            return self._manifests.pop(template_id, None) is not None

    def available_bytes(self) -> int | None:
        """See base.Store."""
        with self._lock:
            used = self._reserved_bytes + sum(len(body.data) for body in self._chunks.values())
            return None if self._capacity_bytes is None else self._capacity_bytes - used

    def damage(self, chunk_id: bytes, body: bytes | None) -> None:
        """Replace a stored body (None: lose it), as a failing device would."""
        with self._lock:
            if body is None:
                del self._chunks[chunk_id]
            else:
                self._chunks[chunk_id].data = body

    def _find(self, chunk_id: bytes) -> _Body:
        with self._lock:
            body = self._chunks.get(chunk_id)
        if body is None:
            raise errors.ChunkNotFound(chunk=chunk_id.hex())
        return body

    def renew(self, chunk_id: bytes) -> bool:
        """For writers: set the chunk's age to now; False where there is none."""
        with self._lock:
            body = self._chunks.get(chunk_id)
            if body is not None:
                body.modified_at = self._clock()
            return body is not None

    def reserve(self, length: int) -> None:
        """For writers: take space, or give it back (negative). Raises: errors.NoSpace."""
        with self._lock:
            available = self.available_bytes()
            if available is not None and length > available:
                needed = units.format_bytes(length) + " more"
                raise errors.NoSpace(where=_WHERE, needed=needed, available=units.format_bytes(available))
            self._reserved_bytes += length

    def publish(self, bodies: dict[bytes, bytes]) -> None:
        """For writers: make bodies visible under their ids."""
        with self._lock:
            for chunk_id, data in bodies.items():
                self.reserve(-len(data))
                if not self.renew(chunk_id):
                    self._chunks[chunk_id] = _Body(data, self._clock())


class MemoryWriter:
    """See base.ChunkWriter."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._pending: dict[bytes, bytes] = {}
        self._failure: errors.NoSpace | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._store.reserve(-sum(map(len, self._pending.values())))
            self._pending = {}

    def has(self, chunk_id: bytes) -> bool:
        """See base.ChunkWriter."""
        with self._lock:
            self._raise_failure()
            return chunk_id in self._pending or self._store.renew(chunk_id)

    def put(self, chunk_id: bytes, body: bytes) -> bool:
        """See base.ChunkWriter."""
        with self._lock:
            self._raise_failure()
            if chunk_id in self._pending or self._store.renew(chunk_id):
                return False
            try:
                self._store.reserve(len(body))
            except errors.NoSpace as error:
                self._failure = error
                raise
            self._pending[chunk_id] = body
            return True

    def flush(self) -> None:
        """See base.ChunkWriter."""
        with self._lock:
            self._raise_failure()
            self._store.publish(self._pending)
            self._pending = {}

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
