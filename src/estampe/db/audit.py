"""The audit log in the database: entries are added, read, and dropped when they are old. Nothing changes one."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from typing import Any

import sqlalchemy as sa

from estampe.db import database, schema
from estampe.model import audit

_table = schema.audit_entries


class Audit:
    """Entries of all accounts."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def add(self, entry: audit.Entry) -> None:
        """Keep it; it is durable on return."""
        with self._db.write() as connection:
            connection.execute(sa.insert(_table).values(dataclasses.asdict(entry)))

    def list(
        self, *, account_id: uuid.UUID | None = None, actor: str | None = None, action: str | None = None,
        since: datetime.datetime | None = None, until: datetime.datetime | None = None, limit: int = 100,
        after: uuid.UUID | None = None,
    ) -> list[audit.Entry]:  # fmt: skip
        """A page, the newest first: of one account, or of all. `after` is the id of the last one of the page before.

        An `after` that is not there (any more), or not among what is asked for, gives no entries.
        """
        query = sa.select(_table)
        if account_id is not None:
            query = query.where(_table.c.account_id == account_id)
        if actor is not None:  # a person by name, whichever key was used: `alice`, `alice (key 1a2b3c4d)`
            by_key = _table.c.actor.startswith(f"{actor} (", autoescape=True)
            query = query.where(sa.or_(_table.c.actor == actor, by_key))
        if action is not None:
            query = query.where(_table.c.action == action)
        if since is not None:
            query = query.where(_table.c.at >= since)
        if until is not None:
            query = query.where(_table.c.at < until)
        with self._db.read() as connection:
            if after is not None:
                last = connection.execute(query.where(_table.c.id == after)).one_or_none()
                if last is None:
                    return []
                same_time = sa.and_(_table.c.at == last.at, _table.c.id < last.id)
                query = query.where(sa.or_(_table.c.at < last.at, same_time))
            query = query.order_by(_table.c.at.desc(), _table.c.id.desc()).limit(limit)
            return [_entry(row) for row in connection.execute(query).mappings()]

    def prune(self, *, older_than: datetime.datetime) -> int:
        """Drop what is older; says how many."""
        with self._db.write() as connection:
            query = sa.delete(_table).where(_table.c.at < older_than).returning(_table.c.id)
            return len(connection.execute(query).all())


def _entry(row: Any) -> audit.Entry:
    return audit.Entry(**{**row, "outcome": audit.Outcome(row["outcome"])})
