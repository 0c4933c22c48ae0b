"""Carrying out adjustments on a launched handle: partitions, LVM, file systems. Runs in the worker's process.

Every volume is a throw-away overlay, so nothing here is undone: what fails fails the launch, and the overlays go.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from estampe import errors
from estampe.guest import mounted
from estampe.guest.tables import reading
from estampe.model import adjustment, layout

_PIECE_BYTES: Final = 256 * 1024 * 1024  # one call to the appliance, some seconds' work
_MIB: Final = 1024 * 1024
_HIDDEN_SECTORS_AT: Final = 0x1C  # of the boot sector of NTFS and FAT: how far from the volume's beginning it lies
_HIDING: Final = frozenset({"ntfs", "vfat"})
_REREADS, _REREAD_SECONDS = 20, 0.5  # udev is done within a second, under full emulation on a busy host within some
_EXT: Final = frozenset({"ext2", "ext3", "ext4"})
_SWAP: Final = "swap"


class HandleDevice:
    """A volume of a launched handle, as partition tables are read and written."""

    def __init__(self, handle: Any, device: str) -> None:
        self._handle, self._device = handle, device
        with mounted.guest_errors(device):
            self._size: int = handle.blockdev_getsize64(device)
            self._sector: int = handle.blockdev_getss(device)

    @property
    def size_bytes(self) -> int:
        """See tables.base.Device."""
        return self._size

    @property
    def sector_bytes(self) -> int:
        """See tables.base.Device."""
        return self._sector

    def read(self, offset: int, length: int) -> bytes:
        """See tables.base.Device."""
        with mounted.guest_errors(self._device):
            data: bytes = self._handle.pread_device(self._device, length, offset)
        if len(data) != length:
            raise errors.ApplianceFailed(detail=f"{self._device} ended at {offset + len(data)}")
        return data

    def write(self, offset: int, data: bytes) -> None:
        """See tables.base.Device."""
        with mounted.guest_errors(self._device):
            if self._handle.pwrite_device(self._device, data, offset) != len(data):
                raise errors.ApplianceFailed(detail=f"{self._device} took less than was written")

    def copy(self, move: adjustment.Move) -> None:
        """Copy the content of a partition to its new place."""
        for source, target, length in pieces(move):
            with mounted.guest_errors(self._device):
                self._handle.copy_device_to_device(
                    self._device, self._device, srcoffset=source, destoffset=target, size=length
                )


def pieces(move: adjustment.Move) -> Iterator[tuple[int, int, int]]:
    """(from, to, length) from the back to the front: towards the end, where source and destination may overlap."""
    most, left = min(move.to_bytes - move.from_bytes, _PIECE_BYTES), move.size_bytes
    while left:
        length = min(most, left)
        left -= length
        yield move.from_bytes + left, move.to_bytes + left, length


class Adjuster:
    """Carries out actions in order; `targets` are those of the drives, in the order in which they were added."""

    def __init__(self, handle: Any, targets: Sequence[str], tell: Callable[[str], None]) -> None:
        self._handle, self._tell = handle, tell
        with mounted.guest_errors("listing the volumes"):
            self._devices: dict[str, str] = dict(zip(targets, handle.list_devices(), strict=True))
        self._gained: dict[str, int] = {}  # bytes that a volume group has got

    def carry_out(self, action: adjustment.Action) -> None:
        """Raises: errors.ApplianceFailed."""
        match action:
            case adjustment.Repartition():
                self._repartition(action)
            case adjustment.GrowPhysicalVolume(device=name):
                self._grow_physical(name)
            case adjustment.GrowLogicalVolume(group=group, name=name):
                self._grow_logical(group, name)
            case adjustment.GrowFileSystem(device=name, kind=kind):
                self._grow_file_system(name, kind)
            case adjustment.ShrinkFileSystem() | adjustment.ShrinkLogicalVolume() | adjustment.ShrinkPhysicalVolume():
                self._shrink(action)
            case adjustment.CheckFileSystem(device=name, kind=kind):
                self._check_file_system(name, kind)
            case adjustment.MakeFileSystem(target=target, kind=kind):
                self._make_file_system(target, kind)
            case adjustment.ForgetMounts():
                pass  # of the guest's files: see adapting

    def _shrink(
        self, action: adjustment.ShrinkFileSystem | adjustment.ShrinkLogicalVolume | adjustment.ShrinkPhysicalVolume
    ) -> None:
        match action:
            case adjustment.ShrinkFileSystem(device=name, kind=kind, size_bytes=size):
                self._shrink_file_system(name, kind, size)
            case adjustment.ShrinkLogicalVolume(group=group, name=name, size_bytes=size):
                with mounted.guest_errors(f"{group}/{name}"):
                    self._handle.lvresize(f"/dev/{group}/{name}", size // _MIB)
            case adjustment.ShrinkPhysicalVolume(device=name, size_bytes=size):
                with mounted.guest_errors(name):
                    self._handle.pvresize_size(self.device(name), size)

    def device(self, name: str) -> str:
        """The appliance's name of ours. Raises: errors.ApplianceFailed."""
        for target in sorted(self._devices, key=len, reverse=True):
            rest = name.removeprefix(target)
            if rest == "":
                return self._devices[target]
            number = rest.removeprefix("p") if target[-1].isdigit() else rest
            if rest != name and number.isdigit() and layout.partition_name(target, int(number)) == name:
                return f"{self._devices[target]}{number}"
        if "/" in name:
            return f"/dev/{name}"
        raise errors.ApplianceFailed(detail=f"there is no {name}")

    # --- partitions -----------------------------------------------------------------------------------------------------

    def _repartition(self, action: adjustment.Repartition) -> None:
        self._tell(f"partitioning {action.target}")
        volume = HandleDevice(self._handle, self._devices[action.target])
        swaps = {
            move.number: self._identity(layout.partition_name(action.target, move.number))
            for move in action.moves
            if move.content == _SWAP
        }
        with self._lvm_asleep():
            table = reading.read(volume)
            for move in action.moves:
                if move.number not in swaps:
                    self._tell(f"moving {layout.partition_name(action.target, move.number)}")
                    volume.copy(move)
                if move.content in _HIDING:
                    _move_hidden_sectors(volume, move)
            table.write(action.places, end_bytes=action.end_bytes)
            self._reread(action.target)
        for number, identity in swaps.items():
            with mounted.guest_errors(f"swap of {action.target}"):
                self._handle.mkswap(self.device(layout.partition_name(action.target, number)), **identity)

    def _reread(self, target: str) -> None:
        """Have the kernel read the table again. Whatever is written to a volume makes udev look at it, and wake what LVM has there."""
        for nth in range(_REREADS):
            with mounted.guest_errors(target):
                self._handle.vg_activate_all(False)
                try:
                    self._handle.blockdev_rereadpt(self._devices[target])
                except RuntimeError:
                    if nth == _REREADS - 1:
                        raise
                    time.sleep(_REREAD_SECONDS)
                else:
                    return

    def _identity(self, name: str) -> dict[str, str]:
        """The UUID and label of a swap area, as mkswap takes them."""
        with mounted.guest_errors(name):
            told: dict[str, str] = self._handle.blkid(self.device(name))
        named = {"uuid": told.get("UUID"), "label": told.get("LABEL")}
        return {option: value for option, value in named.items() if value}

    @contextlib.contextmanager
    def _lvm_asleep(self) -> Iterator[None]:
        """The kernel reads no table again while anything on its volume is in use."""
        with mounted.guest_errors("LVM"):
            self._handle.vg_activate_all(False)
        yield
        with mounted.guest_errors("LVM"):
            wake(self._handle)

    # --- LVM --------------------------------------------------------------------------------------------------------------

    def _grow_physical(self, name: str) -> None:
        self._tell(f"growing {name}")
        before = self._free()
        with mounted.guest_errors(name):
            self._handle.pvresize(self.device(name))
        for group, free in self._free().items():
            self._gained[group] = self._gained.get(group, 0) + free - before.get(group, free)

    def _free(self) -> dict[str, int]:
        with mounted.guest_errors("LVM"):
            return {group["vg_name"]: group["vg_free"] for group in self._handle.vgs_full()}

    def _grow_logical(self, group: str, name: str) -> None:
        device, gained = f"/dev/{group}/{name}", self._gained.get(group, 0)
        if not gained:
            return  # less than one extent was added
        self._tell(f"growing {group}/{name}")
        with mounted.guest_errors(f"{group}/{name}"):
            size = self._handle.blockdev_getsize64(device) + gained
            self._handle.lvresize(device, size // _MIB)
        self._gained[group] = 0

    # --- file systems -----------------------------------------------------------------------------------------------------

    def _grow_file_system(self, name: str, kind: str) -> None:
        self._tell(f"growing the file system on {name}")
        device = self.device(name)
        with mounted.guest_errors(name):
            match kind:
                case "ext2" | "ext3" | "ext4":
                    self._handle.e2fsck(device, correct=True)  # resize2fs asks for it
                    self._handle.resize2fs(device)
                case "xfs":
                    with self._mounted(device):
                        self._handle.xfs_growfs("/", datasec=True)
                case "btrfs":
                    with self._mounted(device):
                        self._handle.btrfs_filesystem_resize("/")
                case "ntfs":
                    self._handle.ntfsresize(device, force=True)
                case _:
                    raise errors.ApplianceFailed(detail=f"{name}: {kind} cannot be grown")

    def _shrink_file_system(self, name: str, kind: str, size_bytes: int) -> None:
        self._tell(f"moving the file system on {name} together")
        device = self.device(name)
        with mounted.guest_errors(name):
            if kind in _EXT:
                self._handle.e2fsck(device, correct=True)
                self._handle.resize2fs_size(device, size_bytes)
            else:
                with self._mounted(device):
                    self._handle.btrfs_filesystem_resize("/", size=size_bytes)

    def _check_file_system(self, name: str, kind: str) -> None:
        """e2fsck is given a free hand with what it mends unasked (libguestfs knows no -n); what is more than that fails."""
        self._tell(f"checking the file system on {name}")
        with mounted.guest_errors(f"the check of {name}"):
            if kind in _EXT:
                self._handle.e2fsck(self.device(name), correct=True)
            else:
                self._handle.btrfs_fsck(self.device(name))

    def _make_file_system(self, target: str, kind: str) -> None:
        self._tell(f"making {kind} on {target}")
        with mounted.guest_errors(target):
            if kind == _SWAP:
                self._handle.mkswap(self._devices[target])
            else:
                self._handle.mkfs(kind, self._devices[target])

    def uuid(self, name: str) -> str:
        """That of the file system, or swap area, on a device."""
        with mounted.guest_errors(name):
            found: str = self._handle.vfs_uuid(self.device(name))
        return found

    @contextlib.contextmanager
    def _mounted(self, device: str) -> Iterator[None]:
        self._handle.mount(device, "/")
        yield
        self._handle.umount_all()


def wake(handle: Any) -> None:
    """Activate what LVM has. A scan alone leaves a group asleep that it has woken before: on a busy host udev had, before it was put to sleep."""
    handle.lvm_scan(True)
    handle.vg_activate_all(True)


def _move_hidden_sectors(volume: HandleDevice, move: adjustment.Move) -> None:
    """Boot code of NTFS and FAT believes its own boot sector about where its partition begins; a wrong one from before stays.

    Its backup is to be the same as it: who checks the file system compares them.
    """
    found = volume.read(move.to_bytes, volume.sector_bytes)
    before, after = (at // volume.sector_bytes for at in (move.from_bytes, move.to_bytes))
    field = slice(_HIDDEN_SECTORS_AT, _HIDDEN_SECTORS_AT + 4)
    if int.from_bytes(found[field], "little") == before:
        moved = (after & 0xFFFFFFFF).to_bytes(4, "little")
        change_boot_sector(volume, field.start, moved, begin=move.to_bytes, size_bytes=move.size_bytes)


def change_boot_sector(
    volume: HandleDevice, at: int, data: bytes, *, begin: int = 0, size_bytes: int | None = None
) -> None:
    """Put some bytes into the boot sector of NTFS or FAT, and into its backup where that was the same.

    The file system begins at `begin`, and ends after `size_bytes`: where nothing is said, with the device.
    """
    found = volume.read(begin, volume.sector_bytes)
    changed = found[:at] + data + found[at + len(data) :]
    end = volume.size_bytes - begin if size_bytes is None else size_bytes
    for place in (0, _backup_sector(found) * volume.sector_bytes):
        is_inside = place + volume.sector_bytes <= end
        if is_inside and volume.read(begin + place, volume.sector_bytes) == found:
            volume.write(begin + place, changed)


def _backup_sector(boot_sector: bytes) -> int:
    """Where a file system keeps the copy of its boot sector; 0 where it has none.

    NTFS: behind its last sector. FAT32: where BPB_BkBootSec says (Microsoft, FAT: General Overview of On-Disk Format, 1.03).
    """
    if boot_sector[3:11] == b"NTFS    ":
        return int.from_bytes(boot_sector[0x28:0x30], "little")
    return int.from_bytes(boot_sector[0x32:0x34], "little") if boot_sector[82:87] == b"FAT32" else 0
