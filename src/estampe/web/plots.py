"""Plots drawn on the server: only shapes, in a box that the page stretches; what is written beside them is text of the page.

highest ┤............................
        │                    ┌───────
   half ┤..........┌─────────┘.......
        │     ┌────┘
      0 ┼─────┴──────────────────────
        begin                     end
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 1000
HEIGHT: Final = 240
_STEPS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1024)
_FACTOR: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A value from then on."""

    at: datetime.datetime
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A value that changes at moments and stays between them. `line` and `area` are paths of SVG."""

    moments: Sequence[Moment]
    highest: int  # a round value above all of them: the upper edge
    begin: datetime.datetime
    end: datetime.datetime
    line: str
    area: str

    @property
    def last(self) -> int:
        """The value now."""
        return self.moments[-1].value


def ceiling(value: int) -> int:
    """The least of 1, 2, 5, 10 ... 500 times a binary unit that is not below `value`; 1 for nothing."""
    unit = 1
    while value > _FACTOR * unit:
        unit *= _FACTOR
    return next(step * unit for step in _STEPS if step * unit >= value)


def accumulate(added: Iterable[tuple[datetime.datetime, int]]) -> list[Moment]:
    """What is there after each addition, in the order of time."""
    total, moments = 0, []
    for at, value in sorted(added):
        total += value
        moments.append(Moment(at=at, value=total))
    return moments


def curve(moments: Sequence[Moment], *, end: datetime.datetime) -> Curve | None:
    """From the first moment to `end`; None where there is nothing to draw."""
    if not moments:
        return None
    begin, highest = moments[0].at, ceiling(max(each.value for each in moments))
    seconds = max(1.0, (end - begin).total_seconds())

    def across(at: datetime.datetime) -> int:
        return round(WIDTH * min(1.0, max(0.0, (at - begin).total_seconds() / seconds)))

    def down(value: int) -> int:
        return round(HEIGHT * (1 - value / highest))

    steps = [f"M0 {down(moments[0].value)}"]
    steps += [f"H{across(each.at)}V{down(each.value)}" for each in moments[1:]]
    line = "".join(steps) + f"H{WIDTH}"
    return Curve(
        moments=moments, highest=highest, begin=begin, end=end, line=line, area=f"{line}V{HEIGHT}H0Z"
    )  # fmt: skip


def part(value: float, whole: float) -> int:
    """The width of a bar, of `WIDTH` for the whole; what is there is seen, however little."""
    if value <= 0 or whole <= 0:
        return 0
    return max(2, min(WIDTH, round(WIDTH * value / whole)))
