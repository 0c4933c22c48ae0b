"""Our port to a workflow engine: durable operations as workflows of named steps.

A workflow body is a function `body(steps, operation_id)` that decides and calls steps: no clock, no random, no I/O of its
own, since after a cut-off it runs again from the top, and steps that have ended give their recorded outcome, result or
error, without running. A step runs at least once (a cut-off step runs again): it must be idempotent. Its result is
JSON-able, and is given to the body as JSON gives it back (a tuple as a list), on the first run as on a replay. Its errors
are recorded when they are EstampeErrors and raised again on replay; any other exception is a defect: it is logged with
its traceback, and recorded and raised as `internal`.

    begin ── step A ── step B ─✂ cut off          the daemon is killed inside step C
    begin ── (A)────── (B)────── step C ── end    after its restart: (A) and (B) are answered from their records

**Generations.** The records of a workflow fit the body that made them, so an engine works for one `generation` of bodies:
a number that is raised whenever the steps of any body change their names or order. An unfinished workflow of another
generation is not run again: its kind's `abandon` body is run instead, once, with the outcomes that were recorded, to undo
what was done and to end the operation. So is a workflow whose body does not follow its own records (a defect).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol


class Interrupted(BaseException):
    """The daemon is ending: raised inside a step, or out of `Steps.run`, to cut the workflow off there.

    Nothing is recorded of it, so the step runs again after the restart. Not an Exception: no error handler in a body or a
    step may take it for a failure, and no undo runs for it; `finally` and `with` blocks close what they hold.
    """


class Steps(Protocol):
    """What a workflow body may do."""

    def run(self, name: str, step: Callable[[], Any]) -> Any:
        """Run `step` as the step `name` and record its outcome. Names must be unique and in the same order in each run of one workflow.

        Raises: the EstampeError that the step raised; Interrupted.
        """

    def is_closing(self) -> bool:
        """Whether the engine wants to end: a step that runs long should raise Interrupted soon."""


class StepObserver(Protocol):
    """Told of each step's begin and end, for tests that cut the daemon off at a named place, and for logs."""

    def __call__(self, operation_id: uuid.UUID, step: str, event: str) -> None:
        """`event` is "begin" before the step's function is called and "end" after its outcome is recorded.

        A step that is answered from its record is not observed.
        """


Body = Callable[[Steps, uuid.UUID], None]

# Of a workflow whose own body cannot go on; the mapping is step name -> recorded result of each step that succeeded.
Abandon = Callable[[Steps, uuid.UUID, Mapping[str, Any]], None]


class Engine(Protocol):
    """A workflow engine. One workflow per operation, with the operation's id."""

    def register(self, kind: str, body: Body, *, abandon: Abandon) -> None:
        """Before `launch`: name a body, and the one that ends what another generation of it has begun."""

    def launch(self) -> None:
        """Begin to work; cut-off operations go on by themselves."""

    def start(self, kind: str, operation_id: uuid.UUID) -> None:
        """Enqueue durably; a repeated call with one id is one workflow."""

    def list_unfinished(self) -> set[uuid.UUID]:
        """Operations the engine still has to finish (queued or running, of any generation)."""

    def forget(self, operation_ids: Collection[uuid.UUID]) -> None:
        """Drop the records of operations that have ended; unknown ids are fine."""

    def close(self, *, timeout_seconds: float) -> None:
        """Stop taking work, give running steps that long, and end. What is unfinished goes on at the next `launch`.

        A step that still runs by then holds its thread: the caller ends the process without waiting for it.
        """
