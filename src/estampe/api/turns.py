"""Turns at short work on the database: who it is that asks, and a page of a list.

The interpreter runs one thread at a time anyhow. Side by side, threads that read rows give its lock up at every row, and have it
back only when the switch interval of another thread is over (5 ms): a page of 100 rows then takes half a second. In turns each
takes as long as it takes alone. How many may be at it together is the database's to say (`Database.readers`). Nothing that may wait for anything but the database belongs here: everybody would wait with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar, cast

import anyio
import anyio.to_thread
import fastapi

_Answer = TypeVar("_Answer")


class Turns:
    """Runs short work, so many at once, in the order in which it comes."""

    def __init__(self, limiter: anyio.CapacityLimiter) -> None:
        self._limiter = limiter

    async def run(self, work: Callable[[], _Answer]) -> _Answer:
        """`work` in a thread, when it is its turn."""
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


async def get_turns(request: fastapi.Request) -> Turns:
    """The application's; made here since a limiter belongs to a running event loop."""
    state = request.app.state
    if state.short_turns is None:
        state.short_turns = Turns(anyio.CapacityLimiter(state.readers))
    return cast("Turns", state.short_turns)


InTurn = Annotated[Turns, fastapi.Depends(get_turns)]
