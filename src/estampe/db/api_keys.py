"""API keys in the database; of each secret only its digest."""

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
from estampe.model import access, api_key, listing
from estampe.model import account as accounts

_keys = schema.api_keys
_PREFIX: Final = re.compile(r"[0-9a-f]{4,32}")
_ALL: Final = listing.ApiKeyQuery()
_id = paging.Key(column=_keys.c.id, of=lambda each: each.id, kind=uuid.UUID)
_created = paging.Key(column=_keys.c.created_at, of=lambda each: each.created_at, kind=datetime.datetime)
_name = paging.Key(column=_keys.c.name, of=lambda each: each.name, kind=str)
_ORDERS: Final = {
    listing.ApiKeySort.CREATED: (_created, _id),
    listing.ApiKeySort.CREATED_DESCENDING: (replace(_created, is_descending=True), _id),
    listing.ApiKeySort.NAME: (_name, _id),
    listing.ApiKeySort.NAME_DESCENDING: (replace(_name, is_descending=True), _id),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A key with all that decides what it may: one look at the database for each request."""

    key: api_key.ApiKey
    secret_digest: str
    account: accounts.Account
    user: str | None
    is_user_operator: bool  # the person is a cloud operator by now
    user_role: accounts.Role | None  # the person's role in the key's account by now; None: no member


class ApiKeys:
    """Keys of all accounts. Times are given by the caller."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def add(self, new: api_key.ApiKey, *, secret_digest: str) -> api_key.ApiKey:
        """Keep a new key."""
        values = {name: getattr(new, name) for name in api_key.ApiKey.__dataclass_fields__}
        with self._db.write() as connection:
            connection.execute(sa.insert(_keys).values(**values, secret_digest=secret_digest))
            return new

    def find(self, key_id: uuid.UUID) -> Holder | None:
        """The key with whom it stands for."""
        with self._db.look_up() as connection:
            row = connection.execute(_holding(), {"key_id": key_id}).one_or_none()
        return None if row is None else _holder(row)

    def touch(self, key_id: uuid.UUID, *, at: datetime.datetime) -> None:
        """It was used."""
        with self._db.write() as connection:
            connection.execute(sa.update(_keys).where(_keys.c.id == key_id).values(last_used_at=at))

    def list(
        self, actor: access.Actor, query: listing.ApiKeyQuery = _ALL, *, at: datetime.datetime
    ) -> listing.Page[api_key.ApiKey]:
        """A page of those of the account that the actor may see; what is live is so `at` that time.

        Raises: errors.InvalidRequest where `after` is no cursor of that sort.
        """
        order = paging.Order(query.sort, _ORDERS[query.sort])
        wanted = sa.select(_keys).where(*_visible(actor), *_conditions(query, at))
        with self._db.read() as connection:
            rows = connection.execute(order.apply(wanted, after=query.after, limit=query.limit))
            found = [_key(row) for row in rows]
        return order.page(found, query.limit)

    def find_named(self, actor: access.Actor, reference: str) -> Sequence[api_key.ApiKey]:
        """Those the actor may see of that name and not revoked, or with an id that begins so; two at most: who asks wants one."""
        is_named = sa.and_(_keys.c.name == reference, _keys.c.revoked_at.is_(None))
        digits = reference.lower().replace("-", "")
        if _PREFIX.fullmatch(digits):
            first, last = uuid.UUID(digits.ljust(32, "0")), uuid.UUID(digits.ljust(32, "f"))
            is_named = sa.or_(is_named, _keys.c.id.between(first, last))
        with self._db.read() as connection:
            rows = connection.execute(sa.select(_keys).where(*_visible(actor), is_named).order_by(_keys.c.id).limit(2))
            return [_key(row) for row in rows]

    def revoke(self, key_id: uuid.UUID, *, at: datetime.datetime) -> api_key.ApiKey:
        """It lets nobody in from now on; the first time counts. Raises: errors.ApiKeyNotFound."""
        with self._db.write() as connection:
            is_live = (_keys.c.id == key_id, _keys.c.revoked_at.is_(None))
            connection.execute(sa.update(_keys).where(*is_live).values(revoked_at=at))
            row = connection.execute(sa.select(_keys).where(_keys.c.id == key_id)).one_or_none()
        if row is None:
            raise errors.ApiKeyNotFound(key=str(key_id))
        return _key(row)

    def prune(self, *, older_than: datetime.datetime) -> int:
        """Drop keys that were revoked or expired before that; says how many."""
        over = sa.or_(_keys.c.revoked_at < older_than, _keys.c.expires_at < older_than)
        with self._db.write() as connection:
            return len(connection.execute(sa.delete(_keys).where(over).returning(_keys.c.id)).all())


@functools.cache  # every request asks it: see `visible_statements`
def _holding() -> sa.Select[Any]:
    """The key `key_id` with whom it stands for."""
    return standing.joined(_keys).where(_keys.c.id == sa.bindparam("key_id", type_=sa.Uuid))


def _visible(actor: access.Actor) -> Iterable[sa.ColumnElement[bool]]:
    """Of the account: all for the cloud operator, for an owner all but the operator's own, for others their own."""
    yield _keys.c.account_id == actor.account_id
    if actor.is_cloud_operator:
        return
    yield _keys.c.is_cloud_operator.is_(False)  # those only happen to act for this account by default
    if actor.role is not accounts.Role.OWNER:
        is_shown = _keys.c.id == actor.key_id
        yield is_shown if actor.user_id is None else sa.or_(is_shown, _keys.c.user_id == actor.user_id)


def _conditions(query: listing.ApiKeyQuery, at: datetime.datetime) -> Iterable[sa.ColumnElement[bool]]:
    if query.name_glob is not None:
        yield _keys.c.name.like(paging.like(query.name_glob), escape="\\")
    if query.is_live is not None:
        is_unexpired = sa.or_(_keys.c.expires_at.is_(None), _keys.c.expires_at > at)
        is_live = sa.and_(_keys.c.revoked_at.is_(None), is_unexpired)
        yield is_live if query.is_live else sa.not_(is_live)


def _key(row: Any) -> api_key.ApiKey:
    values = {name: getattr(row, name) for name in api_key.ApiKey.__dataclass_fields__}
    return api_key.ApiKey(**{**values, "role": accounts.Role(row.role)})


def _holder(row: Any) -> Holder:
    return Holder(
        key=_key(row), secret_digest=row.secret_digest, account=standing.account(row), user=row.user,
        is_user_operator=bool(row.is_user_operator), user_role=standing.role(row),
    )  # fmt: skip
