"""Operations: long work that outlives a request, a terminal and the daemon."""

from __future__ import annotations

import datetime
import enum
import hashlib
import uuid
from dataclasses import dataclass
from typing import Any


class Kind(enum.StrEnum):
    """What an operation does."""

    CAPTURE = "capture"
    DEPLOY = "deploy"
    CHECK = "check"  # of the store
    SWEEP = "sweep"  # of the store

    @property
    def is_store_wide(self) -> bool:
        """Whether its report tells of all accounts: the cloud operator's alone."""
        return self in {Kind.CHECK, Kind.SWEEP}


class State(enum.StrEnum):
    """queued -> running -> succeeded | failed | cancelled; a cut-off running one goes on after the daemon's restart."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in {State.SUCCEEDED, State.FAILED, State.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where the work stands: a phase in words, and bytes done of the total where the phase counts bytes."""

    phase: str
    done_bytes: int = 0
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A row of the operations table."""

    id: uuid.UUID
    owner_id: uuid.UUID
    kind: Kind
    subject: str  # the server captured, or the name(s) deployed: for people
    state: State
    progress: Progress
    phase_started_at: datetime.datetime | None
    is_cancel_requested: bool
    request: dict[str, Any]  # what was asked, JSON
    result: dict[str, Any] | None  # what came out, JSON; set exactly when succeeded
    error: dict[str, Any] | None  # errors.EstampeError.to_record(); set exactly when failed or cancelled
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    ended_at: datetime.datetime | None

    @property
    def change_token(self) -> str:
        """Differs whenever something that a follower shows has changed: state, progress, or the wish to cancel."""
        seen = (self.state.value, self.progress, self.is_cancel_requested)
        return hashlib.blake2b(repr(seen).encode(errors="backslashreplace"), digest_size=8).hexdigest()
