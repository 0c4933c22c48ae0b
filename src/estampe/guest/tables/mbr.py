"""MBR with its extended partition, edited in place. No standard says it: this is what every tool does.

sector 0             boot code, four records at 446, signature 55 AA
an extended record   05h, 0Fh or 85h: a chain of sectors of the same form, one before each logical partition
each of them       record 1: the logical partition, its start counted from this sector
record 2: the next sector of the chain, counted from the extended partition's start
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from estampe import errors
from estampe.guest.tables import base
from estampe.model import adjustment

_RECORD: Final = struct.Struct("<B3sB3sII")
_DISK_SIGNATURE_AT: Final = 440
_RECORDS_AT: Final = 446
_SIGNATURE: Final = b"\x55\xaa"
_EXTENDED: Final = frozenset({0x05, 0x0F, 0x85})
_LAST_PRIMARY: Final = 4
_MOST_LOGICAL: Final = 60  # Linux makes devices of 60 (sd) or 252 (vd); a longer chain may have no end
_MOST_SECTORS: Final = 0xFFFFFFFF
_HEADS, _SECTORS, _CYLINDERS = 255, 63, 1024  # what fdisk and parted count in, and what fits into the three bytes


@dataclass(slots=True)
class _Record:
    """A record with its start counted from the beginning of the volume."""

    flag: int
    kind: int
    first: int
    sectors: int

    def pack(self, origin: int) -> bytes:
        beyond = self.first + self.sectors
        if self.first - origin > _MOST_SECTORS or self.sectors > _MOST_SECTORS or beyond - 1 > _MOST_SECTORS:
            raise errors.ApplianceFailed(detail="a partition ends beyond what an MBR can tell")
        return _RECORD.pack(self.flag, _chs(self.first), self.kind, _chs(beyond - 1), self.first - origin, self.sectors)


@dataclass(slots=True)
class _Link:
    """One sector of the chain with its logical partition."""

    lba: int
    sector: bytes
    logical: _Record


@dataclass(slots=True)
class MbrTable:
    """An MBR as it was read from a device, with the chain of its extended partition."""

    device: base.Device
    sector: bytes
    primaries: dict[int, _Record]
    links: list[_Link] = field(default_factory=list)

    def write(self, places: Sequence[adjustment.Place], *, end_bytes: int | None = None) -> None:  # noqa: ARG002 - says no end
        """See base.Table. The chain's sectors keep their distance to their logical partitions."""
        for place in places:
            self._put(place)
        extended = next((each for each in self.primaries.values() if each.kind in _EXTENDED), None)
        if extended is not None:
            self._write_chain(extended)
        packed = {number: record.pack(0) for number, record in self.primaries.items()}
        self.device.write(0, _with_records(self.sector, packed))

    def renew(self, signature: int) -> None:
        """Write it with this disk signature; all else stays."""
        at = slice(_DISK_SIGNATURE_AT, _DISK_SIGNATURE_AT + 4)
        self.sector = self.sector[: at.start] + signature.to_bytes(4, "little") + self.sector[at.stop :]
        self.device.write(0, self.sector)

    def _put(self, place: adjustment.Place) -> None:
        first, sectors = place.start_bytes // self.device.sector_bytes, place.size_bytes // self.device.sector_bytes
        nth = place.number - _LAST_PRIMARY - 1
        if place.number in self.primaries:
            record = self.primaries[place.number]
        elif 0 <= nth < len(self.links):
            record = self.links[nth].logical
            self.links[nth].lba += first - record.first
        else:
            raise errors.ApplianceFailed(detail=f"the partition table has no partition {place.number}")
        record.first, record.sectors = first, sectors

    def _write_chain(self, extended: _Record) -> None:
        if self.links and self.links[0].lba != extended.first:
            raise errors.ApplianceFailed(
                detail="the first logical partition must stay where its extended partition begins"
            )
        for nth, link in enumerate(self.links):
            records = {1: link.logical.pack(link.lba), 2: bytes(_RECORD.size)}
            if nth + 1 < len(self.links):
                later = self.links[nth + 1]
                beyond = later.logical.first + later.logical.sectors
                records[2] = _Record(0, 0x05, later.lba, beyond - later.lba).pack(extended.first)
            self.device.write(link.lba * self.device.sector_bytes, _with_records(link.sector, records))


def read(device: base.Device) -> MbrTable:
    """The table. Raises: errors.ApplianceFailed."""
    sector = _table_sector(device, 0)
    records = {nth: _record(sector, nth, 0) for nth in range(1, _LAST_PRIMARY + 1)}
    table = MbrTable(device, sector, {nth: record for nth, record in records.items() if record.kind})
    extended = [record for record in table.primaries.values() if record.kind in _EXTENDED]
    if len(extended) > 1:
        raise errors.ApplianceFailed(detail="there is more than one extended partition")
    if extended:
        table.links.extend(_chain(device, extended[0]))
    return table


def _chain(device: base.Device, extended: _Record) -> list[_Link]:
    links: list[_Link] = []
    lba = extended.first
    if _bytes_of(device, lba)[510:512] != _SIGNATURE:  # nothing was ever made in it
        return links
    while True:
        if len(links) == _MOST_LOGICAL or not extended.first <= lba < extended.first + extended.sectors:
            raise errors.ApplianceFailed(detail="the chain of logical partitions leads astray")
        sector = _table_sector(device, lba)
        logical, later = _record(sector, 1, lba), _record(sector, 2, extended.first)
        if logical.kind:
            links.append(_Link(lba, sector, logical))
        elif later.kind or links:  # an empty one in between, which numbers and places here would be wrong of
            raise errors.ApplianceFailed(detail="the chain of logical partitions has an empty link")
        if not later.kind:
            return links
        lba = later.first


def _bytes_of(device: base.Device, lba: int) -> bytes:
    return device.read(lba * device.sector_bytes, device.sector_bytes)


def _table_sector(device: base.Device, lba: int) -> bytes:
    sector = _bytes_of(device, lba)
    if sector[510:512] != _SIGNATURE:
        raise errors.ApplianceFailed(detail=f"there is no partition table in sector {lba}")
    return sector


def _record(sector: bytes, nth: int, origin: int) -> _Record:
    flag, _start, kind, _end, first, sectors = _RECORD.unpack_from(sector, _RECORDS_AT + (nth - 1) * _RECORD.size)
    return _Record(flag, kind, first + origin, sectors)


def _with_records(sector: bytes, records: dict[int, bytes]) -> bytes:
    made = bytearray(sector)
    for nth, record in records.items():
        at = _RECORDS_AT + (nth - 1) * _RECORD.size
        made[at : at + _RECORD.size] = record
    return bytes(made)


def _chs(lba: int) -> bytes:
    """Cylinder, head and sector as BIOSes of old read them; the last ones that can be said for all that lies beyond."""
    cylinder, rest = divmod(lba, _HEADS * _SECTORS)
    head, sector = divmod(rest, _SECTORS)
    if cylinder >= _CYLINDERS:
        cylinder, head, sector = _CYLINDERS - 1, _HEADS - 1, _SECTORS - 1
    return bytes([head, (sector + 1) | (cylinder >> 2 & 0xC0), cylinder & 0xFF])
