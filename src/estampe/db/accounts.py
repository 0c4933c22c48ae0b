"""Accounts in the database."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from estampe import errors
from estampe.db import database, schema
from estampe.model import account, operation

_table = schema.accounts
_ENDED: Final = tuple(state for state in operation.State if state.has_ended)


class Accounts:
    """The owners."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def add(self, *, id: uuid.UUID, name: str, created_at: datetime.datetime) -> account.Account:
        """A new one. Raises: errors.InvalidName, errors.NameInUse."""
        values = {"id": id, "name": account.check_name(name), "state": account.State.ACTIVE, "created_at": created_at}
        with self._db.write() as connection:
            if connection.execute(sa.select(_table.c.id).where(_table.c.name == name)).first() is not None:
                raise errors.NameInUse(name=name, what="an account")
            connection.execute(sa.insert(_table).values(values))
            return _get(connection, _table.c.id == id, id)

    def get(self, account_id: uuid.UUID) -> account.Account:
        """Raises: errors.AccountNotFound."""
        with self._db.read() as connection:
            return _get(connection, _table.c.id == account_id, account_id)

    def get_default(self) -> account.Account:
        """The account that is always there."""
        return self.get(account.DEFAULT_ACCOUNT_ID)

    def resolve(self, reference: str) -> account.Account:
        """By name or id. Raises: errors.AccountNotFound."""
        with self._db.read() as connection:
            return _get(connection, _is_named(reference), reference)

    def list(self) -> list[account.Account]:
        """All, by name."""
        with self._db.read() as connection:
            return [_account(row) for row in connection.execute(sa.select(_table).order_by(_table.c.name))]

    def set_state(self, account_id: uuid.UUID, state: account.State) -> account.Account:
        """Suspend or resume. Raises: errors.AccountNotFound."""
        with self._db.write() as connection:
            connection.execute(sa.update(_table).where(_table.c.id == account_id).values(state=state))
            return _get(connection, _table.c.id == account_id, account_id)

    def remove(self, account_id: uuid.UUID) -> Sequence[uuid.UUID]:
        """Drop it with its members, keys, quota and ended operations; returns the ids of those, for the engine.

        Raises: errors.AccountNotFound, errors.AccountInUse where it has templates, servers or unfinished operations.
        """
        with self._db.write() as connection:
            found = _get(connection, _table.c.id == account_id, account_id)
            left = _belongings(connection, account_id)
            if left:
                raise errors.AccountInUse(account=found.name, what=", ".join(left))
            operations = sa.delete(schema.operations).where(schema.operations.c.owner_id == account_id)
            ended = list(connection.execute(operations.returning(schema.operations.c.id)).scalars())
            connection.execute(sa.delete(_table).where(_table.c.id == account_id))
            return ended


def _belongings(connection: sa.Connection, account_id: uuid.UUID) -> list[str]:
    """In words, what keeps the account from being deleted."""
    templates, servers, operations = schema.templates, schema.servers, schema.operations
    counts: dict[str, sa.Select[Any]] = {
        "templates": sa.select(sa.func.count()).where(templates.c.owner_id == account_id),
        "servers": sa.select(sa.func.count()).where(servers.c.owner_id == account_id),
        "unfinished operations": sa.select(sa.func.count()).where(
            operations.c.owner_id == account_id, operations.c.state.not_in(_ENDED)
        ),
    }
    told = {what: connection.execute(query).scalar_one() for what, query in counts.items()}
    return [f"{count} {what}" for what, count in told.items() if count]


def _is_named(reference: str) -> sa.ColumnElement[bool]:
    try:
        return _table.c.id == uuid.UUID(reference)
    except ValueError:
        return _table.c.name == reference


def _get(connection: sa.Connection, condition: sa.ColumnElement[bool], reference: object) -> account.Account:
    row = connection.execute(sa.select(_table).where(condition)).one_or_none()
    if row is None:
        raise errors.AccountNotFound(account=str(reference))
    return _account(row)


def _account(row: Any) -> account.Account:
    return account.Account(id=row.id, name=row.name, state=account.State(row.state), created_at=row.created_at)
