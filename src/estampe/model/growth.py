"""What the store held at moments of its past: samples, dense where they are young and sparse where they are old.

    now ──── a month ──────────────── two years ─────────────────────────── ▶ past
        one each 6 hours      one a day                     one a week

Ten years are some 1300 rows, and as many points are as many as a plot can show.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

EVERY: Final = datetime.timedelta(hours=6)  # a count reads every manifest
_DENSE: Final = datetime.timedelta(days=31)
_DAILY: Final = datetime.timedelta(days=731)
_DAY_SECONDS: Final = 86_400
_WEEK_SECONDS: Final = 7 * _DAY_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The store at one moment; the words are those of `store.usage.Usage`."""

    at: datetime.datetime
    templates: int
    logical_bytes: int
    data_bytes: int
    distinct_bytes: int
    stored_bytes: int
    orphan_bytes: int
    chunks: int
    available_bytes: int | None


def is_due(last: datetime.datetime | None, now: datetime.datetime) -> bool:
    """Whether it is time for another one. A clock that was set back must not end the samples: one of the future counts as none."""
    return last is None or not last <= now < last + EVERY


def superfluous(moments: Iterable[datetime.datetime], now: datetime.datetime) -> Sequence[datetime.datetime]:
    """Those to drop: of each day and of each week of UTC, where that is old enough, all but the first."""
    dropped, seen = [], set()
    for at in sorted(moments):
        period = _period(at, now)
        if period in seen:
            dropped.append(at)
        elif period is not None:
            seen.add(period)
    return dropped


def _period(at: datetime.datetime, now: datetime.datetime) -> tuple[int, int] | None:
    """What holds one sample only; None: each counts."""
    age = now - at
    if age <= _DENSE:
        return None
    seconds = _DAY_SECONDS if age <= _DAILY else _WEEK_SECONDS
    return seconds, int(at.timestamp()) // seconds
