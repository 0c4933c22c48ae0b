"""A bound on password hashing: each takes 64 MiB and a tenth of a second, and anybody may ask for it."""

from __future__ import annotations

from typing import Annotated, Final

import fastapi

from estampe.api import turns

AT_ONCE: Final = 2  # 128 MiB


async def get_limiter(request: fastapi.Request) -> turns.Turns:
    """The application's, for what hashes passwords."""
    found: turns.Turns = request.app.state.hash_turns
    return found


Limiter = Annotated[turns.Turns, fastapi.Depends(get_limiter)]
