"""GPT, edited in place. UEFI specification 2.10, chapter 5 "GUID Partition Table Disk Layout".

LBA 0    protective MBR        one record of type EEh over all of the disk, up to 32 bits of sectors
LBA 1    header                signature, CRC-32 of itself and of the entries, where its alternate and the entries are
LBA 2    entries               128 of 128 bytes as a rule: type, GUID, first LBA, last LBA (inclusive), attributes, name
...
last-n   entries again
last     alternate header      the same, with the two places exchanged
"""

from __future__ import annotations

import dataclasses
import struct
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from estampe import errors
from estampe.guest.tables import base
from estampe.model import adjustment

_HEADER: Final = struct.Struct("<8sIIIIQQQQ16sQIII")
_SIGNATURE: Final = b"EFI PART"
_LARGEST_ENTRIES_BYTES: Final = 1024 * 1024  # 16 KiB as a rule; whatever claims more is no table to work on
_PLACE: Final = struct.Struct("<QQ")
_GUID_AT: Final = 16  # of an entry: behind the type
_PLACE_AT: Final = 32  # of an entry: behind the two GUIDs
_MBR_RECORD: Final = struct.Struct("<B3sB3sII")
_MBR_RECORDS_AT: Final = 446
_PROTECTIVE: Final = 0xEE
_MOST_MBR_SECTORS: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Header:
    signature: bytes
    revision: int
    header_bytes: int
    header_crc: int
    reserved: int
    own_lba: int
    other_lba: int
    first_usable_lba: int
    last_usable_lba: int
    disk_guid: bytes
    entries_lba: int
    entry_count: int
    entry_bytes: int
    entries_crc: int

    @classmethod
    def parse(cls, sector: bytes) -> Self:
        return cls(*_HEADER.unpack_from(sector))

    def pack(self, sector: bytes) -> bytes:
        """The sector with this header in it, its CRC counted."""
        fields = [getattr(self, field.name) for field in dataclasses.fields(self)]
        fields[3] = 0
        bare = _HEADER.pack(*fields) + sector[_HEADER.size : self.header_bytes]
        fields[3] = zlib.crc32(bare)
        return _HEADER.pack(*fields) + sector[_HEADER.size :]


class GptTable:
    """A GPT as it was read from a device."""

    def __init__(self, device: base.Device, sector: bytes, entries: bytes) -> None:
        self._device, self._sector, self._entries = device, sector, bytearray(entries)
        self._header = _Header.parse(sector)

    def write(self, places: Sequence[adjustment.Place], *, end_bytes: int | None = None) -> None:
        """See base.Table. Both copies are written, the second one at the volume's end."""
        entries_sectors = -(-len(self._entries) // self._device.sector_bytes)
        last = (end_bytes or self._device.size_bytes) // self._device.sector_bytes - 1
        last_usable = last - entries_sectors - 1
        for place in places:
            self._put(place, last_usable)
        first = dataclasses.replace(
            self._header, own_lba=1, other_lba=last, last_usable_lba=last_usable, entries_crc=zlib.crc32(self._entries)
        )
        second = dataclasses.replace(first, own_lba=last, other_lba=1, entries_lba=last - entries_sectors)
        for header in (second, first):  # the one that counts comes last
            self._write(header.entries_lba, bytes(self._entries))
            self._write(header.own_lba, header.pack(self._sector))
        self._write_protective(last)

    def renew(self, disk: uuid.UUID | None, partitions: Mapping[int, uuid.UUID]) -> None:
        """Write it with these GUIDs; all else, and where it ends, stays."""
        for number, guid in partitions.items():
            at = (number - 1) * self._header.entry_bytes + _GUID_AT
            self._entries[at : at + 16] = guid.bytes_le
        if disk is not None:
            self._header = dataclasses.replace(self._header, disk_guid=disk.bytes_le)
        last = min(self._header.other_lba, self._device.size_bytes // self._device.sector_bytes - 1)
        self.write((), end_bytes=(last + 1) * self._device.sector_bytes)

    def _put(self, place: adjustment.Place, last_usable: int) -> None:
        size = self._header.entry_bytes
        at = (place.number - 1) * size
        if not 0 < place.number <= self._header.entry_count or not any(self._entries[at : at + 16]):
            raise errors.ApplianceFailed(detail=f"the partition table has no partition {place.number}")
        first, beyond = (end // self._device.sector_bytes for end in (place.start_bytes, place.end_bytes))
        if first < self._header.first_usable_lba or beyond - 1 > last_usable:
            raise errors.ApplianceFailed(detail=f"partition {place.number} does not fit into the volume")
        _PLACE.pack_into(self._entries, at + _PLACE_AT, first, beyond - 1)

    def _write(self, lba: int, data: bytes) -> None:
        self._device.write(lba * self._device.sector_bytes, data)

    def _write_protective(self, last: int) -> None:
        """A record from LBA 1 on is the protective one; that of a hybrid MBR tells of its own."""
        sector = bytearray(self._device.read(0, self._device.sector_bytes))
        for nth in range(4):
            at = _MBR_RECORDS_AT + nth * _MBR_RECORD.size
            flag, start_chs, kind, end_chs, first, sectors = _MBR_RECORD.unpack_from(sector, at)
            is_whole = nth == 0 and not any(sector[at + 16 : at + 64])
            if kind == _PROTECTIVE and first == 1 and is_whole and sectors != min(last, _MOST_MBR_SECTORS):
                _MBR_RECORD.pack_into(sector, at, flag, start_chs, kind, end_chs, 1, min(last, _MOST_MBR_SECTORS))
        self._device.write(0, bytes(sector))


def read(device: base.Device) -> GptTable:
    """The table. Raises: errors.ApplianceFailed where the first copy is not whole: nobody can tell then which one is true."""
    sector = device.read(device.sector_bytes, device.sector_bytes)
    header = _Header.parse(sector)
    if header.signature != _SIGNATURE or not _HEADER.size <= header.header_bytes <= device.sector_bytes:
        raise errors.ApplianceFailed(detail="the GPT's header is not one")
    if header.pack(sector)[: header.header_bytes] != sector[: header.header_bytes]:
        raise errors.ApplianceFailed(detail="the GPT's header is damaged: its checksum does not fit")
    length = header.entry_count * header.entry_bytes
    if header.entry_bytes < 128 or not 0 < length <= _LARGEST_ENTRIES_BYTES:
        raise errors.ApplianceFailed(detail="the GPT's entries have a size that makes no sense")
    entries = device.read(header.entries_lba * device.sector_bytes, length)
    if zlib.crc32(entries) != header.entries_crc:
        raise errors.ApplianceFailed(detail="the GPT's entries are damaged: their checksum does not fit")
    return GptTable(device, sector, entries)
