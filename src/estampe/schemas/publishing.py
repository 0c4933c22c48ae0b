"""What accounts may publish, and whose templates they take."""

from __future__ import annotations

from typing import Annotated

import pydantic

from estampe.schemas import account, wire


class AllowRequest(wire.Request):
    """Whether an account may make its templates public."""

    may_publish: bool


class LimitRequest(wire.Request):
    """Whether an account sees the templates of some publishers only; no list leaves the one that is there."""

    is_limited: bool
    publishers: Annotated[list[account.Reference], pydantic.Field(max_length=1000)] | None = None


class Publishing(wire.Answer):
    """What an account may publish, and whose templates it takes; the list has no effect while it is not limited."""

    may_publish: bool
    is_limited: bool
    publishers: list[str]
