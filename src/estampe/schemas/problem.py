"""Errors on the wire: RFC 9457 problem details, with Estampe's code and facts."""

from __future__ import annotations

from typing import Any

import pydantic

TYPE_PREFIX = "urn:estampe:error:"
MEDIA_TYPE = "application/problem+json"


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
