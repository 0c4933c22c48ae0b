"""Undoing what a failed operation has made."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from estampe import errors
from estampe.jobs import base

_log = logging.getLogger(__name__)


class Undo:
    """A stack of named undo functions, run backwards as durable steps when the body fails.

        undo.add("remove volumes", lambda: pool.remove_if_there(name))      right BEFORE the effect
        steps.run("create volumes", lambda: pool.create(name))

    An undo function is idempotent, and copes with the effect never having happened: it is registered before the effect,
    since a kill between the two would else leave what nobody undoes. It reads nothing that only the cut-off process knew.

    Why this survives a kill: the stack is never stored. After a restart the body runs again from the top and registers
    again, in the same order, while its finished steps are answered from their records; the error that began the undoing
    is a recorded outcome too, so the second run fails at the same place, and its undo steps, which are recorded like any
    others, go on behind the last one that had ended.

    As a context manager: an Exception runs the undo and goes on; leaving without one keeps what was made; an interrupt
    (`base.Interrupted`, an exit) does neither, since the workflow goes on later.
    """

    def __init__(self, steps: base.Steps, *, before_run: Callable[[], None] = lambda: None) -> None:
        """`before_run` is told when undoing begins, in each run of the workflow."""
        self._steps = steps
        self._before_run = before_run
        self._functions: dict[str, Callable[[], Any]] = {}
        self._names: set[str] = set()
        self._is_kept = False
        self.failures: list[str] = []  # what could not be undone, in words; a nested one adds to its parent's

    @property
    def is_kept(self) -> bool:
        """Whether `keep` was called: the body is past its point of no return."""
        return self._is_kept

    def add(self, name: str, function: Callable[[], Any]) -> None:
        """Register; `name` is unique in the workflow, nested ones included, in the imperative ("remove volumes")."""
        if name in self._names:
            raise ValueError(f"there is an undo step {name!r} already")
        self._names.add(name)
        self._functions[name] = function

    def keep(self) -> None:
        """What was made stays: forget all undo functions registered so far."""
        self._is_kept = True
        self._functions.clear()

    def nested(self) -> Undo:
        """For what is undone before the rest, and kept before the rest: use it as a context manager."""
        inner = Undo(self._steps, before_run=self._before_run)
        inner.failures = self.failures
        inner._names = self._names
        return inner

    def run(self, error: Exception) -> None:
        """Undo everything, newest first; what fails is logged and told in `failures`.

        A failing undo step never hides `error` and never stops those before it.
        """
        self._before_run()
        while self._functions:
            name, function = self._functions.popitem()
            try:
                self._steps.run(f"undo {name}", function)
            except errors.EstampeError as failure:
                _log.error("could not %s after %s: %s", name, type(error).__name__, failure)
                self.failures.append(f"could not {name}: {failure}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.keep()
        elif isinstance(error, Exception):
            self.run(error)
