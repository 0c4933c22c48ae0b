"""What a guest says of itself, made safe to show: it is a stranger's."""

from __future__ import annotations

MOST_CHARACTERS = 300


def plain(text: str) -> str:
    """One line of printable characters, cut to MOST_CHARACTERS: no escape sequence for somebody's terminal."""
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text[: MOST_CHARACTERS + 1])
    return shown if len(shown) <= MOST_CHARACTERS else shown[: MOST_CHARACTERS - 1] + "…"
