"""The result of the matrix as docs/reference/guests.md: `script/test --write-guests` writes it, a full test run compares."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.matrix import rows, story
from tests.support import guests

PAGE = guests.REPOSITORY / "docs/reference/guests.md"
COLUMNS = ("guest", "layout", "firmware", "grown", "configured", "sealed", "left, and why")
_BEGIN = "<!-- begin: written by `script/test --write-guests` -->\n"
_END = "<!-- end -->\n"
_NOT_RUN = "not run yet"
_DEVICE = re.compile(r"vd[a-z]\d*|[\w-]+/[\w-]+")
_MAC = re.compile(r"52:54:00(:[0-9a-f]{2}){3}")


def cells(told: story.Story) -> tuple[str, ...]:
    """One row, of what the first clone's report and the template say."""
    report = told.clones[0].report
    sealing = told.template["manifest"]["sealing"]
    return (
        *fixed(told.row),
        _joined(_grown(report)),
        _joined(_configured(report)),
        "yes" if sealing["is_sealed"] else f"no: {sealing['why_not']}",
        _joined(_left(report)) or "nothing",
    )


def fixed(row: rows.Row) -> tuple[str, str, str]:
    """What of a row is known before anything ran."""
    return row.name, row.layout, row.firmware


def _grown(report: tuple[dict[str, Any], ...]) -> Iterator[str]:
    for change in report:
        if _DEVICE.fullmatch(change["what"]) and change["outcome"] == "done":
            yield f"{change['what']}: {change['detail']} ({change['means']})"


def _configured(report: tuple[dict[str, Any], ...]) -> Iterator[str]:
    """By means, what was done."""
    done: dict[str, list[str]] = {}
    for change in report:
        if change["outcome"] == "done" and not _DEVICE.fullmatch(change["what"]):
            done.setdefault(change["means"], []).append(_anonymous(change["what"]))
    for means, what in done.items():
        yield f"{means}: {', '.join(what)}"


def _left(report: tuple[dict[str, Any], ...]) -> Iterator[str]:
    for change in report:
        if change["outcome"] == "left":
            yield f"{_anonymous(change['what'])}: {change['detail']}; {change['why']}"


def _anonymous(what: str) -> str:
    return _MAC.sub("an interface", what)


def _joined(lines: Iterator[str]) -> str:
    return "<br>".join(line.replace("|", "\\|") for line in lines)


def written() -> dict[str, tuple[str, ...]]:
    """The rows of the page, by name."""
    inside = PAGE.read_text().split(_BEGIN)[1].split(_END)[0]
    found = (tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in inside.splitlines()[2:])
    return {each[0]: each for each in found}


def write(made: tuple[str, ...]) -> None:
    """Put this row into the page; the others stay as they are."""
    all_rows = written() | {made[0]: made}
    missing = (_NOT_RUN,) * (len(COLUMNS) - len(COLUMNS[:3]))
    ordered = [all_rows.get(row.name, (*fixed(row), *missing)) for row in rows.ROWS]
    lines = [COLUMNS, ("---",) * len(COLUMNS), *ordered]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    PAGE.write_text(before + _BEGIN + text + _END + rest.partition(_END)[2])
