"""A workflow engine in memory, for tests: it runs when it is told to, and is cut off where it is told to be."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from estampe.jobs import base, outcome


class _CutOff(BaseException):
    """Stands for kill -9: nothing after it is recorded, no handler of errors sees it."""


@dataclass
class Workflow:
    """What is recorded of one workflow."""

    kind: str
    generation: int
    outcomes: dict[str, str] = field(default_factory=dict)  # step -> JSON, in the order of the steps
    abandoned: dict[str, Any] | None = None  # the results another generation left; set when its abandon body is to run
    has_ended: bool = False


class MemoryEngine:
    """Runs workflows one after the other, in the order of their start, when `run_pending` is called."""

    def __init__(
        self,
        *,
        generation: int = 1,
        observer: base.StepObserver | None = None,
        records: dict[uuid.UUID, Workflow] | None = None,
    ) -> None:
        """`records` are those of the daemon's earlier life."""
        self._generation = generation
        self._observer = observer
        self._bodies: dict[str, tuple[base.Body, base.Abandon]] = {}
        self.records: dict[uuid.UUID, Workflow] = {} if records is None else records
        self._cut: tuple[str, str] | None = None
        self._is_launched = False

    def register(self, kind: str, body: base.Body, *, abandon: base.Abandon) -> None:
        """See `base.Engine`."""
        self._bodies[kind] = (body, abandon)

    def launch(self) -> None:
        """See `base.Engine`."""
        self._is_launched = True
        for workflow in self.records.values():
            if not workflow.has_ended and workflow.generation != self._generation:
                _abandon(workflow, self._generation)

    def start(self, kind: str, operation_id: uuid.UUID) -> None:
        """See `base.Engine`."""
        self.records.setdefault(operation_id, Workflow(kind, self._generation))

    def list_unfinished(self) -> set[uuid.UUID]:
        """See `base.Engine`."""
        return {each for each, workflow in self.records.items() if not workflow.has_ended}

    def forget(self, operation_ids: Collection[uuid.UUID]) -> None:
        """See `base.Engine`."""
        for operation_id in operation_ids:
            workflow = self.records.get(operation_id)
            if workflow is not None and workflow.has_ended:
                del self.records[operation_id]

    def close(self, *, timeout_seconds: float) -> None:  # noqa: ARG002 - nothing runs between two calls
        """See `base.Engine`."""
        self._is_launched = False

    def run_pending(self) -> bool:
        """Run everything that is unfinished to its end; False when it was cut off on the way."""
        if not self._is_launched:
            raise RuntimeError("the engine is not launched")
        try:
            for operation_id in list(self.records):
                self._run(operation_id)
        except (_CutOff, base.Interrupted):
            self._is_launched = False
            return False
        return True

    def cut_off_at(self, step: str, event: str) -> None:
        """Kill the next run at the "begin" or the "end" of a step, or "inside" it: done, but not recorded."""
        self._cut = (step, event)

    def relaunch(self) -> MemoryEngine:
        """The engine of the daemon's next life, with the same records and bodies, launched."""
        following = MemoryEngine(generation=self._generation, observer=self._observer, records=self.records)
        for kind, (body, abandon) in self._bodies.items():
            following.register(kind, body, abandon=abandon)
        following.launch()
        return following

    def _run(self, operation_id: uuid.UUID) -> None:
        workflow = self.records[operation_id]
        while not workflow.has_ended:
            body, abandon = self._bodies[workflow.kind]
            steps = _Steps(workflow, lambda step, event: self._note(operation_id, step, event))
            try:
                if workflow.abandoned is None:
                    body(steps, operation_id)
                else:
                    abandon(steps, operation_id, workflow.abandoned)
            except _Strayed:
                _abandon(workflow, self._generation)
            else:
                workflow.has_ended = True

    def _note(self, operation_id: uuid.UUID, step: str, event: str) -> None:
        if self._observer is not None and event != "inside":
            self._observer(operation_id, step, event)
        if self._cut == (step, event):
            self._cut = None
            raise _CutOff


class _Strayed(BaseException):
    """The body asks for another step than its records name next."""


class _Steps:
    def __init__(self, workflow: Workflow, note: Callable[[str, str], None]) -> None:
        self._workflow = workflow
        self._note = note
        self._recorded = iter(list(workflow.outcomes))

    def run(self, name: str, step: Callable[[], Any]) -> Any:
        recorded = next(self._recorded, None)
        if recorded is None:
            self._record(name, step)
        elif recorded != name:
            raise _Strayed
        return outcome.unwrap(json.loads(self._workflow.outcomes[name]))

    def is_closing(self) -> bool:
        return False

    def _record(self, name: str, step: Callable[[], Any]) -> None:
        if name in self._workflow.outcomes:
            raise ValueError(f"the workflow has a step {name!r} already")
        self._note(name, "begin")
        found = json.dumps(outcome.of(name, step))
        self._note(name, "inside")
        self._workflow.outcomes[name] = found
        self._note(name, "end")


def _abandon(workflow: Workflow, generation: int) -> None:
    """From now on the workflow is the run of its abandon body, without records of its own."""
    if workflow.abandoned is None:
        found = {name: json.loads(text) for name, text in workflow.outcomes.items()}
        workflow.abandoned = {name: each["value"] for name, each in found.items() if "value" in each}
    workflow.outcomes = {}
    workflow.generation = generation
