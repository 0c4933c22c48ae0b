"""Idempotency keys in the database: what was asked under which key, and what was answered."""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass

import sqlalchemy as sa

from estampe.db import database, schema

_table = schema.idempotency_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A key's row. Without an answer its request runs, or was cut off: then the operation tells how far it came."""

    fingerprint: str
    operation_id: uuid.UUID
    answer: str | None
    is_new: bool


class Keys:
    """The rows, one per account and key. Times are given by the caller."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def claim(
        self, owner_id: uuid.UUID, key: str, *, fingerprint: str, operation_id: uuid.UUID, at: datetime.datetime,
        lifetime: datetime.timedelta,
    ) -> Claim:  # fmt: skip
        """Take the key, or give what it was taken for; keys older than `lifetime` are forgotten first."""
        with self._db.write() as connection:
            connection.execute(sa.delete(_table).where(_table.c.created_at <= at - lifetime))
            row = connection.execute(sa.select(_table).where(*_named(owner_id, key))).one_or_none()
            if row is not None:
                return Claim(
                    fingerprint=row.fingerprint, operation_id=row.operation_id, answer=row.answer, is_new=False
                )
            values = {"fingerprint": fingerprint, "operation_id": operation_id, "answer": None, "created_at": at}
            connection.execute(sa.insert(_table).values(owner_id=owner_id, key=key, **values))
            return Claim(fingerprint=fingerprint, operation_id=operation_id, answer=None, is_new=True)

    def keep(self, owner_id: uuid.UUID, key: str, answer: str) -> None:
        """Record the answer; a key that was forgotten meanwhile stays forgotten."""
        with self._db.write() as connection:
            connection.execute(sa.update(_table).where(*_named(owner_id, key)).values(answer=answer))

    def release(self, owner_id: uuid.UUID, key: str) -> None:
        """Give an unanswered key back: its request made nothing."""
        with self._db.write() as connection:
            connection.execute(sa.delete(_table).where(*_named(owner_id, key), _table.c.answer.is_(None)))


def _named(owner_id: uuid.UUID, key: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return _table.c.owner_id == owner_id, _table.c.key == key
