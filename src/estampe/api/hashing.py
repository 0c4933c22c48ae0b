"""A bound on password hashing: each takes 64 MiB and a tenth of a second, and anybody may ask for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeVar, cast

import anyio
import anyio.to_thread
import fastapi

_MAX_AT_ONCE: Final = 2  # 128 MiB; others wait without holding a thread that other requests need
_Answer = TypeVar("_Answer")


class HashLimiter:
    """Runs what hashes passwords, so many at once."""

    def __init__(self, limiter: anyio.CapacityLimiter) -> None:
        self._limiter = limiter

    async def run(self, work: Callable[[], _Answer]) -> _Answer:
        """`work` in a thread of its own."""
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


async def get_limiter(request: fastapi.Request) -> HashLimiter:
    """The application's; made here since a limiter belongs to a running event loop."""
    state = request.app.state
    if state.hash_limiter is None:
        state.hash_limiter = HashLimiter(anyio.CapacityLimiter(_MAX_AT_ONCE))
    return cast("HashLimiter", state.hash_limiter)


Limiter = Annotated[HashLimiter, fastapi.Depends(get_limiter)]
