"""Shares of templates, what accounts hide of them, and whom accounts take templates from."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from estampe import errors
from estampe.db import database, schema, template_moves, template_reading
from estampe.model import template, visibility

_shares = schema.template_shares
_hidden = schema.hidden_templates
_accounts = schema.accounts
_allowed = schema.allowed_publishers


class Shares:
    """Whom templates are shared with. Who may see what is said by `visible_templates`."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def set(
        self, template_id: uuid.UUID, account_id: uuid.UUID, terms: visibility.Terms, *,
        expires_at: datetime.datetime | None, at: datetime.datetime, by: str,
    ) -> visibility.Share:  # fmt: skip
        """Share a template, or change how it is shared.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids where it is not complete or in the trash.
        """
        values = {"right": terms.right, "note": terms.note, "expires_at": expires_at, "shared_at": at, "shared_by": by}
        with self._db.write() as connection:
            template_moves.check_state(template_reading.get(connection, template_id), template.KEPT)
            connection.execute(sa.delete(_shares).where(_is(template_id, account_id)))
            row = {"template_id": template_id, "account_id": account_id, **values}
            connection.execute(sa.insert(_shares).values(row))
            template_moves.touch(connection, template_id)
            return _fetch(connection, _is(template_id, account_id))[0]

    def remove(self, template_id: uuid.UUID, account_id: uuid.UUID) -> bool:
        """Share it no longer; True when it was shared."""
        query = sa.delete(_shares).where(_is(template_id, account_id)).returning(_shares.c.template_id)
        with self._db.write() as connection:
            was_shared = connection.execute(query).one_or_none() is not None
            if was_shared:
                template_moves.touch(connection, template_id)
            return was_shared

    def list(self, template_id: uuid.UUID) -> Sequence[visibility.Share]:
        """All of a template, those that have expired as well, by the accounts' names."""
        with self._db.read() as connection:
            return _fetch(connection, _shares.c.template_id == template_id)


class Hidden:
    """What accounts leave out of their lists."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def set(self, account_id: uuid.UUID, template_id: uuid.UUID, *, is_hidden: bool) -> None:
        """Hide it, or no longer; so already is fine. Raises: errors.TemplateNotFound where it is gone."""
        key = {"account_id": account_id, "template_id": template_id}
        with self._db.write() as connection:
            template_reading.get(connection, template_id)
            connection.execute(
                sa.delete(_hidden).where(_hidden.c.account_id == account_id, _hidden.c.template_id == template_id)
            )
            if is_hidden:
                connection.execute(sa.insert(_hidden).values(key))


class Publishing:
    """What accounts may publish, and whose templates they take."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def get(self, account_id: uuid.UUID) -> visibility.Publishing:
        """Raises: errors.AccountNotFound."""
        with self._db.read() as connection:
            return _get(connection, account_id)

    def allow(self, account_id: uuid.UUID, *, may_publish: bool) -> visibility.Publishing:
        """Let it publish, or no longer; what is public stays so. Raises: errors.AccountNotFound."""
        with self._db.write() as connection:
            query = sa.update(_accounts).where(_accounts.c.id == account_id)
            connection.execute(query.values(may_publish=may_publish))
            return _get(connection, account_id)

    def limit(
        self, account_id: uuid.UUID, *, is_limited: bool, publisher_ids: Sequence[uuid.UUID] | None
    ) -> visibility.Publishing:
        """Let it see only the templates of those publishers, or everybody's; None leaves the list as it is.

        Raises: errors.AccountNotFound.
        """
        with self._db.write() as connection:
            connection.execute(sa.update(_accounts).where(_accounts.c.id == account_id).values(is_limited=is_limited))
            if publisher_ids is not None:
                connection.execute(sa.delete(_allowed).where(_allowed.c.account_id == account_id))
            rows = [{"account_id": account_id, "publisher_id": each} for each in dict.fromkeys(publisher_ids or ())]
            if rows:
                connection.execute(sa.insert(_allowed), rows)
            return _get(connection, account_id)


def _is(template_id: uuid.UUID, account_id: uuid.UUID) -> sa.ColumnElement[bool]:
    return sa.and_(_shares.c.template_id == template_id, _shares.c.account_id == account_id)


def _fetch(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[visibility.Share]:
    query = sa.select(_shares, _accounts.c.name).join(_accounts, _accounts.c.id == _shares.c.account_id)
    return [_share(row) for row in connection.execute(query.where(condition).order_by(_accounts.c.name))]


def _share(row: Any) -> visibility.Share:
    return visibility.Share(
        template_id=row.template_id,
        account_id=row.account_id,
        account=visibility.publisher_name(row.account_id, row.name),
        terms=visibility.Terms(right=visibility.Right(row.right), note=row.note),
        expires_at=row.expires_at,
        at=row.shared_at,
        by=row.shared_by,
    )


def _get(connection: sa.Connection, account_id: uuid.UUID) -> visibility.Publishing:
    query = sa.select(_accounts.c.may_publish, _accounts.c.is_limited).where(_accounts.c.id == account_id)
    found = connection.execute(query).one_or_none()
    if found is None:
        raise errors.AccountNotFound(account=str(account_id))
    allowed = sa.select(_accounts.c.id, _accounts.c.name).join(_allowed, _allowed.c.publisher_id == _accounts.c.id)
    rows = connection.execute(allowed.where(_allowed.c.account_id == account_id))
    publishers = sorted(visibility.publisher_name(row.id, row.name) for row in rows)
    return visibility.Publishing(
        may_publish=found.may_publish, is_limited=found.is_limited, publishers=tuple(publishers)
    )
