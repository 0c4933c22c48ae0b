"""Accounts in the database."""

from __future__ import annotations

import uuid

import sqlalchemy as sa

from estampe import errors
from estampe.db import database, schema
from estampe.model import account


class Accounts:
    """The owners."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def get(self, account_id: uuid.UUID) -> account.Account:
        """Raises: errors.AccountNotFound."""
        with self._db.read() as connection:
            row = connection.execute(sa.select(schema.accounts).where(schema.accounts.c.id == account_id)).one_or_none()
        if row is None:
            raise errors.AccountNotFound(account=account_id)
        return account.Account(id=row.id, name=row.name)

    def get_default(self) -> account.Account:
        """The account that is always there."""
        return self.get(account.DEFAULT_ACCOUNT_ID)
