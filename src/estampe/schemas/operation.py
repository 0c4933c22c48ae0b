"""Operations."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Any

import pydantic

from estampe.model import operation
from estampe.schemas import wire


class Progress(wire.Answer):
    """A phase in words, and bytes where the phase counts them."""

    phase: str
    done_bytes: int
    total_bytes: int | None


def _hide_user_data(request: Any) -> Any:
    """The request without user data, which is where people put passwords; found at any depth."""
    if not isinstance(request, dict):
        return request
    return {
        key: f"({len(value)} characters)" if key == "user_data" and isinstance(value, str) else _hide_user_data(value)
        for key, value in request.items()
    }


class Operation(wire.Answer):
    """Long work. `change_token` goes back as `seen` to wait for the next change."""

    id: uuid.UUID
    kind: operation.Kind
    subject: str
    state: operation.State
    progress: Progress
    phase_started_at: datetime.datetime | None
    is_cancel_requested: bool
    request: Annotated[dict[str, Any], pydantic.BeforeValidator(_hide_user_data)]
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    ended_at: datetime.datetime | None
    change_token: str


class OperationList(wire.Answer):
    """Operations, the newest first."""

    operations: list[Operation]
