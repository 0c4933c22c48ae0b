"""API keys in the database; of each secret only its digest."""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from estampe import errors
from estampe.db import database, schema
from estampe.model import account as accounts
from estampe.model import api_key

_keys = schema.api_keys
_accounts = schema.accounts
_users = schema.users
_members = schema.memberships


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
        is_member = sa.and_(_members.c.user_id == _keys.c.user_id, _members.c.account_id == _keys.c.account_id)
        query = (
            sa.select(
                _keys,
                _accounts.c.name.label("account_name"),
                _accounts.c.state.label("account_state"),
                _accounts.c.created_at.label("account_created_at"),
                _users.c.name.label("user_name"),
                _users.c.is_cloud_operator.label("is_user_operator"),
                _members.c.role.label("user_role"),
            )
            .join(_accounts, _accounts.c.id == _keys.c.account_id)
            .outerjoin(_users, _users.c.id == _keys.c.user_id)
            .outerjoin(_members, is_member)
            .where(_keys.c.id == key_id)
        )
        with self._db.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _holder(row)

    def touch(self, key_id: uuid.UUID, *, at: datetime.datetime) -> None:
        """It was used."""
        with self._db.write() as connection:
            connection.execute(sa.update(_keys).where(_keys.c.id == key_id).values(last_used_at=at))

    def list(self, account_id: uuid.UUID) -> list[api_key.ApiKey]:
        """The account's, the newest first; also those that let nobody in any more."""
        query = sa.select(_keys).where(_keys.c.account_id == account_id)
        with self._db.read() as connection:
            return [_key(row) for row in connection.execute(query.order_by(_keys.c.created_at.desc(), _keys.c.id))]

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


def _key(row: Any) -> api_key.ApiKey:
    values = {name: getattr(row, name) for name in api_key.ApiKey.__dataclass_fields__}
    return api_key.ApiKey(**{**values, "role": accounts.Role(row.role)})


def _holder(row: Any) -> Holder:
    owner = accounts.Account(
        id=row.account_id, name=row.account_name, state=accounts.State(row.account_state),
        created_at=row.account_created_at,
    )  # fmt: skip
    return Holder(
        key=_key(row), secret_digest=row.secret_digest, account=owner, user=row.user_name,
        is_user_operator=bool(row.is_user_operator),
        user_role=None if row.user_role is None else accounts.Role(row.user_role),
    )  # fmt: skip
