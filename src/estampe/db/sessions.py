"""Sessions of browsers in the database; of each cookie only its digest. One that has ended is gone: the audit log tells of it."""

from __future__ import annotations

import datetime
import functools
import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from estampe import errors
from estampe.db import database, paging, schema, standing
from estampe.model import access, listing, session
from estampe.model import account as accounts

_sessions = schema.sessions
_users = schema.users
_PREFIX: Final = re.compile(r"[0-9a-f]{4,32}")
_ALL: Final = listing.SessionQuery()
_id = paging.Key(column=_sessions.c.id, of=lambda each: each.id, kind=uuid.UUID)
_created = paging.Key(column=_sessions.c.created_at, of=lambda each: each.created_at, kind=datetime.datetime)
_user = paging.Key(column=_users.c.name, of=lambda each: each.user, kind=str)
_ORDERS: Final = {
    listing.SessionSort.CREATED: (_created, _id),
    listing.SessionSort.CREATED_DESCENDING: (replace(_created, is_descending=True), _id),
    listing.SessionSort.USER: (_user, _id),
    listing.SessionSort.USER_DESCENDING: (replace(_user, is_descending=True), _id),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A session with all that decides what it may: one look at the database for each request."""

    session: session.Session
    account: accounts.Account
    is_user_operator: bool  # the person is a cloud operator by now
    user_role: accounts.Role | None  # the person's role in the session's account by now; None: no member


class Sessions:
    """Sessions of all accounts. Times are given by the caller."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def add(self, new: session.Session, *, token_digest: str, replaces: str | None, idle: datetime.timedelta) -> None:
        """Keep a new one; the one with the digest `replaces` ends with the same move, and those that are over go."""
        values = {name: getattr(new, name) for name in session.Session.__dataclass_fields__ if name != "user"}
        with self._db.write() as connection:
            is_over = sa.or_(
                _sessions.c.expires_at <= new.created_at, _sessions.c.last_seen_at <= new.created_at - idle
            )
            connection.execute(sa.delete(_sessions).where(is_over))
            if replaces is not None:
                connection.execute(sa.delete(_sessions).where(_sessions.c.token_digest == replaces))
            connection.execute(sa.insert(_sessions).values(**values, token_digest=token_digest))

    def find(self, token_digest: str) -> Holder | None:
        """The session with whom it stands for."""
        with self._db.look_up() as connection:
            row = connection.execute(_holding(), {"token_digest": token_digest}).one_or_none()
        return None if row is None else _holder(row)

    def touch(self, session_id: uuid.UUID, *, at: datetime.datetime) -> None:
        """It was used."""
        with self._db.write() as connection:
            connection.execute(sa.update(_sessions).where(_sessions.c.id == session_id).values(last_seen_at=at))

    def get(self, session_id: uuid.UUID) -> session.Session:
        """Raises: errors.SessionNotFound."""
        with self._db.read() as connection:
            row = connection.execute(_joined().where(_sessions.c.id == session_id)).one_or_none()
        if row is None:
            raise errors.SessionNotFound(session=str(session_id))
        return _session(row)

    def list(
        self,
        actor: access.Actor,
        query: listing.SessionQuery = _ALL,
        *,
        at: datetime.datetime,
        idle: datetime.timedelta,
    ) -> listing.Page[session.Session]:
        """A page of those of the account that are live `at` that time and that the actor may see.

        Raises: errors.InvalidRequest where `after` is no cursor of that sort.
        """
        order = paging.Order(query.sort, _ORDERS[query.sort])
        wanted = _joined().where(*_visible(actor, at, idle), *_conditions(query))
        with self._db.read() as connection:
            rows = connection.execute(order.apply(wanted, after=query.after, limit=query.limit))
            found = [_session(row) for row in rows]
        return order.page(found, query.limit)

    def find_named(
        self, actor: access.Actor, reference: str, *, at: datetime.datetime, idle: datetime.timedelta
    ) -> Sequence[session.Session]:
        """Those the actor may see with an id that begins so; two at most: who asks wants one."""
        digits = reference.lower().replace("-", "")
        if not _PREFIX.fullmatch(digits):
            return []
        first, last = uuid.UUID(digits.ljust(32, "0")), uuid.UUID(digits.ljust(32, "f"))
        wanted = _joined().where(*_visible(actor, at, idle), _sessions.c.id.between(first, last))
        with self._db.read() as connection:
            rows = connection.execute(wanted.order_by(_sessions.c.id).limit(2))
            return [_session(row) for row in rows]

    def end(self, session_id: uuid.UUID) -> None:
        """It lets nobody in from now on. Raises: errors.SessionNotFound."""
        with self._db.write() as connection:
            ended = sa.delete(_sessions).where(_sessions.c.id == session_id).returning(_sessions.c.id)
            if connection.execute(ended).one_or_none() is None:
                raise errors.SessionNotFound(session=str(session_id))

    def end_all(self, account_id: uuid.UUID) -> int:
        """End all that act for the account; says how many."""
        with self._db.write() as connection:
            ended = sa.delete(_sessions).where(_sessions.c.account_id == account_id).returning(_sessions.c.id)
            return len(connection.execute(ended).all())


@functools.cache  # every request of a browser asks it: see `visible_statements`
def _holding() -> sa.Select[Any]:
    """The session of `token_digest` with whom it stands for."""
    return standing.joined(_sessions).where(_sessions.c.token_digest == sa.bindparam("token_digest", type_=sa.Text))


def _visible(actor: access.Actor, at: datetime.datetime, idle: datetime.timedelta) -> Iterable[sa.ColumnElement[bool]]:
    """Live ones of the account: all for the cloud operator and owners, for others their own."""
    yield _sessions.c.account_id == actor.account_id
    yield _sessions.c.expires_at > at
    yield _sessions.c.last_seen_at > at - idle
    if not (actor.is_cloud_operator or actor.role is accounts.Role.OWNER):
        yield _sessions.c.user_id == actor.user_id


def _conditions(query: listing.SessionQuery) -> Iterable[sa.ColumnElement[bool]]:
    if query.user_glob is not None:
        yield _users.c.name.like(paging.like(query.user_glob), escape="\\")
    if query.method is not None:
        yield _sessions.c.method == query.method


def _joined() -> sa.Select[Any]:
    return sa.select(_sessions, _users.c.name.label("user")).join(_users, _users.c.id == _sessions.c.user_id)


def _session(row: Any) -> session.Session:
    values = {name: getattr(row, name) for name in session.Session.__dataclass_fields__}
    return session.Session(**{**values, "method": session.Method(row.method)})


def _holder(row: Any) -> Holder:
    return Holder(
        session=_session(row), account=standing.account(row), is_user_operator=row.is_user_operator,
        user_role=standing.role(row),
    )  # fmt: skip
