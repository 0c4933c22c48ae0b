"""What each way to configure a network offers: a module of this package with these functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from estampe.guest import base
from estampe.model import final


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """The files that the source had, and those that the new server has instead."""

    removed: tuple[str, ...]
    written: tuple[str, ...]


class Way(Protocol):
    """One way to configure a network."""

    def virtual_device(self, appliance: base.Appliance) -> str | None:
        """The file in which the source makes a bridge, bond, VLAN or the like over its interfaces, if there is one."""

    def replace(
        self, appliance: base.Appliance, interfaces: Sequence[final.Interface], search: Sequence[str]
    ) -> Replaced:
        """Take the source's wired interfaces away and write the new server's, each matched by its MAC address."""
