"""The audit log."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated

import pydantic

from estampe.model import audit
from estampe.schemas import wire

_Text = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=256, pattern=r"^[ -~]+$")]


class AuditQuery(pydantic.BaseModel):
    """What to look for. Not strict: all of a query is text."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    account: _Text | None = pydantic.Field(None, description="for the cloud operator, who sees all accounts without")
    actor: _Text | None = pydantic.Field(None, description="a person stands also for keys of theirs")
    action: _Text | None = pydantic.Field(None, description="operation id of a route, as start_capture")
    since: wire.Time | None = None
    until: wire.Time | None = None
    limit: int = pydantic.Field(100, ge=1, le=1000)
    after: uuid.UUID | None = pydantic.Field(None, description="`next` of the page before")


class AuditEntry(wire.Answer):
    """A change that was asked for, by whom and from where, and what came of it."""

    id: uuid.UUID
    at: datetime.datetime
    account: str
    actor: str
    action: str
    subject: str
    address: str
    outcome: audit.Outcome
    code: str | None
    request_id: str | None


class AuditList(wire.Answer):
    """One page, the newest first; `next` goes back as `after` for the page behind it, null on the last."""

    entries: list[AuditEntry]
    next: uuid.UUID | None
