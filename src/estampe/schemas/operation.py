"""Operations."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Any

import pydantic

from estampe.model import listing, operation, secrecy
from estampe.schemas import wire


class Progress(wire.Answer):
    """A phase in words, and bytes where the phase counts them."""

    phase: str
    done_bytes: int
    total_bytes: int | None


class Operation(wire.Answer):
    """Long work. `change_token` goes back as `seen` to wait for the next change."""

    id: uuid.UUID
    kind: operation.Kind
    subject: str
    state: operation.State
    progress: Progress
    phase_started_at: datetime.datetime | None
    is_cancel_requested: bool
    request: Annotated[dict[str, Any], pydantic.BeforeValidator(secrecy.hide)]
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    ended_at: datetime.datetime | None
    change_token: str
    revision: int
    request_id: str | None


class ListQuery(wire.Query):
    """Which operations to list, and in what order."""

    state: Annotated[list[operation.State], pydantic.Field(max_length=8, description="may be repeated")] = (
        pydantic.Field(default_factory=list)
    )
    kind: operation.Kind | None = None
    subject: wire.Glob | None = None
    since: Annotated[wire.Time, pydantic.Field(description="created then or later; a time with its zone")] | None = None
    sort: Annotated[listing.OperationSort, pydantic.Field(description="`-` is descending")] = (
        listing.OperationSort.CREATED_DESCENDING
    )
    limit: wire.Limit = listing.DEFAULT_LIMIT
    after: wire.Cursor | None = None

    def to_domain(self, *, hidden_kinds: tuple[operation.Kind, ...] = ()) -> listing.OperationQuery:
        """As the service takes it; `hidden_kinds` are those that the caller may not see."""
        return listing.OperationQuery(
            states=tuple(self.state),
            kind=self.kind,
            hidden_kinds=hidden_kinds,
            subject_glob=self.subject,
            since=self.since,
            sort=self.sort,
            limit=self.limit,
            after=self.after,
        )


class OperationList(wire.Answer):
    """One page; `next` goes back as `after` for the page behind it, null on the last."""

    operations: list[Operation]
    next: str | None
