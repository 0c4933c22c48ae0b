"""The audit log in the database: entries are added, read, and dropped when they are old. Nothing changes one."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Iterable
from typing import Any, Final

import sqlalchemy as sa

from estampe.db import database, paging, schema
from estampe.model import audit, listing

_table = schema.audit_entries
_ALL: Final = listing.AuditQuery()
_at = paging.Key(column=_table.c.at, of=lambda each: each.at, kind=datetime.datetime)
_id = paging.Key(column=_table.c.id, of=lambda each: each.id, kind=uuid.UUID)
_ORDERS: Final = {
    listing.AuditSort.AT: (_at, _id),
    listing.AuditSort.AT_DESCENDING: (
        dataclasses.replace(_at, is_descending=True),
        dataclasses.replace(_id, is_descending=True),
    ),
}


class Audit:
    """Entries of all accounts."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def add(self, entry: audit.Entry) -> None:
        """Keep it; it is durable on return."""
        with self._db.write() as connection:
            connection.execute(sa.insert(_table).values(dataclasses.asdict(entry)))

    def list(self, query: listing.AuditQuery = _ALL) -> listing.Page[audit.Entry]:
        """A page, of one account or of all. Raises: errors.InvalidRequest where `after` is no cursor of that sort."""
        order = paging.Order(query.sort, _ORDERS[query.sort])
        wanted = sa.select(_table).where(*_conditions(query))
        with self._db.read() as connection:
            rows = connection.execute(order.apply(wanted, after=query.after, limit=query.limit)).mappings()
            found = [_entry(row) for row in rows]
        return order.page(found, query.limit)

    def prune(self, *, older_than: datetime.datetime) -> int:
        """Drop what is older; says how many."""
        with self._db.write() as connection:
            query = sa.delete(_table).where(_table.c.at < older_than).returning(_table.c.id)
            return len(connection.execute(query).all())


def _conditions(query: listing.AuditQuery) -> Iterable[sa.ColumnElement[bool]]:
    if query.account_id is not None:
        yield _table.c.account_id == query.account_id
    if query.actor is not None:  # a person by name, whichever key was used: `alice`, `alice (key 1a2b3c4d)`
        by_key = _table.c.actor.startswith(f"{query.actor} (", autoescape=True)
        yield sa.or_(_table.c.actor == query.actor, by_key)
    if query.action is not None:
        yield _table.c.action == query.action
    if query.subject_glob is not None:
        yield _table.c.subject.like(paging.like(query.subject_glob), escape="\\")
    if query.outcome is not None:
        yield _table.c.outcome == query.outcome
    if query.since is not None:
        yield _table.c.at >= query.since
    if query.until is not None:
        yield _table.c.at < query.until


def _entry(row: Any) -> audit.Entry:
    return audit.Entry(**{**row, "outcome": audit.Outcome(row["outcome"])})
