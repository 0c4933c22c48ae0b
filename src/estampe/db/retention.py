"""Retention rules in the database."""

from __future__ import annotations

import dataclasses
import uuid

import sqlalchemy as sa

from estampe import errors
from estampe.db import accounts, database, schema
from estampe.model import retention

_table = schema.retention_rules


class Rules:
    """Each account's rules, one for a pattern."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def set(self, rule: retention.Rule) -> None:
        """Keep it, in place of the one that the account has for that pattern."""
        with self._db.write() as connection:
            connection.execute(sa.delete(_table).where(_is(rule.owner_id, rule.pattern)))
            connection.execute(sa.insert(_table).values(dataclasses.asdict(rule)))

    def remove(self, owner_id: uuid.UUID, pattern: str) -> None:
        """Raises: errors.RetentionRuleNotFound."""
        query = sa.delete(_table).where(_is(owner_id, pattern)).returning(_table.c.pattern)
        with self._db.write() as connection:
            if connection.execute(query).one_or_none() is None:
                raise errors.RetentionRuleNotFound(pattern=pattern)

    def list_owners(self) -> list[uuid.UUID]:
        """The accounts that have rules; of those that are suspended nothing is changed."""
        query = sa.select(_table.c.owner_id).distinct().order_by(_table.c.owner_id)
        query = query.where(_table.c.owner_id.in_(accounts.active()))
        with self._db.read() as connection:
            return list(connection.execute(query).scalars())

    def list(self, owner_id: uuid.UUID) -> list[retention.Rule]:
        """The account's, by pattern."""
        query = sa.select(_table).where(_table.c.owner_id == owner_id).order_by(_table.c.pattern)
        with self._db.read() as connection:
            return [retention.Rule(**row) for row in connection.execute(query).mappings()]


def _is(owner_id: uuid.UUID, pattern: str) -> sa.ColumnElement[bool]:
    return sa.and_(_table.c.owner_id == owner_id, _table.c.pattern == pattern)
