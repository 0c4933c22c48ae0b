"""Failed attempts to sign in, in the database: a restart does not forget them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from estampe import errors
from estampe.db import database, schema
from estampe.model import sign_in

_table = schema.sign_in_failures


class SignIns:
    """Counts by name and by address. Times are given by the caller."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def begin(self, keys: Sequence[str], *, at: datetime.datetime) -> None:
        """Count an attempt under each of `keys`, before it is known to be right.

        Raises: errors.SignInLocked, where one is locked; nothing is counted then, so a lock ends however often it is tried.
        """
        with self._db.write() as connection:
            _forget_old(connection, at)
            found = {key: _find(connection, key) for key in keys}
            seconds = max(sign_in.locked_seconds(count, at) for count in found.values())
            if seconds:
                raise errors.SignInLocked(seconds=seconds)
            for key, count in found.items():
                _put(connection, sign_in.counted(count, key, at))

    def succeed(self, keys: Sequence[str]) -> None:
        """The attempt was right: take it back."""
        with self._db.write() as connection:
            for count in [_find(connection, key) for key in keys]:
                if count is not None:
                    _put(connection, sign_in.taken_back(count))


def _forget_old(connection: sa.Connection, at: datetime.datetime) -> None:
    """Names that nobody has can be tried without end: what counts no more does not stay."""
    is_over = (_table.c.since <= at - sign_in.LONGEST_WINDOW, sa.func.coalesce(_table.c.locked_until, at) <= at)
    connection.execute(sa.delete(_table).where(*is_over))


def _find(connection: sa.Connection, key: str) -> sign_in.Count | None:
    row = connection.execute(sa.select(_table).where(_table.c.key == key)).one_or_none()
    return None if row is None else _count(row)


def _put(connection: sa.Connection, count: sign_in.Count) -> None:
    values = {"failures": count.failures, "since": count.since, "locked_until": count.locked_until}
    connection.execute(sa.delete(_table).where(_table.c.key == count.key))
    if count.failures:
        connection.execute(sa.insert(_table).values(key=count.key, **values))


def _count(row: Any) -> sign_in.Count:
    return sign_in.Count(key=row.key, failures=row.failures, since=row.since, locked_until=row.locked_until)
