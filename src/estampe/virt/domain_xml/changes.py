"""The list of what could not stay as it was recorded; nothing is changed without a line in it."""

from __future__ import annotations

from estampe.virt import base

LEFT_OUT = "left out"
HOSTS_OWN = "it names things of the host it was recorded on"


class Changes:
    """Collects changes in order."""

    def __init__(self) -> None:
        self._all: list[base.Change] = []

    def add(self, what: str, *, was: str, now: str, why: str) -> None:
        """Note a change."""
        self._all.append(base.Change(what=what, was=was, now=now, why=why))

    def leave_out(self, what: str, *, was: str = "there", why: str = HOSTS_OWN) -> None:
        """Note that something is not in the new server."""
        self.add(what, was=was, now=LEFT_OUT, why=why)

    def forget(self, what: str) -> None:
        """Take back what was noted of `what`: it has been asked for since."""
        self._all = [change for change in self._all if change.what != what]

    def all(self) -> tuple[base.Change, ...]:
        """What was noted; equal lines once."""
        return tuple(dict.fromkeys(self._all))
