"""Whether the parts that the daemon stands on answer, each asked in a thread of its own with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from estampe import errors

_DEADLINE_SECONDS: Final = 5.0  # below the usual patience of who asks (systemd, load balancers: 10 to 30 s)


class Readiness:
    """Asks parts by name; a part that hangs is not asked again before it has answered, so threads do not pile up."""

    def __init__(
        self, parts: Mapping[str, Callable[[], object]], *, deadline_seconds: float = _DEADLINE_SECONDS
    ) -> None:
        self._parts = {name: _Part(name, ask) for name, ask in parts.items()}
        self._deadline_seconds = deadline_seconds

    def check(self) -> tuple[str, ...]:
        """The names of all parts, which all answer. Raises: errors.NotReady with those that do not, and why."""
        for part in self._parts.values():
            part.begin()
        until = time.monotonic() + self._deadline_seconds
        found = {name: part.problem(until) for name, part in self._parts.items()}
        problems = [f"{name} {problem}" for name, problem in found.items() if problem is not None]
        if problems:
            failed = ", ".join(name for name, problem in found.items() if problem is not None)
            raise errors.NotReady(problems="; ".join(problems), parts=failed)
        return tuple(self._parts)


class _Part:
    def __init__(self, name: str, ask: Callable[[], object]) -> None:
        self._name = name
        self._ask = ask
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._problem: str | None = None

    def begin(self) -> None:
        """Ask, unless the last question is still open."""
        with self._lock:
            if self._asking is None or not self._asking.is_alive():
                self._asking = threading.Thread(target=self._run, name=f"ready-{self._name}", daemon=True)
                self._asking.start()

    def problem(self, until: float) -> str | None:
        """Why it is not ready, None where it is."""
        asking = self._asking
        if asking is not None:
            asking.join(max(0.0, until - time.monotonic()))
            if asking.is_alive():
                return "does not answer"
        return self._problem

    def _run(self) -> None:
        try:
            self._ask()
        except Exception as error:  # noqa: BLE001 - the edge of a thread; whatever it is, the part does not work
            self._problem = f"fails: {error}"
        else:
            self._problem = None
