"""Chunks in plain form, the most recently read first, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future


class ChunkCache:
    """Plain chunks by id. Thread-safe; threads that want one chunk at the same time wait for one load of it."""

    def __init__(self, load: Callable[[bytes, int], bytes], *, limit_bytes: int) -> None:
        self._load, self._limit_bytes = load, limit_bytes
        self._lock = threading.Lock()
        self._chunks: OrderedDict[bytes, Future[bytes]] = OrderedDict()
        self._held_bytes = 0

    @property
    def held_bytes(self) -> int:
        """Plain bytes kept now; above the limit only by the chunk that came last."""
        return self._held_bytes

    def get(self, chunk_id: bytes, length: int) -> bytes:
        """The `length` plain bytes of the chunk. Raises: whatever the load raises; a failure is not kept."""
        with self._lock:
            found = self._chunks.get(chunk_id)
            if found is not None:
                self._chunks.move_to_end(chunk_id)
            else:
                loading = self._chunks[chunk_id] = Future()
        return self._fill(chunk_id, length, loading) if found is None else found.result()

    def _fill(self, chunk_id: bytes, length: int, loading: Future[bytes]) -> bytes:
        try:
            plain = self._load(chunk_id, length)
        except BaseException as error:
            with self._lock:
                del self._chunks[chunk_id]
            loading.set_exception(error)
            raise
        loading.set_result(plain)
        with self._lock:
            self._held_bytes += len(plain)
            self._evict(keep=chunk_id)
        return plain

    def _evict(self, *, keep: bytes) -> None:
        """Drop the least recently read chunks until the rest fits; those still loading count nothing yet."""
        ended = [chunk_id for chunk_id, chunk in self._chunks.items() if chunk.done() and chunk_id != keep]
        for chunk_id in ended:
            if self._held_bytes <= self._limit_bytes:
                return
            self._held_bytes -= len(self._chunks.pop(chunk_id).result())
