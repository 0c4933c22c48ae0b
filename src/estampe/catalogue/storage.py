"""The store as a whole: what it holds, checking it and sweeping it."""

from __future__ import annotations

import dataclasses
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from estampe import errors
from estampe.db import operations as operation_rows
from estampe.db import templates as template_rows
from estampe.jobs import dispatch, locks, runner
from estampe.model import operation
from estampe.model import template as model
from estampe.store import base as stores
from estampe.store import check, sweep
from estampe.store import usage as counting  # a method has the module's name


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageService:
    """Usage at once; check and sweep as operations, since they read all of the store."""

    store: stores.Store
    templates: template_rows.Templates
    operations: operation_rows.Operations
    dispatcher: dispatch.Dispatcher
    default_grace_seconds: float
    clock: Callable[[], float] = time.time

    def usage(self) -> counting.Usage:
        """What the store holds, and for which templates."""
        return counting.usage(self.store)

    def space_of(self, owner_id: uuid.UUID, reference: str) -> counting.TemplateUsage:
        """What an own template takes; reads all manifests, since only so it is known what others need as well.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids where it is not complete, errors.ManifestCorrupt.
        """
        found = self.templates.resolve(owner_id, reference)
        if found.state not in model.COMPLETE:
            raise errors.TemplateStateForbids(
                template=found.reference, state=found.state, advice="it is not in the store as a whole"
            )
        counted = counting.usage(self.store)
        own = next((each for each in counted.templates if each.template_id == found.id), None)
        if own is not None:
            return own
        broken = next((each for each in counted.unreadable if each.template_id == found.id), None)
        if broken is not None:
            raise errors.ManifestCorrupt(template=found.reference, detail=str(broken.error))
        raise errors.TemplateNotFound(template=reference)  # purged in the meantime

    def check(self, owner_id: uuid.UUID, *, sample: float) -> operation.Operation:
        """Begin to verify the share `sample` of the chunks. Raises: errors.InvalidRequest."""
        if not 0 < sample <= 1:
            raise errors.InvalidRequest(field="sample", problem="must be above 0 and at most 1 (100%)")
        asked = {"sample": sample, "seed": random.SystemRandom().getrandbits(48)}
        return self.dispatcher.start(operation.Kind.CHECK, owner_id=owner_id, subject="the store", request=asked)

    def sweep(self, owner_id: uuid.UUID, *, is_dry_run: bool, grace_seconds: float | None) -> operation.Operation:
        """Begin to remove chunks that no template names. Raises: errors.StoreBusy where another sweep is under way."""
        asked = {
            "is_dry_run": is_dry_run,
            "grace_seconds": self.default_grace_seconds if grace_seconds is None else grace_seconds,
        }
        lock = operation_rows.Lock(locks.STORE, is_exclusive=True)
        try:
            return self.dispatcher.start(
                operation.Kind.SWEEP, owner_id=owner_id, subject="the store", request=asked, locks=[lock]
            )
        except operation_rows.LockHeld as held:
            raise errors.StoreBusy(operation=str(held.operation_id)) from held

    # --- the operations' bodies ---------------------------------------------------------------------------------------

    def run_check(self, work: runner.Work) -> dict[str, Any]:
        """The body of a check: one step, which reads only, so it may run again."""
        outcome: dict[str, Any] = work.steps.run("check", lambda: self._check(work))
        return outcome

    def run_sweep(self, work: runner.Work) -> dict[str, Any]:
        """The body of a sweep: one step; what is gone is gone, and a second run goes on with the rest."""
        outcome: dict[str, Any] = work.steps.run("sweep", lambda: self._sweep(work))
        return outcome

    def _check(self, work: runner.Work) -> dict[str, Any]:
        asked = work.operation.request
        meter = _Meter(work, "verifying chunks")
        report = check.check(
            self.store,
            sample=None if asked["sample"] >= 1 else asked["sample"],
            rng=random.Random(asked["seed"]),  # noqa: S311 - a sample, no secret
            on_progress=meter,
            check_cancelled=work.progress.check_cancelled,
        )
        return _checked(report) | {"set_aside": check.set_aside(self.store, report)}

    def _sweep(self, work: runner.Work) -> dict[str, Any]:
        asked = work.operation.request
        work.progress.phase("sweeping")
        report = sweep.sweep(
            self.store,
            older_than=self._older_than(asked["grace_seconds"]),
            is_dry_run=asked["is_dry_run"],
            check_cancelled=work.progress.check_cancelled,
        )
        return dataclasses.asdict(report) | {"is_dry_run": asked["is_dry_run"]}

    def _older_than(self, grace_seconds: float) -> float:
        """Now less the grace, and never after the begin of a capture that still runs: its chunks have no manifest yet."""
        captures = [row for row in self.operations.list_unfinished() if row.kind is operation.Kind.CAPTURE]
        begun = [row.created_at.timestamp() for row in captures]
        return min([self.clock() - grace_seconds, *begun])


class _Meter:
    """Turns "so much of so much" into a phase and its advances; called by one thread at a time."""

    def __init__(self, work: runner.Work, phase: str) -> None:
        self._work, self._phase, self._done = work, phase, -1

    def __call__(self, done: int, total: int) -> None:
        if self._done < 0:
            self._work.progress.phase(self._phase, total)
            self._done = 0
        self._work.progress.advance(done - self._done)
        self._done = done


def _checked(report: check.CheckReport) -> dict[str, Any]:
    return {
        "is_sound": report.is_sound,
        "chunks": report.chunks,
        "checked_chunks": report.checked_chunks,
        "checked_bytes": report.checked_bytes,
        "manifests_read": report.manifests_read,
        "damaged": [
            {
                "chunk_id": damaged.chunk_id.hex(),
                "kind": str(damaged.kind),
                "detail": damaged.detail,
                "templates": [str(template) for template in damaged.templates],
            }
            for damaged in report.damaged
        ],
        "unreadable": [
            {"template_id": str(found.template_id), "error": str(found.error)} for found in report.unreadable
        ],
    }
