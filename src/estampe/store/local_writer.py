"""Group commit: many chunks become durable by one syncfs(2).

    put ──> tmp/<run>/<id>   ──(batch full)──>  committer thread:  syncfs ─> link each to its id ─> unlink the temporary name
    put ──> next batch       while the committer waits for the volume under the store

So an id never names a torn body: the body was on stable storage before the name was made. The names are made durable by
the next syncfs, at the latest by that of `flush`. fsync(2) of each file was measured at a quarter of the speed (table in
docs/adr/0003-store.md), since each one commits the journal and flushes the device's cache.
"""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent import futures
from dataclasses import dataclass, field
from typing import Final, Self

from estampe import errors, units
from estampe.store import durable, local_layout, local_scratch

# A batch is closed at either limit. Larger ones cost fewer waits, but more dirty memory and a longer last one at flush;
# above 128 MiB nothing was gained. Bodies of zeros and text can be tiny: the count bounds the names made in one go.
BATCH_BYTES: Final = 128 * units.MIB
BATCH_CHUNKS: Final = 4096
_BATCHES_UNDER_WAY: Final = 2  # one being committed, one waiting: puts block when a third is full


@dataclass(slots=True)
class _Batch:
    chunk_ids: list[bytes] = field(default_factory=list)
    stored_bytes: int = 0


class LocalWriter:
    """See base.ChunkWriter. After the first failure every call raises it: what was promised by `has` may be lost."""

    def __init__(self, layout: local_layout.Layout, *, batch_bytes: int = BATCH_BYTES) -> None:
        self._layout, self._batch_bytes = layout, batch_bytes
        self._lock = threading.Lock()
        self._pending: set[bytes] = set()  # on their way: written or being written, not linked yet
        self._batch = _Batch()
        self._failure: Exception | None = None
        self._slots = threading.BoundedSemaphore(_BATCHES_UNDER_WAY)
        self._commits: list[futures.Future[None]] = []
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._errors("begin writing"), contextlib.ExitStack() as undo:
            self._sync_fd = os.open(self._layout.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            undo.callback(os.close, self._sync_fd)
            self._scratch = undo.enter_context(local_scratch.Scratch(self._layout.tmp))
            self._committer = futures.ThreadPoolExecutor(1, thread_name_prefix="store-commit")
            undo.callback(self._committer.shutdown, wait=True)
            undo.callback(self._fail, self._closed_error())  # what is not under way is not begun
            self._closing = undo.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.close()

    def has(self, chunk_id: bytes) -> bool:
        """See base.ChunkWriter."""
        with self._lock:
            self._raise_failure()
            if chunk_id in self._pending:
                return True
        with self._errors("look for a chunk"):
            return self._layout.renew(chunk_id)

    def put(self, chunk_id: bytes, body: bytes) -> bool:
        """See base.ChunkWriter."""
        if not self._reserve(chunk_id):
            return False
        try:
            with self._errors("store a chunk", needed_bytes=len(body)):
                durable.write_file(self._temporary(chunk_id), body, is_synced=False)
        except errors.EstampeError as error:
            self._fail(error)
            raise
        full = self._add(chunk_id, len(body))
        if full is not None:
            self._submit(full)
        return True

    def flush(self) -> None:
        """See base.ChunkWriter."""
        with self._lock:
            last, self._batch = self._batch, _Batch()
        if last.chunk_ids:
            self._submit(last)
        futures.wait(self._commits)
        with self._lock:
            self._raise_failure()
        try:
            self._sync()  # the names, and those that `has` found
        except errors.EstampeError as error:
            self._fail(error)
            raise

    def _reserve(self, chunk_id: bytes) -> bool:
        """Promise to store the chunk; False where it is there or on its way."""
        with self._lock:
            self._raise_failure()
            if chunk_id in self._pending:
                return False
            self._pending.add(chunk_id)
        with self._errors("look for a chunk"):
            is_there = self._layout.renew(chunk_id)
        if is_there:
            with self._lock:
                self._pending.discard(chunk_id)
        return not is_there

    def _add(self, chunk_id: bytes, stored_bytes: int) -> _Batch | None:
        """Count a written body in; the batch, where that filled it."""
        with self._lock:
            batch = self._batch
            batch.chunk_ids.append(chunk_id)
            batch.stored_bytes += stored_bytes
            if batch.stored_bytes < self._batch_bytes and len(batch.chunk_ids) < BATCH_CHUNKS:
                return None
            self._batch = _Batch()
            return batch

    def _submit(self, batch: _Batch) -> None:
        self._slots.acquire()
        commit = self._committer.submit(self._commit, batch)
        with self._lock:
            self._commits = [*(one for one in self._commits if not one.done()), commit]

    def _commit(self, batch: _Batch) -> None:
        """In the committer thread: bodies durable, then their names."""
        try:
            if self._failure is None:
                self._sync()
                with self._errors("name a chunk"):
                    for chunk_id in batch.chunk_ids:
                        self._link(chunk_id)
                with self._lock:
                    self._pending.difference_update(batch.chunk_ids)
        except Exception as error:  # noqa: BLE001 - the edge of a thread: told by the next call
            self._fail(error)
        finally:
            self._slots.release()

    def _link(self, chunk_id: bytes) -> None:
        temporary, path = self._temporary(chunk_id), self._layout.chunk(chunk_id)
        while True:
            try:
                os.link(temporary, path)
                break
            except FileExistsError:  # another writer was first, and its body was durable before it had the name
                if self._layout.renew(chunk_id):
                    break  # else a sweep has just taken that one: try again
        os.unlink(temporary)

    def _sync(self) -> None:
        with self._errors("make chunks durable"):
            durable.syncfs(self._sync_fd)

    def _temporary(self, chunk_id: bytes) -> str:
        return f"{self._scratch.path}/{chunk_id.hex()}"

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self._failure = self._failure or error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _closed_error(self) -> errors.StoreUnavailable:
        return errors.StoreUnavailable(where=self._layout.root, action="store a chunk", detail="the writer is closed")

    def _errors(self, action: str, *, needed_bytes: int = 0) -> contextlib.AbstractContextManager[None]:
        return durable.store_errors(self._layout.root, action, needed_bytes=needed_bytes)
