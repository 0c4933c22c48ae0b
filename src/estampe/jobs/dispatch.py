"""Starting, following and recovering operations: the row that people see and the engine's workflow, kept together."""

from __future__ import annotations

import datetime
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from estampe import correlation, errors
from estampe.db import operations as operation_rows
from estampe.db import quotas as quota_rows
from estampe.db import visible_templates
from estampe.jobs import base
from estampe.model import listing, operation

# A row is read in well under a millisecond. What ends soon is seen at once, and what takes minutes is not looked at more often
# than five times a second, by each who waits for it.
_FIRST_POLL_SECONDS: Final = 0.01
_POLL_SECONDS: Final = 0.2
_POLL_GROWTH: Final = 1.5


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
        uses: Sequence[visible_templates.Use] = (),
    ) -> operation.Operation:
        """Add the row with its locks, then enqueue the workflow; a daemon cut off in between enqueues it at `runner.resume`.

        Raises: db.operations.LockHeld, errors.QuotaExceeded, errors.TemplateNotFound.
        """
        added = self.rows.add(
            id=correlation.planned_operation_id() or uuid.uuid4(),
            owner_id=owner_id,
            kind=kind,
            subject=subject,
            request=request,
            locks=locks,
            demand=demand,
            uses=uses,
            created_at=self.now(),
            request_id=correlation.request_id(),
        )
        self.engine.start(kind, added.id)
        return added

    def list(self, owner_id: uuid.UUID, query: listing.OperationQuery) -> listing.Page[operation.Operation]:
        """A page of the account's operations. Raises: errors.InvalidRequest."""
        return self.rows.list(owner_id, query)

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
        deadline, pause = time.monotonic() + timeout_seconds, _FIRST_POLL_SECONDS
        while True:
            found = self.get(owner_id, reference)
            if found.change_token != seen or found.state.has_ended or time.monotonic() >= deadline:
                return found
            self.wait_for(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(_POLL_SECONDS, pause * _POLL_GROWTH)

    def cancel(self, owner_id: uuid.UUID, reference: str) -> operation.Operation:
        """Ask it to stop. Raises: errors.OperationNotFound, errors.OperationEnded."""
        return self.rows.request_cancel(self.get(owner_id, reference).id, at=self.now())
