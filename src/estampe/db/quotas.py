"""Quotas in the database, and the count of what an account has.

    used = templates that are complete  +  servers, but for those that a running deploy is making  +  reservations

A deploy's servers have rows before it ends. Until then its reservation stands for them, and the rows are left out by the
names that the deploy has locked: nothing is counted twice, and nothing not at all.
"""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from estampe.db import database, schema
from estampe.model import quota, template

_quotas = schema.quotas
_reservations = schema.operation_reservations
_SERVER_NAME: Final = "server-name/"  # as `jobs.locks.server_name` has it; a test holds the two together


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What an operation will add. `absent` are the account's servers that the host does not have: they count for nothing."""

    amount: quota.Amount
    absent: frozenset[uuid.UUID] = frozenset()


class Quotas:
    """What accounts may have, and have."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def get(self, account_id: uuid.UUID) -> quota.Quota:
        """The account's; one that was given none has no limits."""
        with self._db.read() as connection:
            return _get(connection, account_id)

    def edit(self, account_id: uuid.UUID, changes: dict[str, int | None]) -> quota.Quota:
        """Change the limits that are named; None lifts one."""
        with self._db.write() as connection:
            changed = dataclasses.replace(_get(connection, account_id), **changes)
            connection.execute(sa.delete(_quotas).where(_quotas.c.account_id == account_id))
            connection.execute(sa.insert(_quotas).values(account_id=account_id, **dataclasses.asdict(changed)))
            return changed

    def used(self, account_id: uuid.UUID, *, absent: frozenset[uuid.UUID] = frozenset()) -> quota.Amount:
        """What the account has, with what its running operations will add."""
        with self._db.read() as connection:
            return _used(connection, account_id, absent)


def check(connection: sa.Connection, account_id: uuid.UUID, demand: Demand) -> None:
    """In the transaction that adds the operation: two that begin at once cannot both have the last of something.

    Raises: errors.QuotaExceeded.
    """
    limits = _get(connection, account_id)
    if limits.is_limited:
        quota.check(limits, used=_used(connection, account_id, demand.absent), asked=demand.amount)


def reserve(connection: sa.Connection, operation_id: uuid.UUID, account_id: uuid.UUID, demand: Demand) -> None:
    """Until `release`, also where there is no quota: one may be set meanwhile."""
    values = {"operation_id": operation_id, "account_id": account_id, **dataclasses.asdict(demand.amount)}
    connection.execute(sa.insert(_reservations).values(values))


def release(connection: sa.Connection, operation_id: uuid.UUID) -> None:
    """What the operation made has rows of its own by now."""
    connection.execute(sa.delete(_reservations).where(_reservations.c.operation_id == operation_id))


def _get(connection: sa.Connection, account_id: uuid.UUID) -> quota.Quota:
    row = connection.execute(sa.select(_quotas).where(_quotas.c.account_id == account_id)).mappings().one_or_none()
    return quota.Quota() if row is None else quota.Quota(**{name: row[name] for name in quota.NAMES})


def _used(connection: sa.Connection, account_id: uuid.UUID, absent: frozenset[uuid.UUID]) -> quota.Amount:
    columns = [sa.func.coalesce(sa.func.sum(_reservations.c[name]), 0).label(name) for name in quota.NAMES]
    reserved = connection.execute(sa.select(*columns).where(_reservations.c.account_id == account_id)).mappings().one()
    amount = quota.Amount(**{name: int(reserved[name]) for name in quota.NAMES})
    return amount + _templates(connection, account_id) + _servers(connection, account_id, absent)


def _templates(connection: sa.Connection, account_id: uuid.UUID) -> quota.Amount:
    """Those still CAPTURING are reserved by their captures; those DELETING are as good as gone."""
    table = schema.templates
    counted = (
        table.c.owner_id == account_id,
        table.c.state.not_in([template.State.CAPTURING, template.State.DELETING]),
    )
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(table.c.new_bytes), 0)).where(*counted)
    count, stored = connection.execute(query).one()
    return quota.Amount(templates=count, stored_bytes=int(stored))


def _servers(connection: sa.Connection, account_id: uuid.UUID, absent: frozenset[uuid.UUID]) -> quota.Amount:
    table, locks = schema.servers, schema.operation_locks
    in_making = sa.select(locks.c.key).where(locks.c.key.startswith(_SERVER_NAME, autoescape=True))
    query = sa.select(
        sa.func.count(),
        *(
            sa.func.coalesce(sa.func.sum(column), 0)
            for column in (table.c.cpus, table.c.memory_bytes, table.c.volume_bytes)
        ),
    ).where(table.c.owner_id == account_id, (_SERVER_NAME + table.c.name).not_in(in_making))
    if absent:
        query = query.where(table.c.id.not_in(absent))
    count, cpus, memory, volumes = (int(figure) for figure in _row(connection, query))
    return quota.Amount(servers=count, cpus=cpus, memory_bytes=memory, volume_bytes=volumes)


def _row(connection: sa.Connection, query: sa.Select[Any]) -> tuple[Any, ...]:
    return tuple(connection.execute(query).one())
