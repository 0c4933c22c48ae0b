"""How far a running operation is, how fast it goes and how long it still takes, from one look at it.

The rate is that of the whole present phase: a page keeps nothing between two looks, so it cannot tell how fast things went of late.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final

from estampe.schemas import operation

_LEAST_SECONDS: Final = 2.0  # before that a rate is a guess
_MOST_SHARE: Final = 0.99  # a phase that is seen has not ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Of the present phase; None for what is not known."""

    phase_seconds: float | None
    done_bytes: int
    total_bytes: int | None
    bytes_per_second: float | None

    @property
    def share(self) -> float | None:
        """How much of the phase is done, from 0 to below 1."""
        if not self.total_bytes:
            return None
        return max(0.0, min(_MOST_SHARE, self.done_bytes / self.total_bytes))

    @property
    def left_seconds(self) -> float | None:
        """Until the phase has ended, if it goes on as it did."""
        if not self.bytes_per_second or not self.total_bytes:
            return None
        return max(0, self.total_bytes - self.done_bytes) / self.bytes_per_second


def of(seen: operation.Operation, *, now: datetime.datetime) -> Pace:
    """As of `now`; the daemon's clock is ours, since a page is made in its process."""
    told, began = seen.progress, seen.phase_started_at
    elapsed = None if began is None else max(0.0, (now - began).total_seconds())
    is_guess = elapsed is None or elapsed < _LEAST_SECONDS or not told.done_bytes
    return Pace(
        phase_seconds=elapsed,
        done_bytes=told.done_bytes,
        total_bytes=told.total_bytes,
        bytes_per_second=None if is_guess or elapsed is None else told.done_bytes / elapsed,
    )
