"""The audit log: who did what, to what, from where, and what came of it. Entries are added, never changed."""

from __future__ import annotations

import datetime
import enum
import uuid
from dataclasses import dataclass


class Outcome(enum.StrEnum):
    """What came of it."""

    DONE = "done"  # or begun, where it is an operation
    REFUSED = "refused"  # the caller's to solve: not allowed, not found, not possible now
    FAILED = "failed"  # Estampe's or the host's


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change that was asked for. Holds names and ids, never what was sent: no password, key or user data."""

    id: uuid.UUID
    at: datetime.datetime
    account_id: uuid.UUID | None  # in whose log it is; None: the cloud operator's alone
    account: str  # its name by then: the account may be gone
    actor: str
    action: str  # the operation id of the route: start_capture
    subject: str  # what it was done to, as the caller named it
    address: str
    outcome: Outcome
    code: str | None  # of the error
    request_id: str | None
