"""What lies on a guest's volumes, named as the server names them, not as the appliance does.

the appliance      /dev/sda2   /dev/vg0/root   btrfsvol:/dev/sdb/@home
Estampe            vda2        vg0/root        vdb
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from estampe.guest import lvm, mounted, text
from estampe.model import layout as layouts

_PLAIN_DEVICE: Final = re.compile(r"(/dev/[a-z]+)(\d*)")
_SUBVOLUME: Final = "btrfsvol:"
_ESCAPED: Final = re.compile(r"\\(.)")
_LAST_PRIMARY: Final = 4  # of an MBR; from 5 on, partitions lie inside the extended one
_TABLES: Final = {"gpt": layouts.TableKind.GPT, "dos": layouts.TableKind.MBR}  # blkid's words
_EXTENDED_TYPES: Final = frozenset({"0x5", "0xf", "0x85"})
_MBR_ACTIVE, _GPT_LEGACY_BOOTABLE = 0x80, 1 << 2  # UEFI 2.10, 5.2.1 and 5.3.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one partition, logical volume or whole volume holds."""

    device: str  # the appliance's name
    name: str  # ours
    kind: str  # ext4, swap, crypto_LUKS, unknown, ...
    size_bytes: int
    uuid: str | None
    label: str | None


class Volumes:
    """The volumes of a launched handle."""

    def __init__(self, handle: Any, targets: Sequence[str]) -> None:
        """`targets` in the order in which the drives were added."""
        self._handle, self._targets = handle, targets
        self._drives: tuple[str, ...] | None = None
        self._partitions: tuple[str, ...] | None = None
        self._told: dict[str, dict[str, str]] = {}
        self._sizes: dict[str, int] = {}

    # --- names --------------------------------------------------------------------------------------------------------

    def drives(self) -> tuple[str, ...]:
        """The appliance's names of the volumes. Raises: errors.ApplianceFailed, as whatever here asks it."""
        if self._drives is None:
            with mounted.guest_errors("listing the volumes"):
                self._drives = tuple(self._handle.list_devices())
        return self._drives

    def partitions(self) -> tuple[str, ...]:
        """Those of all partitions, an extended one too."""
        if self._partitions is None:
            with mounted.guest_errors("listing the partitions"):
                self._partitions = tuple(self._handle.list_partitions())
        return self._partitions

    def _on_a_drive(self, device: str) -> re.Match[str] | None:
        """(drive, number of the partition) of a drive or its partition; None of what has a name of its own.

        Its look alone does not tell: the array /dev/md127 is no partition 127 of a drive /dev/md.
        """
        match = _PLAIN_DEVICE.fullmatch(device)
        return match if match is not None and match[1] in self.drives() else None

    def name(self, device: str) -> str:
        """Our name of a device or a partition."""
        match = self._on_a_drive(device)
        if match is None:
            return text.plain(device.removeprefix("/dev/").removeprefix("mapper/"))
        target = self._targets[self.drives().index(match[1])]
        return layouts.partition_name(target, int(match[2])) if match[2] else target

    def device_of(self, mountable: str) -> str:
        """The device under a mountable: a btrfs subvolume's file system. Raises: errors.ApplianceFailed."""
        if not mountable.startswith(_SUBVOLUME):
            return mountable
        device = _longest(self._told, mountable)
        if device is None:
            with mounted.guest_errors(mountable):
                device = self._handle.mountable_device(mountable)
        return device

    def named_by_us(self, mountable: str) -> str:
        """A mountable that inspection names, with a device's name that can be given back.

        libguestfs 1.48 names a subvolume's device as the appliance's kernel does, and takes it for a name of its own when it
        is given back; the two differ where the kernel found the drives in another order (seen here with 5 drives).
        Everything else it translates both ways. To be removed when a libguestfs that translates these too is required.
        """
        ours = {told.get("DEVNAME", device): device for device, told in self._told.items()}
        theirs = _longest(ours, mountable) if mountable.startswith(_SUBVOLUME) else None
        if theirs is None:
            return mountable
        return f"{_SUBVOLUME}{ours[theirs]}{mountable.removeprefix(_SUBVOLUME + theirs)}"

    # --- contents -----------------------------------------------------------------------------------------------------

    def contents(self) -> list[Content]:
        """Everything that holds something, in the volumes' order; only containers of others (LVM, RAID members) are left out.

        Raises: errors.ApplianceFailed.
        """
        parents = {match[1] for each in self.partitions() if (match := _PLAIN_DEVICE.fullmatch(each))}
        whole = [device for device in self.drives() if device not in parents]
        with mounted.guest_errors("looking at the volumes"):
            arrays = self._handle.list_md_devices()
        found = [self._content(device) for device in (*whole, *self.partitions(), *arrays)]
        logical = [self._content(device) for device in self._logical_volumes()]
        return [each for each in (*found, *logical) if each is not None]

    def _logical_volumes(self) -> list[str]:
        """Asked for only where there is a physical one: the question takes the appliance a second under full emulation."""
        if not self.has_groups():
            return []
        with mounted.guest_errors("looking at the logical volumes"):
            listed: list[str] = self._handle.lvs()
        return listed

    def has_groups(self) -> bool:
        """Whether LVM has anything on the volumes, as `contents` or `layout` saw them."""
        return any(told.get("TYPE") == layouts.PHYSICAL_VOLUME for told in self._told.values())

    def _content(self, device: str) -> Content | None:
        told, kind = self._ask(device), self._kind(device)
        if kind.endswith("_member") or kind == layouts.EXTENDED or (kind == layouts.UNKNOWN and "PTTYPE" in told):
            return None
        return Content(
            device=device,
            name=self.name(device),
            kind=kind,
            size_bytes=self._size_bytes(device),
            uuid=_shown(told.get("UUID")),
            label=_shown(told.get("LABEL")),
        )

    def _ask(self, device: str) -> dict[str, str]:
        """What blkid(8) sees on a device, and its entry in the partition table; asked once."""
        if device not in self._told:
            try:
                told = self._handle.blkid(device)
            except (RuntimeError, UnicodeError):  # it sees two things at once, or cannot read
                told = self._entry(device)
            self._told[device] = {name: _ESCAPED.sub(r"\1", value) for name, value in told.items()}
        return self._told[device]

    def _entry(self, device: str) -> dict[str, str]:
        """A partition's entry in the table in blkid's words, where blkid does not say it."""
        match = self._on_a_drive(device)
        if match is None or not match[2]:
            return {}
        drive, number = match[1], int(match[2])
        scheme = self._ask(drive).get("PTTYPE", "")
        with contextlib.suppress(RuntimeError):
            part = next(each for each in self._handle.part_list(drive) if each["part_num"] == number)
            is_gpt = scheme == "gpt"
            kind = self._handle.part_get_gpt_type if is_gpt else self._handle.part_get_mbr_id
            return {
                "PART_ENTRY_SCHEME": scheme,
                "PART_ENTRY_TYPE": kind(drive, number) if is_gpt else hex(kind(drive, number)),
                "PART_ENTRY_NUMBER": match[2],
                "PART_ENTRY_OFFSET": str(part["part_start"] // layouts.SECTOR_BYTES),
                "PART_ENTRY_SIZE": str(part["part_size"] // layouts.SECTOR_BYTES),
            }
        return {}

    def _kind(self, device: str) -> str:
        told = self._ask(device)
        if told.get("PART_ENTRY_SCHEME") == "dos" and told.get("PART_ENTRY_TYPE") in _EXTENDED_TYPES:
            return layouts.EXTENDED
        return text.plain(told.get("TYPE", layouts.UNKNOWN))

    def _size_bytes(self, device: str) -> int:
        sectors = self._ask(device).get("PART_ENTRY_SIZE")
        if sectors is not None:
            return int(sectors) * layouts.SECTOR_BYTES
        if device not in self._sizes:
            with mounted.guest_errors(self.name(device)):
                self._sizes[device] = self._handle.blockdev_getsize64(device)
        return self._sizes[device]

    # --- layout -------------------------------------------------------------------------------------------------------

    def layout(self) -> layouts.Layout:
        """How the volumes are cut up. Raises: errors.ApplianceFailed."""
        partitions: dict[str, list[layouts.Partition]] = {drive: [] for drive in self.drives()}
        for device in self.partitions():
            match = self._on_a_drive(device)
            partition = self._partition(device) if match else None
            if match and partition:
                partitions[match[1]].append(partition)
        volumes = tuple(self._volume(drive, found) for drive, found in partitions.items())
        return layouts.Layout(volumes=volumes, groups=tuple(self._groups()))

    def _volume(self, drive: str, partitions: Sequence[layouts.Partition]) -> layouts.VolumeLayout:
        told = self._ask(drive)
        table = _TABLES.get(told.get("PTTYPE", ""), layouts.TableKind.NONE)
        # A file system may look like a table too (a boot sector is one); only what the kernel found partitions by is one.
        if table is layouts.TableKind.MBR and "TYPE" in told and not partitions:
            table = layouts.TableKind.NONE
        is_cut = table is not layouts.TableKind.NONE
        return layouts.VolumeLayout(
            target=self.name(drive),
            size_bytes=self._size_bytes(drive),
            sector_size_bytes=int(told.get("LOGICAL_SECTOR_SIZE", layouts.SECTOR_BYTES)),
            table=table,
            partitions=tuple(sorted(partitions, key=lambda each: (each.start_bytes, each.number))) if is_cut else (),
            content=None if is_cut else text.plain(told.get("TYPE") or told.get("PTTYPE") or layouts.UNKNOWN),
        )

    def _partition(self, device: str) -> layouts.Partition | None:
        """None of what is no entry of a table of those known: a BSD slice inside a partition has a device, too."""
        told = self._ask(device)
        table = _TABLES.get(told.get("PART_ENTRY_SCHEME", ""))
        if table is None:
            return None
        is_gpt = table is layouts.TableKind.GPT
        number, flags = int(told["PART_ENTRY_NUMBER"]), int(told.get("PART_ENTRY_FLAGS", "0"), 0)
        return layouts.Partition(
            number=number,
            start_bytes=int(told["PART_ENTRY_OFFSET"]) * layouts.SECTOR_BYTES,
            size_bytes=self._size_bytes(device),
            type=text.plain(told["PART_ENTRY_TYPE"].upper() if is_gpt else told["PART_ENTRY_TYPE"]),
            name=_shown(told.get("PART_ENTRY_NAME", "")) if is_gpt else None,
            is_bootable=bool(flags & (_GPT_LEGACY_BOOTABLE if is_gpt else _MBR_ACTIVE)),
            is_logical=not is_gpt and number > _LAST_PRIMARY,
            content=self._kind(device),
            uuid=_shown(told.get("PART_ENTRY_UUID")),
        )

    def _groups(self) -> Iterator[layouts.VolumeGroup]:
        if not self.has_groups():
            return
        physical = {
            told.get("UUID"): device
            for device, told in self._told.items()
            if told.get("TYPE") == layouts.PHYSICAL_VOLUME
        }

        def name_of_physical(uuid: str) -> str | None:
            return self.name(physical[uuid]) if uuid in physical else None

        yield from lvm.groups(self._handle, lvm.Told(name_of_physical=name_of_physical, content_of_logical=self._kind))

    def is_last(self, device: str) -> bool:
        """Whether nothing on its volume comes after it, so that it can be grown in place. Not said of LVM and RAID."""
        match = self._on_a_drive(device)
        if match is None:
            return False
        if not match[2]:
            return True
        neighbours = [each for each in self.partitions() if (other := self._on_a_drive(each)) and other[1] == match[1]]
        last = max(neighbours, key=self._end)
        is_logical = self._ask(device).get("PART_ENTRY_SCHEME") == "dos" and int(match[2]) > _LAST_PRIMARY
        return last == device and not is_logical

    def _end(self, device: str) -> int:
        told = self._ask(device)
        return int(told.get("PART_ENTRY_OFFSET", "0")) + int(told.get("PART_ENTRY_SIZE", "0"))

    def damage(self, content: Content) -> str | None:
        """What an ext file system says of itself where it has seen errors, else None; others tell when they are mounted."""
        if content.kind not in {"ext2", "ext3", "ext4"}:
            return None
        try:
            state: str = self._handle.tune2fs_l(content.device).get("Filesystem state", "")
        except RuntimeError as error:
            return text.plain(str(error))
        return text.plain(state) if "errors" in state else None


def _longest(devices: Iterable[str], subvolume: str) -> str | None:
    """The device whose name a subvolume's begins with: /dev/vg0/root has a slash itself."""
    return max((each for each in devices if subvolume.startswith(f"{_SUBVOLUME}{each}/")), key=len, default=None)


def _shown(told: str | None) -> str | None:
    return None if told is None else text.plain(told)
