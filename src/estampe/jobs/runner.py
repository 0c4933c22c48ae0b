"""What every operation has in common: its row is begun, the body runs with its undo, its row is ended.

    start ─ body ──────────────────────── result ─ finish SUCCEEDED
              └─ error ─ undo, backwards ────────── finish FAILED | CANCELLED

`start` and `finish` are not steps: they are idempotent by themselves, and the first outcome of a row stays.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from estampe import correlation, errors
from estampe.db import operations as rows
from estampe.jobs import base, metering, progress, undo
from estampe.model import operation

_log = logging.getLogger(__name__)

Clock = Callable[[], datetime.datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the body of an operation works with.

    `steps` refuse to begin a new step (errors.Cancelled, as that step's outcome) once a cancel was asked for, until
    `undo.keep()` marks the point of no return; the steps of `undo` itself always run.
    """

    operation: operation.Operation  # as this run began it: a body may only go by its ids, its request and created_at
    steps: CancellableSteps
    undo: undo.Undo
    progress: progress.Reporter


OperationBody = Callable[[Work], dict[str, Any] | None]  # returns the operation's result, JSON-able

# Undoes what another generation's body did, by the recorded results of its steps: it registers with `work.undo` what is then
# run, each part whatever becomes of the others (or does it at once).
OperationAbandon = Callable[[Work, Mapping[str, Any]], None]


def operation_body(
    operations: rows.Operations, body: OperationBody, *, clock: Clock, meter: metering.Meter = metering.NOBODY
) -> base.Body:
    """The workflow body that runs `body` for an operation's row."""

    def run(steps: base.Steps, operation_id: uuid.UUID) -> None:
        work = _begin(operations, steps, operation_id, clock, meter)
        if work is None:
            return
        with _logged_as(work):
            _end(operations, operation_id, _attempt(work, body), clock, meter)

    return run


def abandoned_body(
    operations: rows.Operations, abandon: OperationAbandon, *, clock: Clock, meter: metering.Meter = metering.NOBODY
) -> base.Abandon:
    """The workflow body that ends an operation which another generation has begun: undone, and FAILED."""

    def run(steps: base.Steps, operation_id: uuid.UUID, outcomes: Mapping[str, Any]) -> None:
        work = _begin(operations, steps, operation_id, clock, meter)
        if work is None:
            return
        with _logged_as(work):
            work.progress.shield()
            outdated = errors.OperationOutdated(operation=str(operation_id))
            try:
                abandon(work, outcomes)
            except Exception as error:  # noqa: BLE001 - the edge of an operation
                _log.exception("operation %s could not be undone", operation_id)
                work.undo.failures.append(str(error))
            work.undo.run(outdated)
            _end(operations, operation_id, _failed(outdated, work.undo.failures), clock, meter)

    return run


def nothing_to_undo(_work: Work, _outcomes: Mapping[str, Any]) -> None:
    """The OperationAbandon of bodies without effects."""


def register(
    engine: base.Engine,
    kind: operation.Kind,
    body: OperationBody,
    *,
    operations: rows.Operations,
    clock: Clock,
    abandon: OperationAbandon = nothing_to_undo,
    meter: metering.Meter = metering.NOBODY,
) -> None:
    """Name an operation's body to the engine, before its launch."""
    engine.register(
        kind,
        operation_body(operations, body, clock=clock, meter=meter),
        abandon=abandoned_body(operations, abandon, clock=clock, meter=meter),
    )


def resume(engine: base.Engine, operations: rows.Operations, *, clock: Clock) -> None:
    """After the launch: bring the rows and the engine together again.

    A kill between the row's commit and the engine's leaves a row without a workflow: it is started now. A row whose
    workflow ended without ending it (a defect) is failed, so that its locks do not stay for ever.
    """
    for row in operations.list_unfinished():
        engine.start(row.kind, row.id)
        if row.id in engine.list_unfinished() or operations.get(row.id).state.has_ended:
            continue
        _log.error("operation %s has no workflow that would end it", row.id)
        record = errors.EstampeError(detail="the operation ended without an outcome").to_record()
        operations.finish(row.id, operation.State.FAILED, error=record, at=clock())


@dataclass(frozen=True, slots=True)
class _Outcome:
    state: operation.State
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class CancellableSteps:
    """Steps that look for a cancel first, inside the step, so that what they saw is its recorded outcome."""

    def __init__(self, steps: base.Steps, reporter: progress.Reporter) -> None:
        self._steps = steps
        self._reporter = reporter
        self.undo = undo.Undo(steps, before_run=reporter.shield)

    def run(self, name: str, step: Callable[[], Any], *, is_done: Callable[[], bool] = lambda: False) -> Any:
        """As `base.Steps.run`. `is_done`: whether an earlier run, cut off before its record, has passed the point of no return."""

        def checked() -> Any:
            if self.undo.is_kept or is_done():
                self._reporter.shield()
            self._reporter.check_cancelled()
            return step()

        return self._steps.run(name, checked)

    def is_closing(self) -> bool:
        """As `base.Steps.is_closing`."""
        return self._steps.is_closing()


def _logged_as(work: Work) -> contextlib.AbstractContextManager[None]:
    """Every line logged for the operation names it, and the request that it began with."""
    return correlation.bound(request_id=work.operation.request_id, operation_id=str(work.operation.id))


def _begin(
    operations: rows.Operations, steps: base.Steps, operation_id: uuid.UUID, clock: Clock, meter: metering.Meter
) -> Work | None:
    """None where there is nothing to do: the row has ended (cancelled while it was queued), or is gone."""
    try:
        row = operations.start(operation_id, at=clock())
    except errors.OperationNotFound:
        _log.warning("operation %s has a workflow but no row; nothing was done", operation_id)
        return None
    except errors.Unavailable as error:
        _log.exception("operation %s cannot begin; it goes on at the next start", operation_id)
        raise base.Interrupted from error
    if row.state.has_ended:
        return None
    reporter = progress.Reporter(
        operations,
        operation_id,
        clock,
        is_closing=steps.is_closing,
        on_advance=lambda done_bytes: meter.advanced(row.kind, done_bytes),
    )
    cancellable = CancellableSteps(steps, reporter)
    return Work(operation=row, steps=cancellable, undo=cancellable.undo, progress=reporter)


def _attempt(work: Work, body: OperationBody) -> _Outcome:
    try:
        result = json.loads(json.dumps(body(work) or {}))
    except Exception as error:  # noqa: BLE001 - the edge of an operation; `_failed` logs what is a defect
        work.undo.run(error)
        return _failed(error, work.undo.failures)
    work.undo.keep()
    return _Outcome(operation.State.SUCCEEDED, result=result)


def _failed(error: Exception, not_undone: list[str]) -> _Outcome:
    if not isinstance(error, errors.EstampeError):
        _log.error("an operation failed by a defect of Estampe", exc_info=error)
        error = errors.EstampeError(detail=f"{type(error).__name__}: {error}")
    record = error.to_record()
    if not_undone:
        record["facts"]["not_undone"] = "; ".join(not_undone)
    is_cancelled = isinstance(error, errors.Cancelled)
    return _Outcome(operation.State.CANCELLED if is_cancelled else operation.State.FAILED, error=record)


def _end(
    operations: rows.Operations, operation_id: uuid.UUID, outcome: _Outcome, clock: Clock, meter: metering.Meter
) -> None:
    """Write the outcome; failing that cuts the workflow off, and the next start replays it to here and tries again."""
    for is_last in (False, True):  # at a full disk, the first attempt frees the reserve that the second one uses
        try:
            ended = operations.finish(
                operation_id, outcome.state, result=outcome.result, error=outcome.error, at=clock()
            )
        except Exception as error:
            if is_last:
                _log.exception("operation %s cannot record its outcome; it does so at the next start", operation_id)
                raise base.Interrupted from error
        else:
            meter.ended(ended)
            return
