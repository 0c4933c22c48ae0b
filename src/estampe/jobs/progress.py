"""Telling where the work stands, and hearing that it shall stop."""

from __future__ import annotations

import datetime
import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Final, Protocol

from estampe import errors
from estampe.jobs import base
from estampe.model import operation

_log = logging.getLogger(__name__)

# A durable commit is a few milliseconds of the disk that the copy needs too; people see no more than two a second.
WRITE_INTERVAL_SECONDS: Final = 0.5
# A cancel is heard within this; a look costs some 0.2 ms and no disk.
POLL_INTERVAL_SECONDS: Final = 0.25


class Board(Protocol):
    """What a reporter needs of db.operations.Operations."""

    def report(self, operation_id: uuid.UUID, progress: operation.Progress, *, at: datetime.datetime) -> None:
        """Keep where the work stands."""

    def is_cancel_requested(self, operation_id: uuid.UUID) -> bool:
        """Whether somebody asked the operation to stop."""


class Reporter:
    """One run's voice and ear. All methods may be called from any thread, and as often as once per chunk.

    Call it inside steps, never from the body itself: a replay must not see another answer than the first run.
    """

    def __init__(
        self,
        board: Board,
        operation_id: uuid.UUID,
        clock: Callable[[], datetime.datetime],
        *,
        is_closing: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
        on_advance: Callable[[int], None] = lambda _done_bytes: None,
    ) -> None:
        self._board = board
        self._operation_id = operation_id
        self._clock = clock
        self._is_closing = is_closing
        self._monotonic = monotonic
        self._on_advance = on_advance
        self._lock = threading.Lock()
        self._progress = operation.Progress(phase="starting")
        self._next_write = self._next_poll = monotonic()
        self._is_cancelled = False
        self._is_shielded = False

    def phase(self, name: str, total_bytes: int | None = None) -> None:
        """A new phase begins, of `total_bytes` where it counts bytes. Written at once."""
        with self._lock:
            self._progress = operation.Progress(phase=name, total_bytes=total_bytes)
            self._write()

    def advance(self, done_bytes: int) -> None:
        """So many bytes more are done. Written now and then, and always when the phase's total is reached."""
        self._on_advance(done_bytes)
        with self._lock:
            before = self._progress
            self._progress = operation.Progress(
                phase=before.phase, done_bytes=before.done_bytes + done_bytes, total_bytes=before.total_bytes
            )
            if self._monotonic() >= self._next_write or self._progress.done_bytes == before.total_bytes:
                self._write()

    def check_cancelled(self) -> None:
        """Call it in every loop of a long step.

        Raises: errors.Cancelled when somebody asked for it, base.Interrupted when the daemon is ending.
        """
        self.check_closing()
        if not self._is_shielded and self._hears_cancel():
            raise errors.Cancelled

    def check_closing(self) -> None:
        """Call it in loops that must not be cancelled. Raises: base.Interrupted when the daemon is ending."""
        if self._is_closing():
            raise base.Interrupted

    def shield(self) -> None:
        """From now on the operation cannot be cancelled: it is being undone, or all but done."""
        self._is_shielded = True

    def _hears_cancel(self) -> bool:
        with self._lock:
            if self._is_cancelled or self._monotonic() < self._next_poll:
                return self._is_cancelled
            self._next_poll = self._monotonic() + POLL_INTERVAL_SECONDS
        try:
            self._is_cancelled = self._board.is_cancel_requested(self._operation_id)
        except errors.Unavailable as error:
            _log.warning("operation %s cannot look whether it was cancelled: %s", self._operation_id, error)
        return self._is_cancelled

    def _write(self) -> None:
        """Progress is worth no failure: a database that cannot take it now is asked again later."""
        self._next_write = self._monotonic() + WRITE_INTERVAL_SECONDS
        try:
            self._board.report(self._operation_id, self._progress, at=self._clock())
        except errors.Unavailable as error:
            _log.warning("operation %s cannot report its progress: %s", self._operation_id, error)
