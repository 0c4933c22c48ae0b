"""Small work that the daemon does from time to time, in a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Final

_log = logging.getLogger(__name__)
_STOP_SECONDS: Final = 5.0


class Periodic:
    """Calls `work` again and again until it is stopped, `interval_seconds` between an end and the next begin.

    It does not call it at once: whoever starts it has done the first round, or has it wait `first_seconds` only.
    """

    def __init__(
        self,
        work: Callable[[], None],
        *,
        name: str,
        interval_seconds: float,
        first_seconds: float | None = None,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """`wait` sleeps so many seconds, and returns True, at once, where it is time to end."""
        self._work = work
        self._name = name
        self._interval_seconds = interval_seconds
        self._first_seconds = interval_seconds if first_seconds is None else first_seconds
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait

    def run(self) -> None:
        """The thread's body."""
        seconds = self._first_seconds
        while not self._wait(seconds):
            seconds = self._interval_seconds
            try:
                self._work()
            except Exception:  # noqa: BLE001 - the edge of a thread: one bad round must not be the last one
                _log.exception("%s failed; it is tried again in %g s", self._name, self._interval_seconds)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """At work inside the `with`; leaving it waits for a round that is under way, but not for ever.

        The thread is a daemon thread: a round that hangs in the store keeps no process from ending. What it does is cut off
        there as by a kill, and so must stand one.
        """
        thread = threading.Thread(target=self.run, name=self._name, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join(_STOP_SECONDS)
