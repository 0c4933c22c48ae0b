"""The audit log."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated

import pydantic

from estampe.model import audit, listing
from estampe.schemas import wire

_Text = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=256, pattern=r"^[ -~]+$")]


class AuditQuery(wire.Query):
    """Which entries to list, and in what order."""

    account: _Text | None = pydantic.Field(None, description="for the cloud operator, who sees all accounts without")
    actor: _Text | None = pydantic.Field(None, description="a person stands also for keys of theirs")
    action: _Text | None = pydantic.Field(None, description="operation id of a route, as start_capture")
    subject: wire.Glob | None = None
    outcome: audit.Outcome | None = None
    since: Annotated[wire.Time, pydantic.Field(description="then or later; a time with its zone")] | None = None
    until: Annotated[wire.Time, pydantic.Field(description="before then; a time with its zone")] | None = None
    sort: Annotated[listing.AuditSort, pydantic.Field(description="`-` is descending")] = (
        listing.AuditSort.AT_DESCENDING
    )
    limit: wire.Limit = listing.DEFAULT_LIMIT
    after: wire.Cursor | None = None

    def to_domain(self, *, account_id: uuid.UUID | None) -> listing.AuditQuery:
        """As the service takes it; `account_id` is the one that may be read, None where it is all."""
        return listing.AuditQuery(
            account_id=account_id,
            actor=self.actor,
            action=self.action,
            subject_glob=self.subject,
            outcome=self.outcome,
            since=self.since,
            until=self.until,
            sort=self.sort,
            limit=self.limit,
            after=self.after,
        )


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
    """One page; `next` goes back as `after` for the page behind it, null on the last."""

    entries: list[AuditEntry]
    next: str | None
