"""How a server's volumes are cut up: partition tables, partitions, LVM. Sizes and offsets in bytes.

volume      | table | partition | partition ... | table (GPT's backup) |      or, without a table, one content over all of it
                         '- content: ext4, swap, crypto_LUKS, LVM2_member, extended ...
group       physical volumes (partitions, whole volumes) -> logical volumes, each with its content
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

SECTOR_BYTES: Final = 512  # what blkid, LVM and the kernel count in, whatever the volume's own sectors
UNKNOWN: Final = "unknown"  # content that nothing is known of: blank, a raw database, a boot loader's own partition
EXTENDED: Final = "extended"  # an MBR partition that holds the logical ones
ENCRYPTED: Final = "crypto_LUKS"
PHYSICAL_VOLUME: Final = "LVM2_member"


class TableKind(enum.StrEnum):
    """How a volume says where its partitions are."""

    GPT = "gpt"
    MBR = "mbr"
    NONE = "none"  # one content over the whole volume, or a table of a kind that Estampe does not change


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition as its table has it."""

    number: int  # 2 in vda2; logical ones count from 5
    start_bytes: int
    size_bytes: int  # that of an extended one spans the logical ones
    type: str  # GPT: the type's GUID in upper case; MBR: 0x83
    name: str | None  # GPT's name for it
    is_bootable: bool  # MBR: active; GPT: legacy BIOS bootable
    is_logical: bool
    content: str  # ext4, xfs, btrfs, ntfs, vfat, swap, LVM2_member, crypto_LUKS, extended, unknown, ...
    uuid: str | None = None  # PARTUUID; of an MBR the disk's signature and the number


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeLayout:
    """One volume."""

    target: str  # vda
    size_bytes: int
    sector_size_bytes: int  # as the partition table counts: 512 or 4096
    table: TableKind
    partitions: tuple[Partition, ...]  # in the order of their starts
    content: str | None  # what is on the whole volume where it has no table, else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogicalVolume:
    """One logical volume that the guest sees."""

    name: str
    size_bytes: int
    kind: str  # linear, striped, thin, thin-pool, raid1, snapshot, mixed, ...: as LVM names segments
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeGroup:
    """One LVM volume group."""

    name: str
    extent_size_bytes: int
    free_bytes: int
    physical_volumes: tuple[str, ...]  # our names: vda2, vdb
    logical_volumes: tuple[LogicalVolume, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All volumes of a server, in its order, and the groups over them."""

    volumes: tuple[VolumeLayout, ...]
    groups: tuple[VolumeGroup, ...]

    def find_volume(self, target: str) -> VolumeLayout | None:
        """The volume of that target."""
        return next((each for each in self.volumes if each.target == target), None)

    def contents(self) -> set[str]:
        """The kinds of all that lies on the volumes, in partitions and in logical volumes."""
        whole = {each.content for each in self.volumes if each.content is not None}
        parts = {part.content for each in self.volumes for part in each.partitions}
        return whole | parts | {logical.content for group in self.groups for logical in group.logical_volumes}


def partition_name(target: str, number: int) -> str:
    """As the kernel names it: vda2, nvme0n1p2."""
    return f"{target}{'p' if target[-1:].isdigit() else ''}{number}"
