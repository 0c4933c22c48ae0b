"""Operations in the database: what people see of long work, and the locks that keep two of them apart."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from estampe import errors
from estampe.db import database, paging, quotas, schema, visible_templates
from estampe.model import listing, operation, secrecy

_table = schema.operations
_locks = schema.operation_locks
_ENDED: Final = tuple(state for state in operation.State if state.has_ended)
_HEX: Final = re.compile(r"[0-9a-f]{1,32}")
_id = paging.Key(column=_table.c.id, of=lambda each: each.id, kind=uuid.UUID)
_created = paging.Key(column=_table.c.created_at, of=lambda each: each.created_at, kind=datetime.datetime)
_ALL: Final = listing.OperationQuery()
_ORDERS: Final = {
    listing.OperationSort.CREATED: (_created, _id),
    listing.OperationSort.CREATED_DESCENDING: (replace(_created, is_descending=True), replace(_id, is_descending=True)),
}


@dataclass(frozen=True, slots=True)
class Lock:
    """What an operation needs for itself (exclusive), or as it is (shared): `server/<uuid>`, `template/<id>`, ..."""

    key: str
    is_exclusive: bool


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock and the unfinished operation that holds it."""

    key: str
    operation_id: uuid.UUID
    is_exclusive: bool


class LockHeld(Exception):
    """Another unfinished operation holds a lock that conflicts. Services say which thing is busy, in its own words."""

    def __init__(self, key: str, operation_id: uuid.UUID) -> None:
        super().__init__(f"{key} is locked by operation {operation_id}")
        self.key = key
        self.operation_id = operation_id


class Operations:
    """The operations' rows. Times are given by the caller."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def add(  # noqa: PLR0913 - the columns of a new row
        self, *, id: uuid.UUID, owner_id: uuid.UUID, kind: operation.Kind, subject: str, request: dict[str, Any],
        locks: Sequence[Lock] = (), demand: quotas.Demand | None = None, uses: Sequence[visible_templates.Use] = (),
        created_at: datetime.datetime, request_id: str | None = None,
    ) -> operation.Operation:  # fmt: skip
        """A QUEUED operation that holds `locks` until it ends: both or neither. The same id again gives what is there.

        `demand` is what it will add to what its account has; it is reserved until the operation ends. `uses` are templates that
        the account must still see now that they are locked.
        Raises: LockHeld, errors.QuotaExceeded, errors.TemplateNotFound.
        """
        with self._db.write() as connection:
            found = _find(connection, id)
            if found is not None:
                return found
            for lock in locks:
                _check_lock(connection, lock)
            for use in uses:
                visible_templates.check(connection, use, created_at)
            if demand is not None:
                quotas.check(connection, owner_id, demand)
            row = {
                "id": id, "owner_id": owner_id, "kind": kind, "subject": subject, "state": operation.State.QUEUED,
                "phase": "queued", "done_bytes": 0, "is_cancel_requested": False, "request": request,
                "created_at": created_at, "request_id": request_id,
            }  # fmt: skip
            connection.execute(sa.insert(_table).values(row))
            _take(connection, id, locks)
            if demand is not None:
                quotas.reserve(connection, id, owner_id, demand)
            return _get(connection, id)

    def start(self, operation_id: uuid.UUID, *, at: datetime.datetime) -> operation.Operation:
        """QUEUED to RUNNING; one that runs or has ended stays as it is. Raises: errors.OperationNotFound."""
        queued = (_table.c.id == operation_id, _table.c.state == operation.State.QUEUED)
        values = {"state": operation.State.RUNNING, "started_at": at, "phase": "starting", "phase_started_at": at}
        with self._db.write() as connection:
            connection.execute(sa.update(_table).where(*queued).values(values))
            return _get(connection, operation_id)

    def report(self, operation_id: uuid.UUID, progress: operation.Progress, *, at: datetime.datetime) -> None:
        """Keep where the work stands. An operation that has ended, or is not there, is left alone.

        A phase begins at `at` when its name is new, or when its count went back (a step that runs again).
        """
        is_same = sa.and_(_table.c.phase == progress.phase, _table.c.done_bytes <= progress.done_bytes)
        values = {
            "phase": progress.phase,
            "done_bytes": progress.done_bytes,
            "total_bytes": progress.total_bytes,
            "phase_started_at": sa.case(
                (is_same, _table.c.phase_started_at), else_=sa.literal(at, schema.UtcDateTime())
            ),
        }
        with self._db.write() as connection:
            running = (_table.c.id == operation_id, _table.c.state.not_in(_ENDED))
            connection.execute(sa.update(_table).where(*running).values(values))

    def request_cancel(self, operation_id: uuid.UUID, *, at: datetime.datetime) -> operation.Operation:
        """Ask it to stop: a running one sees the request soon; one still queued has done nothing and ends here.

        Raises: errors.OperationNotFound, errors.OperationEnded.
        """
        with self._db.write() as connection:
            present = _get(connection, operation_id)
            if present.state.has_ended:
                raise errors.OperationEnded(operation=str(operation_id), state=present.state)
            if not present.is_cancel_requested:
                query = sa.update(_table).where(_table.c.id == operation_id)
                connection.execute(query.values(is_cancel_requested=True))
            if present.state is operation.State.QUEUED:
                record = errors.Cancelled().to_record()
                _end(connection, operation_id, operation.State.CANCELLED, at=at, error=record)
            return _get(connection, operation_id)

    def is_cancel_requested(self, operation_id: uuid.UUID) -> bool:
        """Whether somebody asked it to stop. False where it is not there."""
        query = sa.select(_table.c.is_cancel_requested).where(_table.c.id == operation_id)
        with self._db.read() as connection:
            return bool(connection.execute(query).scalar())

    def finish(
        self, operation_id: uuid.UUID, state: operation.State, *, result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None, at: datetime.datetime,
    ) -> operation.Operation:  # fmt: skip
        """End it and release its locks, both or neither; the first outcome stays. Raises: errors.OperationNotFound."""
        if not state.has_ended:
            raise ValueError(f"{state} is not an end")
        with self._db.write() as connection:
            if not _get(connection, operation_id).state.has_ended:
                _end(connection, operation_id, state, at=at, result=result, error=error)
            return _get(connection, operation_id)

    def get(self, reference: uuid.UUID | str, *, owner_id: uuid.UUID | None = None) -> operation.Operation:
        """By id, or by as much of its beginning as no other operation shares; with `owner_id`, among that account's.

        Raises: errors.OperationNotFound, errors.AmbiguousId.
        """
        with self._db.read() as connection:
            if isinstance(reference, uuid.UUID):
                return _get(connection, reference)
            return _get_by_prefix(connection, reference, owner_id)

    def list_unfinished(self) -> list[operation.Operation]:
        """All accounts' queued and running operations, oldest first."""
        query = sa.select(_table).where(_table.c.state.not_in(_ENDED)).order_by(_table.c.created_at, _table.c.id)
        with self._db.read() as connection:
            return [_operation(row) for row in connection.execute(query).mappings()]

    def locks_held(self, prefix: str = "") -> list[HeldLock]:
        """The locks whose keys begin with `prefix`, by key."""
        query = sa.select(_locks).where(_locks.c.key.startswith(prefix, autoescape=True)).order_by(_locks.c.key)
        with self._db.read() as connection:
            return [HeldLock(row.key, row.operation_id, row.is_exclusive) for row in connection.execute(query)]

    def prune(self, *, older_than: datetime.datetime) -> list[uuid.UUID]:
        """Drop the operations that ended before `older_than`; returns their ids, for the engine to forget as well."""
        old = (_table.c.state.in_(_ENDED), _table.c.ended_at < older_than)
        with self._db.write() as connection:
            return list(connection.execute(sa.delete(_table).where(*old).returning(_table.c.id)).scalars())

    def count(self) -> dict[tuple[operation.Kind, operation.State], int]:
        """How many operations there are of each kind in each state, of all accounts; none of what there are none."""
        query = sa.select(_table.c.kind, _table.c.state, sa.func.count()).group_by(_table.c.kind, _table.c.state)
        with self._db.read() as connection:
            return {
                (operation.Kind(kind), operation.State(state)): count
                for kind, state, count in connection.execute(query)
            }

    def list(self, owner_id: uuid.UUID, query: listing.OperationQuery = _ALL) -> listing.Page[operation.Operation]:
        """A page of the account's operations. Raises: errors.InvalidRequest where `after` is no cursor of that sort."""
        order = paging.Order(query.sort, _ORDERS[query.sort])
        wanted = sa.select(_table).where(_table.c.owner_id == owner_id, *_conditions(query))
        with self._db.read() as connection:
            rows = connection.execute(order.apply(wanted, after=query.after, limit=query.limit)).mappings()
            found = [_operation(row) for row in rows]
        return order.page(found, query.limit)


def _conditions(query: listing.OperationQuery) -> Iterable[sa.ColumnElement[bool]]:
    if query.states:
        yield _table.c.state.in_(query.states)
    if query.kind is not None:
        yield _table.c.kind == query.kind
    if query.hidden_kinds:
        yield _table.c.kind.not_in(query.hidden_kinds)
    if query.subject_glob is not None:
        yield _table.c.subject.like(paging.like(query.subject_glob), escape="\\")
    if query.since is not None:
        yield _table.c.created_at >= query.since


def check_unlocked(connection: sa.Connection, key: str) -> None:
    """For transactions on other rows that go only with nobody holding `key`. Raises: LockHeld."""
    _check_lock(connection, Lock(key, is_exclusive=True))


def _check_lock(connection: sa.Connection, lock: Lock) -> None:
    """Shared locks go together; an exclusive one goes with none. Raises: LockHeld."""
    query = sa.select(_locks).where(_locks.c.key == lock.key)
    if not lock.is_exclusive:
        query = query.where(_locks.c.is_exclusive)
    held = connection.execute(query.order_by(_locks.c.operation_id)).first()
    if held is not None:
        raise LockHeld(lock.key, held.operation_id)


def _take(connection: sa.Connection, operation_id: uuid.UUID, locks: Sequence[Lock]) -> None:
    strongest: dict[str, bool] = {}
    for lock in locks:
        strongest[lock.key] = strongest.get(lock.key, False) or lock.is_exclusive
    rows = [{"key": key, "operation_id": operation_id, "is_exclusive": strong} for key, strong in strongest.items()]
    if rows:
        connection.execute(sa.insert(_locks), rows)


def _end(
    connection: sa.Connection, operation_id: uuid.UUID, state: operation.State, *, at: datetime.datetime,
    result: dict[str, Any] | None = None, error: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """What was secret of its request goes with its end: nothing needs it any more."""
    request = connection.execute(sa.select(_table.c.request).where(_table.c.id == operation_id)).scalar_one()
    values = {"state": state, "result": result, "error": error, "ended_at": at, "request": secrecy.hide(request)}
    connection.execute(sa.update(_table).where(_table.c.id == operation_id).values(values))
    connection.execute(sa.delete(_locks).where(_locks.c.operation_id == operation_id))
    quotas.release(connection, operation_id)


def _find(connection: sa.Connection, operation_id: uuid.UUID) -> operation.Operation | None:
    row = connection.execute(sa.select(_table).where(_table.c.id == operation_id)).mappings().one_or_none()
    return None if row is None else _operation(row)


def _get(connection: sa.Connection, operation_id: uuid.UUID) -> operation.Operation:
    found = _find(connection, operation_id)
    if found is None:
        raise errors.OperationNotFound(operation=str(operation_id))
    return found


def _get_by_prefix(connection: sa.Connection, text: str, owner_id: uuid.UUID | None) -> operation.Operation:
    """Ids are compared as a range, not as text: PostgreSQL has a type of its own for them.

    Only the account's own are compared: that a prefix is ambiguous would else tell of the operations of others.
    """
    prefix = text.lower().replace("-", "")
    if not _HEX.fullmatch(prefix):
        raise errors.OperationNotFound(operation=text)
    first, last = uuid.UUID(prefix.ljust(32, "0")), uuid.UUID(prefix.ljust(32, "f"))
    query = sa.select(_table).where(_table.c.id.between(first, last)).limit(2)
    if owner_id is not None:
        query = query.where(_table.c.owner_id == owner_id)
    rows = connection.execute(query).mappings().all()
    if not rows:
        raise errors.OperationNotFound(operation=text)
    if len(rows) > 1:
        raise errors.AmbiguousId(id=text, what="operation")
    return _operation(rows[0])


def _operation(row: sa.RowMapping) -> operation.Operation:
    values = dict(row)
    progress = operation.Progress(
        phase=values.pop("phase"), done_bytes=values.pop("done_bytes"), total_bytes=values.pop("total_bytes")
    )
    values["kind"] = operation.Kind(values["kind"])
    values["state"] = operation.State(values["state"])
    return operation.Operation(**values, progress=progress)
