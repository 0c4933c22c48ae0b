"""Rate, share and time left of an operation, for those who show them. Pure, and quick to import.

Honest: what cannot be known is None. Nothing is 100 % before it is done, and nothing waits at 99 % for work that the
total did not count: such work is a phase of its own.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from estampe.model import operation


@dataclass(frozen=True, slots=True)
class Sample:
    """What one look at an operation saw."""

    at: datetime.datetime
    progress: operation.Progress


def rate(earlier: Sample, later: Sample) -> float | None:
    """Bytes per second between two looks; None across phases, without time between, or where the count went back."""
    seconds = (later.at - earlier.at).total_seconds()
    done_bytes = later.progress.done_bytes - earlier.progress.done_bytes
    if earlier.progress.phase != later.progress.phase or seconds <= 0 or done_bytes < 0:
        return None
    return done_bytes / seconds


def mean_rate(seen: operation.Operation, now: datetime.datetime) -> float | None:
    """Bytes per second since the phase began, for who has looked only once; None before anything was counted."""
    if seen.phase_started_at is None or seen.progress.done_bytes == 0:
        return None
    begin = Sample(seen.phase_started_at, operation.Progress(phase=seen.progress.phase))
    return rate(begin, Sample(now, seen.progress))


def share(progress: operation.Progress) -> float | None:
    """0.0 to 1.0 of the phase, 1.0 only when all of it is done; None where no total is known or the count passed it."""
    if progress.total_bytes is None or progress.done_bytes > progress.total_bytes:
        return None
    return progress.done_bytes / progress.total_bytes if progress.total_bytes else 1.0


def seconds_left(progress: operation.Progress, bytes_per_second: float | None) -> float | None:
    """Of the phase, at that rate; None where it cannot be told (no total, no rate, a stall)."""
    done = share(progress)
    if done is None or progress.total_bytes is None:
        return None
    if done == 1.0:
        return 0.0
    return (progress.total_bytes - progress.done_bytes) / bytes_per_second if bytes_per_second else None
