"""The audit log as the gate writes and people read it."""

from __future__ import annotations

import datetime
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.db import accounts as account_rows
from estampe.db import audit as audit_rows
from estampe.model import account, audit, listing

HOUSEKEEPING: Final = "the daemon"  # the actor of what nobody asked for; names of users have no spaces
_DAEMON: Final = "daemon"  # the address of what comes from nowhere else
_log = logging.getLogger(__name__)
_SUBJECT_CHARACTERS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditService:
    """The log of one installation."""

    rows: audit_rows.Audit
    now: Callable[[], datetime.datetime]
    new_id: Callable[[], uuid.UUID] = uuid.uuid4

    def record(
        self, *, actor: str, account: account.Account | None, action: str, subject: str, address: str,
        outcome: audit.Outcome, code: str | None, request_id: str | None,
    ) -> audit.Entry:  # fmt: skip
        """Add an entry; it is durable on return. What callers named is made printable, and short."""
        entry = audit.Entry(
            id=self.new_id(), at=self.now(), account_id=None if account is None else account.id,
            account="" if account is None else account.name, actor=actor, action=action, subject=_printable(subject),
            address=address, outcome=outcome, code=code, request_id=request_id,
        )  # fmt: skip
        self.rows.add(entry)
        return entry

    def list(self, query: listing.AuditQuery) -> listing.Page[audit.Entry]:
        """A page, of one account or of all. Raises: errors.InvalidRequest."""
        return self.rows.list(query)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unasked:
    """Records what the daemon does to an account's things of its own accord: see `catalogue.unasked.Recorder`."""

    audit: AuditService
    accounts: account_rows.Accounts

    def __call__(self, owner_id: uuid.UUID, *, action: str, subject: str) -> None:
        """It was done; where no entry can be kept, the daemon's log gets it."""
        try:
            self.audit.record(
                actor=HOUSEKEEPING, account=self.accounts.get(owner_id), action=action, subject=subject,
                address=_DAEMON, outcome=audit.Outcome.DONE, code=None, request_id=None,
            )  # fmt: skip
        except errors.EstampeError:
            _log.exception("no audit entry: %s %s %r", HOUSEKEEPING, action, subject)


def _printable(text: str) -> str:
    """Bidirectional marks, control characters and lone surrogates (which no database takes) as escapes."""
    shown = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
    return shown[:_SUBJECT_CHARACTERS]
