"""Starting, following and recovering operations: the row that people see and the engine's workflow, kept together."""

from __future__ import annotations

import datetime
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from estampe import errors
from estampe.db import operations as operation_rows
from estampe.db import quotas as quota_rows
from estampe.jobs import base
from estampe.model import operation

_POLL_SECONDS: Final = 0.2  # a row is read in well under a millisecond


def utc_now() -> datetime.datetime:
    """The time that rows are stamped with."""
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatcher:
    """Operations of one installation."""

    rows: operation_rows.Operations
    engine: base.Engine
    now: Callable[[], datetime.datetime] = utc_now
    wait_for: Callable[[float], None] = time.sleep

    def start(
        self,
        kind: operation.Kind,
        *,
        owner_id: uuid.UUID,
        subject: str,
        request: dict[str, Any],
        locks: Sequence[operation_rows.Lock] = (),
        demand: quota_rows.Demand | None = None,
    ) -> operation.Operation:
        """Add the row with its locks, then enqueue the workflow; a daemon cut off in between enqueues it at `runner.resume`.

        Raises: db.operations.LockHeld, errors.QuotaExceeded.
        """
        added = self.rows.add(
            id=uuid.uuid4(),
            owner_id=owner_id,
            kind=kind,
            subject=subject,
            request=request,
            locks=locks,
            demand=demand,
            created_at=self.now(),
        )
        self.engine.start(kind, added.id)
        return added

    def list(
        self, owner_id: uuid.UUID, *, states: tuple[operation.State, ...], kind: operation.Kind | None, limit: int
    ) -> list[operation.Operation]:
        """The account's operations, the newest first; no states means all."""
        return self.rows.list(owner_id, states=states or None, kind=kind, limit=limit)

    def get(self, owner_id: uuid.UUID, reference: str) -> operation.Operation:
        """One. Raises: errors.OperationNotFound (another account's as well)."""
        found = self.rows.get(reference, owner_id=owner_id)
        if found.owner_id != owner_id:
            raise errors.OperationNotFound(operation=reference)
        return found

    def wait(
        self, owner_id: uuid.UUID, reference: str, *, timeout_seconds: float, seen: str | None
    ) -> operation.Operation:
        """The operation as soon as it is not as `seen`, has ended, or the time is up. Raises: errors.OperationNotFound."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            found = self.get(owner_id, reference)
            if found.change_token != seen or found.state.has_ended or time.monotonic() >= deadline:
                return found
            self.wait_for(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))

    def cancel(self, owner_id: uuid.UUID, reference: str) -> operation.Operation:
        """Ask it to stop. Raises: errors.OperationNotFound, errors.OperationEnded."""
        return self.rows.request_cancel(self.get(owner_id, reference).id, at=self.now())
