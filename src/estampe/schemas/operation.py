"""Operations."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Any, Final

import pydantic

from estampe.model import listing, operation
from estampe.schemas import wire


class Progress(wire.Answer):
    """A phase in words, and bytes where the phase counts them."""

    phase: str
    done_bytes: int
    total_bytes: int | None


_PASSWORDS: Final = frozenset({"password_hash", "admin_password"})  # of which not even the length is told
_TEXTS: Final = frozenset({"user_data", "commands"})


def _hide_secrets(request: Any) -> Any:
    """The request without passwords, and without texts that people put passwords into; found at any depth."""
    if isinstance(request, list):
        return [_hide_secrets(each) for each in request]
    if not isinstance(request, dict):
        return request
    return {key: _hidden(key, value) for key, value in request.items()}


def _hidden(key: str, value: Any) -> Any:
    if key in _PASSWORDS:
        return None if value is None else "(not shown)"
    if key not in _TEXTS:
        return _hide_secrets(value)
    if isinstance(value, list):
        return [_hidden(key, each) for each in value]
    return None if value is None else f"({len(str(value))} characters)"


class Operation(wire.Answer):
    """Long work. `change_token` goes back as `seen` to wait for the next change."""

    id: uuid.UUID
    kind: operation.Kind
    subject: str
    state: operation.State
    progress: Progress
    phase_started_at: datetime.datetime | None
    is_cancel_requested: bool
    request: Annotated[dict[str, Any], pydantic.BeforeValidator(_hide_secrets)]
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
