"""How fast the present phase goes, and how long it still takes, from what was seen of it."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Final

from estampe import units

if TYPE_CHECKING:
    from estampe.schemas import operation

_WINDOW_SECONDS: Final = 15.0  # short enough to follow a change of pace, long enough not to jump about
_LEAST_SECONDS: Final = 2.0  # before that a rate is a guess


class Meter:
    """Watches one operation's progress. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.phase: str | None = None
        self.phase_began = 0.0
        self._samples: collections.deque[tuple[float, int]] = collections.deque()

    def add(self, now: float, progress: operation.Progress) -> bool:
        """Take note of `progress`; True when it is the first of a phase."""
        is_new = progress.phase != self.phase
        if is_new:
            self.phase, self.phase_began = progress.phase, now
            self._samples.clear()
        self._samples.append((now, progress.done_bytes))
        while len(self._samples) > 2 and now - self._samples[1][0] > _WINDOW_SECONDS:
            self._samples.popleft()
        return is_new

    def rate(self) -> float | None:
        """Bytes per second of late; None while too little was seen."""
        (began, before), (now, done) = self._samples[0], self._samples[-1]
        return (done - before) / (now - began) if now - began >= _LEAST_SECONDS else None


def percentage(progress: operation.Progress) -> int | None:
    """Of the present phase, rounded down; 99 at most, since a phase that is seen has not ended."""
    if not progress.total_bytes:
        return None
    return max(0, min(99, progress.done_bytes * 100 // progress.total_bytes))


def describe(progress: operation.Progress, rate: float | None) -> str:
    """`2.1 GiB of 5.7 GiB (36 %), 310 MiB/s, 12 s left`, as much of it as is known; empty where nothing is."""
    share = percentage(progress)
    if share is None or progress.total_bytes is None:
        parts = [units.format_bytes(progress.done_bytes)] if progress.done_bytes else []
    else:
        done, total = units.format_bytes(progress.done_bytes), units.format_bytes(progress.total_bytes)
        parts = [f"{done} of {total} ({share} %)"]
    if rate is not None and progress.done_bytes:
        parts.append(units.format_rate(rate))
        if rate > 0 and progress.total_bytes is not None:
            left = max(0.0, progress.total_bytes - progress.done_bytes) / rate
            parts.append(f"{units.format_duration(left)} left")
    return ", ".join(parts)
