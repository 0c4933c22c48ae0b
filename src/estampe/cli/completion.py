"""Names for the shell to complete. Whatever goes wrong, nothing is said: the shell is in the middle of a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from estampe.client import client

_MAX_NAMES: Final = 200
_PATIENCE_SECONDS: Final = 2.0


def servers(incomplete: str) -> list[str]:
    """Names of servers."""
    return _names(lambda daemon: [server.name for server in daemon.list_servers()], incomplete)


def templates(incomplete: str) -> list[str]:
    """Names of templates; with `web@` typed, their versions."""
    if "@" in incomplete:
        return _names(lambda daemon: [template.reference for template in daemon.list_templates()], incomplete)
    return _names(lambda daemon: [template.name for template in daemon.list_templates()], incomplete)


def operations(incomplete: str) -> list[str]:
    """Ids of operations, the newest first."""
    return _names(lambda daemon: [str(operation.id) for operation in daemon.list_operations()], incomplete)


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
    return all(character.isalnum() or character in "._@+-" for character in name)
