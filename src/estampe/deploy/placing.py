"""Where partitions go on a volume of another size. Pure arithmetic on tables.

| 1 |   5 root    | ebr 6 | 7 |          |      grown: 5, in the extended partition around 5 and 6
| 1 |   5 root             | ebr 6 | 7 | |      6 and 7 are as far from each other as before
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from estampe import units
from estampe.model import adjustment, layout

# Starts stay as well aligned as they were: all that moves does so by a multiple of this, as every tool aligns today.
ALIGNMENT_BYTES: Final = units.MIB
_GPT_ENTRIES_BYTES: Final = 16 * units.KIB
_MOST_MBR_SECTORS: Final = 2**32
_BIOS_BOOT: Final = "21686148-6449-6E6F-744E-656564454649"  # GRUB's: the boot sector has its place as a number
_HIBERNATED: Final = "swsuspend"
_RAID_MEMBER: Final = "linux_raid_member"


def usable_end(volume: layout.VolumeLayout, size_bytes: int) -> int:
    """Up to where partitions may reach on a volume of that size."""
    sector = volume.sector_size_bytes
    if volume.table is layout.TableKind.GPT:
        return (size_bytes // sector - 1 - -(-_GPT_ENTRIES_BYTES // sector)) * sector
    return min(size_bytes // sector, _MOST_MBR_SECTORS) * sector


def grown(volume: layout.VolumeLayout, chosen: layout.Partition, size_bytes: int) -> adjustment.Repartition | str:
    """The table with the chosen partition as large as a volume of `size_bytes` lets it be, or why it stays as it is."""
    around = _extended(volume) if chosen.is_logical else None
    behind = list(_behind(volume, chosen))
    end = max(each.start_bytes + each.size_bytes for each in [chosen, *behind, *([around] if around else [])])
    shift = (usable_end(volume, size_bytes) - end) // ALIGNMENT_BYTES * ALIGNMENT_BYTES
    if shift <= 0:
        is_short = volume.table is layout.TableKind.MBR and size_bytes > usable_end(volume, size_bytes)
        return "an MBR cannot tell of more than 2 TiB" if is_short else "too little space was added to be of use"
    places = [_place(chosen, more=shift)]
    if around is not None:
        places.append(_place(around, more=shift))
    places.extend(_place(each, shift=shift) for each in behind)
    moves = tuple(
        adjustment.Move(
            number=each.number,
            from_bytes=each.start_bytes,
            to_bytes=each.start_bytes + shift,
            size_bytes=each.size_bytes,
            content=each.content,
        )
        for each in reversed(behind)  # the last one first: nothing is overwritten before it was moved
        if each.content != layout.EXTENDED
    )
    return adjustment.Repartition(target=volume.target, places=tuple(places), moves=moves)


def moved_bytes(volume: layout.VolumeLayout, chosen: layout.Partition) -> int:
    """How much would have to be copied for the chosen partition to grow."""
    contents = (each for each in _behind(volume, chosen) if each.content not in {"swap", layout.EXTENDED})
    return sum(each.size_bytes for each in contents)


def why_fixed(volume: layout.VolumeLayout, chosen: layout.Partition) -> str | None:
    """Why the chosen partition cannot grow, whatever the size of the volume."""
    if chosen.content == layout.EXTENDED:
        return "it only holds logical partitions: name one of them"
    if any(each.content == _RAID_MEMBER for each in volume.partitions):
        return f"{volume.target} has a member of a RAID, which is not taken apart"
    if _overlaps(volume):
        return f"the partitions of {volume.target} overlap"
    for each in _behind(volume, chosen):
        name = layout.partition_name(volume.target, each.number)
        if each.type.upper() == _BIOS_BOOT:
            return f"{name}, which holds the boot loader and cannot be moved, lies behind it"
        if each.content == _HIBERNATED:
            return f"{name}, which lies behind it, holds a hibernated system"
    return None


def _behind(volume: layout.VolumeLayout, chosen: layout.Partition) -> Iterator[layout.Partition]:
    """What has to make room, ascending: an extended partition with all that is in it, but not the one around the chosen."""
    end = chosen.start_bytes + chosen.size_bytes
    return (each for each in sorted(volume.partitions, key=_order) if each.start_bytes >= end)


def _order(partition: layout.Partition) -> tuple[int, bool]:
    return partition.start_bytes, partition.is_logical


def _extended(volume: layout.VolumeLayout) -> layout.Partition | None:
    return next((each for each in volume.partitions if each.content == layout.EXTENDED), None)


def _overlaps(volume: layout.VolumeLayout) -> bool:
    """A table that no sound tool has written: nothing of it may be moved."""
    for is_logical in (False, True):
        end = 0
        for each in sorted((each for each in volume.partitions if each.is_logical is is_logical), key=_order):
            if each.start_bytes < end or each.size_bytes <= 0 or each.start_bytes % volume.sector_size_bytes:
                return True
            end = each.start_bytes + each.size_bytes
    around = _extended(volume)
    logical = [each for each in volume.partitions if each.is_logical]
    if around is None:
        return bool(logical)
    inside = range(around.start_bytes, around.start_bytes + around.size_bytes + 1)
    return any(each.start_bytes not in inside or each.start_bytes + each.size_bytes not in inside for each in logical)


def _place(partition: layout.Partition, *, shift: int = 0, more: int = 0) -> adjustment.Place:
    return adjustment.Place(
        number=partition.number, start_bytes=partition.start_bytes + shift, size_bytes=partition.size_bytes + more
    )
