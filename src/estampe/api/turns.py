"""Work in threads, so many at once: in turns.

Most work goes to the threads that Starlette has for all. What would be in its own way there takes turns.

*Short work on the database* is who it is that asks, and a page of a list. The interpreter runs one thread at a time anyhow. Side by
side, threads that read rows give its lock up at every row, and have it back only when the switch interval of another thread is
over (5 ms): a page of 100 rows then takes half a second. In turns each takes as long as it takes alone. How many may be at it
together is the database's to say (`Database.readers`). Nothing that may wait for anything but the database belongs here:
everybody would wait with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import anyio
import anyio.to_thread
import fastapi

_Answer = TypeVar("_Answer")


class Turns:
    """Runs work, so many at once, in the order in which it comes; what waits holds no thread."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, work: Callable[[], _Answer]) -> _Answer:
        """`work` in a thread, when it is its turn."""
        if self._limiter is None:  # made here since a limiter belongs to a running event loop
            self._limiter = anyio.CapacityLimiter(self._at_once)
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


async def get_turns(request: fastapi.Request) -> Turns:
    """The application's, for short work on the database."""
    found: Turns = request.app.state.short_turns
    return found


InTurn = Annotated[Turns, fastapi.Depends(get_turns)]
