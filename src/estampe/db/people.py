"""People in the database: users, their password hashes, and their roles in accounts."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from estampe import errors
from estampe.db import database, schema
from estampe.model import account

_users = schema.users
_members = schema.memberships
_keys = schema.api_keys


class People:
    """Users and memberships."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def add(
        self, *, id: uuid.UUID, name: str, password_hash: str | None, is_cloud_operator: bool,
        created_at: datetime.datetime,
    ) -> account.User:  # fmt: skip
        """A new user. Raises: errors.InvalidName, errors.NameInUse."""
        values = {
            "id": id, "name": account.check_user_name(name), "password_hash": password_hash,
            "is_cloud_operator": is_cloud_operator, "created_at": created_at,
        }  # fmt: skip
        with self._db.write() as connection:
            if _find(connection, name) is not None:
                raise errors.NameInUse(name=name, what="a user")
            connection.execute(sa.insert(_users).values(values))
            return _user(_get(connection, name))

    def get(self, name: str) -> account.User:
        """Raises: errors.UserNotFound."""
        with self._db.read() as connection:
            return _user(_get(connection, name))

    def find_secret(self, name: str) -> tuple[account.User, str | None] | None:
        """The user and the hash of the password; None: there is no such user."""
        with self._db.read() as connection:
            row = _find(connection, name)
        return None if row is None else (_user(row), row.password_hash)

    def list(self) -> list[account.User]:
        """All, by name."""
        with self._db.read() as connection:
            return [_user(row) for row in connection.execute(sa.select(_users).order_by(_users.c.name))]

    def set_password(self, name: str, password_hash: str, *, at: datetime.datetime) -> account.User:
        """Change it, and revoke what was signed in with the old one. Raises: errors.UserNotFound."""
        with self._db.write() as connection:
            user = _get(connection, name)
            connection.execute(sa.update(_users).where(_users.c.id == user.id).values(password_hash=password_hash))
            signed_in = (_keys.c.user_id == user.id, _keys.c.is_sign_in, _keys.c.revoked_at.is_(None))
            connection.execute(sa.update(_keys).where(*signed_in).values(revoked_at=at))
            return _user(_get(connection, name))

    def rehash(self, user_id: uuid.UUID, password_hash: str) -> None:
        """The same password, hashed with newer parameters."""
        with self._db.write() as connection:
            connection.execute(sa.update(_users).where(_users.c.id == user_id).values(password_hash=password_hash))

    def remove(self, name: str) -> account.User:
        """Drop the user with all memberships and keys. Raises: errors.UserNotFound."""
        with self._db.write() as connection:
            user = _user(_get(connection, name))
            connection.execute(sa.delete(_users).where(_users.c.id == user.id))
            return user

    # --- memberships ----------------------------------------------------------------------------------------------

    def set_member(self, account_id: uuid.UUID, name: str, role: account.Role, *, is_new: bool) -> account.Member:
        """Make the user a member (`is_new`), or change the role of one.

        Raises: errors.UserNotFound and errors.NameInUse where new, else errors.MemberNotFound.
        """
        with self._db.write() as connection:
            found = _find_member(connection, account_id, name)
            if is_new:
                user = _get(connection, name)
                if found is not None:
                    raise errors.NameInUse(name=name, what="a member of the account already")
                values = {"account_id": account_id, "user_id": user.id, "role": role}
                connection.execute(sa.insert(_members).values(values))
                return account.Member(account_id=account_id, user_id=user.id, user=name, role=role)
            if found is None:
                raise _no_member(connection, account_id, name)
            connection.execute(sa.update(_members).where(*_is(found)).values(role=role))
            return account.Member(account_id=account_id, user_id=found.user_id, user=name, role=role)

    def remove_member(self, account_id: uuid.UUID, name: str) -> account.Member:
        """Raises: errors.MemberNotFound."""
        with self._db.write() as connection:
            found = _find_member(connection, account_id, name)
            if found is None:
                raise _no_member(connection, account_id, name)
            connection.execute(sa.delete(_members).where(*_is(found)))
            return found

    def list_members(self, account_id: uuid.UUID) -> Sequence[account.Member]:
        """The account's, by name."""
        query = _joined().where(_members.c.account_id == account_id).order_by(_users.c.name)
        with self._db.read() as connection:
            return [_member(row) for row in connection.execute(query)]

    def list_memberships(self, user_id: uuid.UUID) -> Sequence[tuple[account.Account, account.Role]]:
        """The accounts that a user is a member of, by name."""
        accounts = schema.accounts
        query = (
            sa.select(accounts, _members.c.role)
            .join(_members, _members.c.account_id == accounts.c.id)
            .where(_members.c.user_id == user_id)
            .order_by(accounts.c.name)
        )
        with self._db.read() as connection:
            return [
                (
                    account.Account(
                        id=row.id, name=row.name, state=account.State(row.state), created_at=row.created_at
                    ),
                    account.Role(row.role),
                )
                for row in connection.execute(query)
            ]


def _find(connection: sa.Connection, name: str) -> Any:
    return connection.execute(sa.select(_users).where(_users.c.name == name)).one_or_none()


def _get(connection: sa.Connection, name: str) -> Any:
    row = _find(connection, name)
    if row is None:
        raise errors.UserNotFound(user=name)
    return row


def _user(row: Any) -> account.User:
    return account.User(
        id=row.id, name=row.name, is_cloud_operator=row.is_cloud_operator, has_password=row.password_hash is not None,
        created_at=row.created_at,
    )  # fmt: skip


def _joined() -> sa.Select[Any]:
    columns = (_members.c.account_id, _members.c.user_id, _users.c.name.label("user"), _members.c.role)
    return sa.select(*columns).join(_users, _users.c.id == _members.c.user_id)


def _member(row: Any) -> account.Member:
    return account.Member(account_id=row.account_id, user_id=row.user_id, user=row.user, role=account.Role(row.role))


def _find_member(connection: sa.Connection, account_id: uuid.UUID, name: str) -> account.Member | None:
    query = _joined().where(_members.c.account_id == account_id, _users.c.name == name)
    row = connection.execute(query).one_or_none()
    return None if row is None else _member(row)


def _is(member: account.Member) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return _members.c.account_id == member.account_id, _members.c.user_id == member.user_id


def _no_member(connection: sa.Connection, account_id: uuid.UUID, name: str) -> errors.MemberNotFound:
    """The same for a user of another account as for none at all."""
    row = connection.execute(sa.select(schema.accounts.c.name).where(schema.accounts.c.id == account_id)).one_or_none()
    return errors.MemberNotFound(user=name, account=str(account_id) if row is None else row.name)
