"""Names for the shell to complete. Whatever goes wrong, nothing is said: the shell is in the middle of a line."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from estampe.model import visibility

if TYPE_CHECKING:
    from estampe.client import client

_MAX_NAMES: Final = 200
_MAX_LISTED: Final = 2000  # of templates, which have several versions each
_PATIENCE_SECONDS: Final = 2.0
_ASKED_BY: Final = "_ESTAMPE_COMPLETE"  # what Typer's scripts for the shells set


def servers(incomplete: str) -> list[str]:
    """Names of servers."""
    return _names(lambda daemon: [server.name for server in daemon.list_servers()], incomplete)


def templates(incomplete: str) -> list[str]:
    """Names of templates; with `web@` typed, their versions; with `acme/` typed, those of others that are shared or public."""
    others = [visibility.Scope.SHARED, visibility.Scope.PUBLIC] if "/" in incomplete else []
    name = f"{incomplete.rpartition('/')[2].partition('@')[0]}*" if others else None

    def ask(daemon: client.Client) -> list[str]:
        found = daemon.list_templates(scopes=others, name=name, limit=_MAX_LISTED)
        return [each.reference if "@" in incomplete else each.reference.partition("@")[0] for each in found]

    return _names(ask, incomplete)


def operations(incomplete: str) -> list[str]:
    """Ids of operations, the newest first."""
    return _names(lambda daemon: [str(operation.id) for operation in daemon.list_operations()], incomplete)


def answer(command: Callable[[], None]) -> None:
    """Run `command`, which answers the shell where it asks.

    bash cuts words at `@`, one of its COMP_WORDBREAKS: `web@2` comes as three words, and only what is behind the last `@` is
    replaced by the answer. So they are put together for the command, and what bash has kept is taken from the answer.
    """
    if os.environ.get(_ASKED_BY) != "complete_bash":
        command()
        return
    text = os.environ.get("COMP_WORDS", "")
    between = "\n" if "\n" in text else " "
    words, current = _put_together(text.split(between), int(os.environ.get("COMP_CWORD") or 0))
    os.environ |= {"COMP_WORDS": between.join(words), "COMP_CWORD": str(current)}
    kept, at, _rest = words[current].rpartition("@") if current < len(words) else ("", "", "")
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            command()
    finally:
        sys.stdout.writelines(f"{line.removeprefix(kept + at)}\n" for line in said.getvalue().splitlines())


def _put_together(words: list[str], current: int) -> tuple[list[str], int]:
    """`web`, `@`, `2` as one word, and the number of the current word by then."""
    whole: list[str] = []
    is_open = False  # the word before ends with a cut
    now = current
    for nth, word in enumerate(words):
        is_cut = word == "@" and bool(whole)
        if is_cut or is_open:
            whole[-1] += word
        else:
            whole.append(word)
        is_open = is_cut and nth != current  # the cursor stands behind it: what follows is another word
        if nth == current:
            now = len(whole) - 1
    return whole, now


def _names(ask: Callable[[client.Client], list[str]], incomplete: str) -> list[str]:
    """What `ask` finds that begins as typed. Names that a shell could take for more than a word are left out."""
    try:
        from estampe.client import client

        with client.Client(request_seconds=_PATIENCE_SECONDS) as daemon:
            found = dict.fromkeys(ask(daemon))
    except Exception:  # noqa: BLE001 - no daemon, no permission, no memory: no completion
        return []
    fitting = [name for name in found if name.startswith(incomplete) and _is_word(name)]
    return fitting[:_MAX_NAMES]


def _is_word(name: str) -> bool:
    return all(character.isalnum() or character in "._@+-/" for character in name)
