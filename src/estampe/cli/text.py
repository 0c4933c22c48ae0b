"""Text made fit for a terminal: nothing that came from elsewhere may move its cursor, colour it or retitle it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass


def plain(value: object) -> str:
    r"""`value` as one line of printable characters; all others (escapes, line ends, bidi marks) as `\x1b`, `\u202e`."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in str(value))


def width(text: str) -> int:
    """Columns that `text` takes: wide characters count two, combining ones none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title, and whether its cells are numbers."""

    title: str
    is_right: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a table without borders: for eyes, `grep` and `awk`. Cells are never cut off."""
    cells = [[column.title for column in columns], *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(width(row[nth]) for row in cells) for nth in range(len(columns))]
    return [
        "  ".join(_pad(row[nth], widths[nth], column) for nth, column in enumerate(columns)).rstrip() for row in cells
    ]


def pairs(facts: Sequence[tuple[str, object]]) -> list[str]:
    """Lines of `name   value`; values that are None are left out, further lines of a value are indented below it."""
    known = [(name, value) for name, value in facts if value is not None]
    indent = max((width(name) for name, _value in known), default=0) + 2
    lines = []
    for name, value in known:
        first, *others = str(value).splitlines() or [""]
        lines.append(f"{name}{' ' * (indent - width(name))}{plain(first)}".rstrip())
        lines.extend(f"{' ' * indent}{plain(other)}".rstrip() for other in others)
    return lines


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else plain(value)


def _pad(cell: str, columns: int, column: Column) -> str:
    space = " " * (columns - width(cell))
    return space + cell if column.is_right else cell + space
