"""How a followed operation is shown while it runs: redrawn on a terminal, as plain lines elsewhere, or not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from estampe import units
from estampe.cli import meter, terminal, text

if TYPE_CHECKING:
    from rich import console, table

    from estampe.schemas import operation

_LINE_SECONDS: Final = 5.0  # between two lines of one phase


class Display(Protocol):
    """Context manager; shows what it is told until it is left."""

    def update(self, seen: operation.Operation) -> None:
        """The operation as it stands."""

    def note(self, line: str) -> None:
        """Something beside it."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *exc: object) -> None:
        """Leave the terminal as it was found."""


class Silent:
    """Shows nothing: for programs."""

    def update(self, seen: operation.Operation) -> None:
        """Nothing."""

    def note(self, line: str) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return


class Lines(Silent):
    """A line for each phase, and one now and then inside a long phase."""

    def __init__(
        self, *, say: Callable[[str], None] = terminal.note, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._clock = clock
        self._meter = meter.Meter()
        self._next = 0.0

    def update(self, seen: operation.Operation) -> None:
        """Say what is new, or how far the phase is when nothing was said for a while."""
        now = self._clock()
        is_new = self._meter.add(now, seen.progress)
        if not is_new and now < self._next:
            return
        told = meter.describe(seen.progress, self._meter.rate())
        if is_new and not seen.progress.done_bytes:
            told = units.format_bytes(seen.progress.total_bytes) if seen.progress.total_bytes else ""
        if is_new or told:
            self._say(text.plain(f"{phase_name(seen)}: {told}" if told else phase_name(seen)))
            self._next = now + _LINE_SECONDS

    def note(self, line: str) -> None:
        """Say it."""
        self._say(text.plain(line))


class Live(Silent):
    """A list of the phases so far with their times, the present one with a bar, redrawn four times a second."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        from rich import console, live  # imported here: 70 ms that only a terminal with running work needs

        self._clock = clock
        self._meter = meter.Meter()
        self._seen: operation.Operation | None = None
        self._past: list[tuple[str, float]] = []
        self._lock = threading.Lock()  # rich draws in a thread of its own
        self._console = console.Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._live = live.Live(console=self._console, get_renderable=self._draw, refresh_per_second=4)

    def update(self, seen: operation.Operation) -> None:
        """Draw it at the next refresh."""
        now = self._clock()
        with self._lock:
            before, began = self._seen, self._meter.phase_began
            if self._meter.add(now, seen.progress) and before is not None:
                self._past.append((phase_name(before), now - began))
            self._seen = seen

    def note(self, line: str) -> None:
        """Print it above the list."""
        self._console.print(text.plain(line))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def _draw(self) -> console.RenderableType:
        from rich import table

        grid = table.Table.grid(padding=(0, 1))
        is_utf8 = self._console.encoding.startswith("utf")
        done, current = ("✓", "▸") if is_utf8 else ("*", ">")
        with self._lock:
            for name, seconds in self._past:
                _row(grid, done, name, units.format_duration(seconds))
            if self._seen is not None:
                self._draw_current(grid, current, self._seen)
        return grid

    def _draw_current(self, grid: table.Table, mark: str, seen: operation.Operation) -> None:
        elapsed = units.format_duration(self._clock() - self._meter.phase_began)
        told = meter.describe(seen.progress, self._meter.rate())
        if seen.state.has_ended:
            _row(grid, "✓" if mark == "▸" and seen.state.value == "succeeded" else "-", phase_name(seen), elapsed)
            return
        _row(grid, mark, phase_name(seen), _bar(seen.progress), told or elapsed)


def choose(*, is_for_programs: bool) -> Display:
    """The display that fits where the output goes."""
    if terminal.is_live():
        return Live()
    return Silent() if is_for_programs else Lines()


def phase_name(seen: operation.Operation) -> str:
    """What is being done, in words."""
    if seen.state.value == "queued":
        return "waiting for its turn"
    name = seen.progress.phase or "starting"
    return f"{name} (cancelling)" if seen.is_cancel_requested and not seen.state.has_ended else name


def _bar(progress: operation.Progress) -> Any:
    from rich import progress_bar

    share = meter.percentage(progress)
    return "" if share is None else progress_bar.ProgressBar(total=100, completed=share, width=24)


def _row(grid: table.Table, *cells: Any) -> None:
    """Add a row; text goes in as rich's Text, which reads no markup."""
    from rich import text as rich_text

    grid.add_row(*[rich_text.Text(text.plain(cell)) if isinstance(cell, str) else cell for cell in cells])
