"""The audit log as the gate writes and people read it."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from estampe.db import audit as audit_rows
from estampe.model import account, audit

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

    def list(
        self, *, account_id: uuid.UUID | None, actor: str | None, action: str | None, since: datetime.datetime | None,
        until: datetime.datetime | None, limit: int, after: uuid.UUID | None,
    ) -> Sequence[audit.Entry]:  # fmt: skip
        """A page, the newest first: one account's, or (None) all."""
        return self.rows.list(
            account_id=account_id, actor=actor, action=action, since=since, until=until, limit=limit, after=after
        )


def _printable(text: str) -> str:
    """Bidirectional marks, control characters and lone surrogates (which no database takes) as escapes."""
    shown = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
    return shown[:_SUBJECT_CHARACTERS]
