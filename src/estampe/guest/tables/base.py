"""What a partition table is to those who change it.

table = gpt.read(device)      all of it is in memory: what is written meanwhile may overwrite old places
table.write(places)           the same table with these partitions elsewhere, for the volume's size as it is now
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from estampe.model import adjustment


class Device(Protocol):
    """A volume as the appliance has it."""

    @property
    def size_bytes(self) -> int: ...

    @property
    def sector_bytes(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes:
        """Exactly so many bytes. Raises: errors.ApplianceFailed."""

    def write(self, offset: int, data: bytes) -> None:
        """All of them. Raises: errors.ApplianceFailed."""


class Table(Protocol):
    """A partition table that was read."""

    def write(self, places: Sequence[adjustment.Place], *, end_bytes: int | None = None) -> None:
        """Write it with the partitions of these numbers at these places; others stay. The volume is to end at `end_bytes`.

        Raises: errors.ApplianceFailed: a number that is not in the table, a place that the table cannot express.
        """
