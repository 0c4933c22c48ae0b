"""Errors on the wire: RFC 9457 problem details, with Estampe's code and facts; and the one table to HTTP statuses."""

from __future__ import annotations

from typing import Any, Final

import pydantic

from estampe import errors

TYPE_PREFIX = "urn:estampe:error:"
MEDIA_TYPE = "application/problem+json"


# Unsupported is the caller's to solve and stays as it is however often it is asked: a 4xx. Corrupt is ours, and no
# retry helps: 500, not 503.
STATUSES: Final[dict[type[errors.EstampeError], int]] = {
    errors.Invalid: 400,
    errors.Denied: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Cancelled: 409,
    errors.Unsupported: 422,
    errors.Corrupt: 500,
    errors.Unavailable: 503,
    errors.EstampeError: 500,
    # HTTP has a status of its own for these:
    errors.NotSignedIn: 401,
    errors.TemplateChanged: 412,
    errors.IdempotencyKeyReused: 422,
    errors.SignInLocked: 429,
}


def status_of(kind: type[errors.EstampeError]) -> int:
    """The HTTP status of the error's family."""
    return next(STATUSES[family] for family in kind.__mro__ if family in STATUSES)


class Problem(pydantic.BaseModel):
    """An error. `code` is stable; `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    facts: dict[str, Any] = {}
    request_id: str | None = None  # of an unexpected error: the same as in the daemon's log

    def record(self) -> dict[str, Any]:
        """As `errors.from_record` takes it."""
        return {"code": self.code, "message": self.detail, "facts": self.facts}
