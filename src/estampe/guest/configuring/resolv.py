"""/etc/resolv.conf, for guests in which nothing else writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from estampe.guest import base
from estampe.guest.configuring import files

_PATH: Final = "/etc/resolv.conf"


def write(appliance: base.Appliance, servers: Sequence[str], search: Sequence[str]) -> list[str]:
    """Write it where it is a plain file, or missing: a link is to what a program makes at run time. What was written."""
    if appliance.is_link(_PATH) or not (servers or search):
        return []
    lines = [*([f"search {' '.join(search)}"] if search else []), *(f"nameserver {each}" for each in servers)]
    files.put(appliance, _PATH, files.HEADER + "\n".join(lines) + "\n")
    return [_PATH]
