"""Operations as streams of events: one look at the database a tick, however many follow.

Each operation that is followed has one task on the event loop, which reads its row a few times a second (in one of a few
threads, for under a millisecond) and wakes its followers when the row's revision has changed. A follower is a coroutine: a
hundred of them hold no thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Final

import anyio
import anyio.to_thread

from estampe import errors
from estampe.model import operation

TICK_SECONDS: Final = 0.25  # progress is written twice a second
_MAX_LOOKS: Final = 4
_Look = Callable[[], operation.Operation]


class Hub:
    """The followed operations of one application. Used on its event loop only."""

    def __init__(self, stopping: threading.Event, *, tick_seconds: float = TICK_SECONDS) -> None:
        self._stopping = stopping
        self._tick_seconds = tick_seconds
        self._watches: dict[uuid.UUID, _Watch] = {}
        self._limiter: anyio.CapacityLimiter | None = None

    async def follow(
        self, first: operation.Operation, look: _Look, *, seen: int | None
    ) -> AsyncIterator[operation.Operation]:
        """Each state of the operation from `first` on but the revision `seen`; what came in between two ticks is one.

        Ends behind the operation's end, when the operation is gone, and when the daemon stops.
        """
        latest = first
        if latest.revision != seen or latest.state.has_ended:
            yield latest
        if latest.state.has_ended:
            return
        async with self._watching(first, look) as watch:
            while (found := await watch.next(latest.revision)) is not None:
                latest = found
                yield latest
                if latest.state.has_ended:
                    return

    @contextlib.asynccontextmanager
    async def _watching(self, first: operation.Operation, look: _Look) -> AsyncIterator[_Watch]:
        watch = self._watches.get(first.id)
        if watch is None or watch.is_over:
            watch = self._watches[first.id] = _Watch(first)
            watch.task = asyncio.create_task(self._run(watch, look))
        watch.followers += 1
        try:
            yield watch
        finally:
            watch.followers -= 1
            if not watch.followers and watch.task is not None:
                watch.task.cancel()
                if self._watches.get(first.id) is watch:
                    del self._watches[first.id]

    async def _run(self, watch: _Watch, look: _Look) -> None:
        if self._limiter is None:  # made here since a limiter belongs to a running event loop
            self._limiter = anyio.CapacityLimiter(_MAX_LOOKS)
        try:
            while not self._stopping.is_set() and not watch.latest.state.has_ended:
                await asyncio.sleep(self._tick_seconds)
                try:
                    found = await anyio.to_thread.run_sync(look, limiter=self._limiter)
                except errors.Unavailable:
                    continue  # a database that cannot be read now may be at the next tick
                watch.tell(found)
        except errors.NotFound:
            pass  # it was forgotten: its end is long past
        finally:
            watch.is_over = True
            watch.changed.set()


class _Watch:
    """One operation that is followed. `changed` is replaced at each change, so that nobody misses or steals a wake-up."""

    def __init__(self, first: operation.Operation) -> None:
        self.latest = first
        self.followers = 0
        self.is_over = False
        self.changed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def tell(self, found: operation.Operation) -> None:
        if found.revision > self.latest.revision:
            self.latest = found
            self.changed.set()
            self.changed = asyncio.Event()

    async def next(self, revision: int) -> operation.Operation | None:
        """The next state behind that revision; None when there will be none."""
        while self.latest.revision <= revision:
            if self.is_over:
                return None
            await self.changed.wait()
        return self.latest
