"""Failed attempts to sign in, in the database: a restart does not forget them."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from estampe import errors
from estampe.db import database, schema
from estampe.model import sign_in

_table = schema.sign_in_failures
_places = schema.sign_in_places


class SignIns:
    """Counts by what `model.sign_in` says. Times are given by the caller."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def begin(self, keys: Sequence[str], *, at: datetime.datetime) -> None:
        """Count an attempt under each of `keys`, before it is known to be right.

        Raises: errors.SignInLocked, where one is locked; nothing is counted then, so a lock ends however often it is tried.
        """
        with self._db.write() as connection:
            _count_all(connection, keys, at)

    def begin_password(self, name: str, address: str, *, at: datetime.datetime) -> Sequence[str]:
        """Count an attempt by password; returns what it was counted under. Raises: errors.SignInLocked, as `begin`."""
        with self._db.write() as connection:
            is_known = _is_known_place(connection, name, sign_in.network(address), at)
            keys = sign_in.password_keys(name, address, is_known_place=is_known)
            _count_all(connection, keys, at)
        return keys

    def succeed(self, keys: Sequence[str]) -> None:
        """The attempt was right: take it back."""
        with self._db.write() as connection:
            for count in [_find(connection, key) for key in keys]:
                if count is not None:
                    _put(connection, sign_in.taken_back(count))

    def note_place(self, user_id: uuid.UUID, address: str, *, at: datetime.datetime) -> None:
        """The person has signed in from there."""
        values = {"user_id": user_id, "network": sign_in.network(address), "seen_at": at}
        with self._db.write() as connection:
            is_over = _places.c.seen_at <= at - sign_in.PLACE_LIFE
            is_place = sa.and_(_places.c.user_id == user_id, _places.c.network == values["network"])
            connection.execute(sa.delete(_places).where(sa.or_(is_over, is_place)))
            connection.execute(sa.insert(_places).values(values))


def _count_all(connection: sa.Connection, keys: Sequence[str], at: datetime.datetime) -> None:
    _forget_old(connection, at)
    found = {key: _find(connection, key) for key in keys}
    seconds = max(sign_in.locked_seconds(count, at) for count in found.values())
    if seconds:
        raise errors.SignInLocked(seconds=seconds)
    for key, count in found.items():
        _put(connection, sign_in.counted(count, key, at))


def _is_known_place(connection: sa.Connection, name: str, network: str, at: datetime.datetime) -> bool:
    query = (
        sa.select(_places.c.network)
        .join(schema.users, schema.users.c.id == _places.c.user_id)
        .where(schema.users.c.name == name, _places.c.network == network)
        .where(_places.c.seen_at > at - sign_in.PLACE_LIFE)
    )
    return connection.execute(query).first() is not None


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
