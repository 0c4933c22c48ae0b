"""Where output goes: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from estampe import errors
from estampe.cli import exits

if TYPE_CHECKING:
    import pydantic


def prepare() -> None:
    """Make both streams take any text: what their encoding lacks is escaped instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def say(lines: Iterable[str]) -> None:
    """The result, for people. Lines are made of `text` functions already: printable."""
    for line in lines:
        typer.echo(line)


def note(line: str) -> None:
    """Something beside the result, for people."""
    typer.echo(line, err=True)


def document(content: pydantic.BaseModel | dict[str, Any]) -> None:
    """The result, for programs: one JSON document. ASCII, so that no text in it can act on a terminal."""
    plain = content if isinstance(content, dict) else content.model_dump(mode="json")
    typer.echo(json.dumps(plain, indent=2, ensure_ascii=True))


def is_asked() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def is_live() -> bool:
    """Whether standard error is a terminal that can redraw lines."""
    return sys.stderr.isatty() and terminal_kind() != "dumb"


def terminal_kind() -> str:
    """$TERM."""
    return os.environ.get("TERM", "dumb")


def confirm(action: str, *, is_confirmed: bool) -> None:
    """Ask whether to go on with `action`, unless that was said already.

    Raises: errors.ConfirmationNeeded where nobody can be asked; typer.Exit where the answer is no.
    """
    if is_confirmed:
        return
    if not is_asked():
        raise errors.ConfirmationNeeded(action=action)
    if not typer.confirm(f"{action[:1].upper()}{action[1:]}?", default=False, err=True):
        note("nothing was done")
        raise typer.Exit(exits.FAILURE)
