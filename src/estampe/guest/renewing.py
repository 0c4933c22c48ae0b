"""Renewing the identifiers of a guest's volumes on a launched handle: see renewal. Runs in the worker's process."""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from estampe import errors
from estampe.guest import adjusting, base, identifiers, inspection, mounted, renewal, text, volumes
from estampe.guest.tables import gpt, mbr, reading
from estampe.model import final
from estampe.model import layout as layouts

_EXT: Final = frozenset({"ext2", "ext3", "ext4"})
_BY_LIBGUESTFS: Final = _EXT | {"xfs", "btrfs", "swap"}
_IN_BOOT_SECTOR: Final = frozenset({"vfat", "ntfs"})
_SYSTEM_PARTITION: Final = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"  # UEFI 2.10, 5.3.3
_SYSTEM_PARTITION_MBR: Final = "0xef"
_NO_SIGNATURE: Final = "00000000"
_ENCRYPTED: Final = "it is encrypted, and never entered"
# XFS: its superblock is the first sector, big-endian (xfs_format.h).
_XFS_VERSION_AT, _XFS_INCOMPATIBLE_AT, _XFS_META_UUID = 100, 216, 1 << 2
_XFS_WITH_CHECKSUMS: Final = 5
_FIRST_KERNEL_WITH_META_UUID: Final = (4, 3)
# Boot sectors. FAT (Microsoft, FAT: General Overview of On-Disk Format, 1.03): BS_VolID, behind the signature 29h. NTFS: 8 bytes.
_FAT32_ID_AT, _FAT16_ID_AT, _NTFS_ID_AT = 67, 39, 72
_FAT_SIGNED: Final = 0x29


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewing:
    """One guest's volumes, with its file systems not mounted unless it is said."""

    handle: Any
    devices: volumes.Volumes
    adjuster: adjusting.Adjuster
    system: inspection.Inspection
    new: frozenset[str]  # targets of volumes that were made here: theirs are new

    def plan(self, appliance: base.Appliance) -> renewal.Plan:
        """With the guest mounted. Raises: errors.ApplianceFailed."""
        return renewal.plan(appliance, self._found(appliance))

    def carry_out(self, plan: renewal.Plan) -> list[tuple[identifiers.Identifier, str]]:
        """Change them; which became what. One that its tool refuses is left. Raises: errors.ApplianceFailed."""
        done = []
        for each in [each for each in plan.renewed if each.sort is identifiers.Sort.CONTENT]:
            new = identifiers.make(each)
            try:
                self._change_content(each, new)
            except errors.ApplianceFailed as error:
                self._require_old(each, error)
                plan.leave([each], f"its tool refuses: {error.facts['detail']}")
            else:
                done.append((each, new))
        return [*done, *self._change_tables(plan), *self._change_groups(plan)]

    # --- what is there ------------------------------------------------------------------------------------------------------

    def _found(self, appliance: base.Appliance) -> renewal.Found:
        layout = self.devices.layout()
        contents = [each for each in self.devices.contents() if each.name not in self.new and each.uuid]
        kept: dict[identifiers.Identifier, str] = {}
        made = [self._of_content(each) for each in contents]
        for identifier, content in zip(made, contents, strict=True):
            why = self._why_kept(appliance, content, contents)
            if why is not None:
                kept[identifier] = why
        made += self._of_tables(layout, kept)
        made += self._of_groups(layout)
        return renewal.Found(
            present=tuple(made),
            kept=kept,
            boot_group=next((each.name for each in layout.groups if self._boot.startswith(f"{each.name}/")), None),
            why_not=self._why_nothing(layout),
        )

    def _of_content(self, content: volumes.Content) -> identifiers.Identifier:
        return identifiers.Identifier(
            sort=identifiers.Sort.CONTENT, name=content.name, kind=content.kind, old=str(content.uuid)
        )

    @property
    def _boot(self) -> str:
        """Our name of the device that holds /boot."""
        places = dict(self.system.mounts)
        return self.devices.name(self.devices.device_of(places.get("/boot") or self.system.root))

    def _why_kept(
        self, appliance: base.Appliance, content: volumes.Content, contents: Sequence[volumes.Content]
    ) -> str | None:
        if content.kind == layouts.ENCRYPTED:
            return _ENCRYPTED
        if content.kind not in _BY_LIBGUESTFS | _IN_BOOT_SECTOR:
            return f"Estampe does not change those of {content.kind}"
        if content.device.startswith("/dev/md"):
            return "it is on an array"
        if sum(each.uuid == content.uuid for each in contents) > 1:
            return "another one has the same: it may be one file system on several volumes"
        if content.kind == "xfs":
            return self._why_xfs_kept(appliance, content)
        return None

    def _why_xfs_kept(self, appliance: base.Appliance, content: volumes.Content) -> str | None:
        """A first change sets the feature meta_uuid where metadata has checksums, which old kernels and GRUBs do not mount."""
        with mounted.guest_errors(content.name):
            block = self.handle.pread_device(content.device, 512, 0)
        has_checksums = block[_XFS_VERSION_AT + 1] & 0xF == _XFS_WITH_CHECKSUMS
        [features] = struct.unpack_from(">I", block, _XFS_INCOMPATIBLE_AT)
        if not has_checksums or features & _XFS_META_UUID:
            return None
        if content.name == self._boot:
            return "the boot loader reads this XFS, and an old one could not any more"
        old = [path for path in appliance.glob("/lib/modules/*") if _kernel(path) < _FIRST_KERNEL_WITH_META_UUID]
        return f"the guest's kernel {old[0].rpartition('/')[2]} could not mount this XFS any more" if old else None

    def _why_nothing(self, layout: layouts.Layout) -> str | None:
        used = {self.devices.name(self.devices.device_of(mountable)) for _point, mountable in self.system.mounts}
        for volume in layout.volumes:
            for partition in volume.partitions:
                name = layouts.partition_name(volume.target, partition.number)
                is_systems = partition.type in {_SYSTEM_PARTITION, _SYSTEM_PARTITION_MBR}
                if is_systems and partition.content == "vfat" and name not in used:
                    return f"the guest does not mount its EFI system partition {name}, so what that names was not seen"
        return None

    def _of_tables(
        self, layout: layouts.Layout, kept: dict[identifiers.Identifier, str]
    ) -> Iterator[identifiers.Identifier]:
        for volume in layout.volumes:
            with mounted.guest_errors(volume.target):
                told = self.handle.blkid(self.adjuster.device(volume.target))
            old = told.get("PTUUID", _NO_SIGNATURE)
            if volume.table is layouts.TableKind.NONE or volume.target in self.new or old == _NO_SIGNATURE:
                continue
            kind = str(volume.table)
            yield identifiers.Identifier(
                sort=identifiers.Sort.TABLE, name=volume.target, kind=kind, old=old, target=volume.target
            )
            for each in volume.partitions if volume.table is layouts.TableKind.GPT else ():
                name = layouts.partition_name(volume.target, each.number)
                made = identifiers.Identifier(
                    sort=identifiers.Sort.PARTITION,
                    name=name,
                    kind=kind,
                    old=str(each.uuid),
                    target=volume.target,
                    number=each.number,
                )
                if each.type == _SYSTEM_PARTITION:
                    kept[made] = "the firmware's boot entry names it"
                yield made

    def _of_groups(self, layout: layouts.Layout) -> Iterator[identifiers.Identifier]:
        for group in layout.groups:
            with mounted.guest_errors(group.name):
                old = identifiers.hyphenated(self.handle.vguuid(group.name))
            yield identifiers.Identifier(sort=identifiers.Sort.GROUP, name=group.name, kind="LVM2", old=old)
            for name in group.physical_volumes:
                with mounted.guest_errors(name):
                    old = identifiers.hyphenated(self.handle.pvuuid(self.adjuster.device(name)))
                yield identifiers.Identifier(sort=identifiers.Sort.PHYSICAL, name=name, kind="LVM2", old=old)

    # --- file systems -------------------------------------------------------------------------------------------------------

    def _change_content(self, identifier: identifiers.Identifier, new: str) -> None:
        device = self.adjuster.device(identifier.name)
        if identifier.kind in _IN_BOOT_SECTOR:
            self._change_boot_sector(identifier, device, new)
            return
        with mounted.guest_errors(identifier.name):
            if identifier.kind in _EXT:
                self.handle.e2fsck(device, correct=True)  # tune2fs asks for it where metadata has checksums
            self.handle.set_uuid(device, new)

    def _require_old(self, identifier: identifiers.Identifier, error: errors.ApplianceFailed) -> None:
        """A tool that broke off half-way has left no file system. Raises: `error`."""
        if self.adjuster.uuid(identifier.name) != identifier.old:
            raise error

    def _change_boot_sector(self, identifier: identifiers.Identifier, device: str, new: str) -> None:
        volume = adjusting.HandleDevice(self.handle, device)
        sector = volume.read(0, volume.sector_bytes)
        data = int(new.replace("-", ""), 16).to_bytes(8 if identifier.kind == "ntfs" else 4, "little")
        at = _NTFS_ID_AT if identifier.kind == "ntfs" else _fat_id_at(sector)
        if at is None:
            raise errors.ApplianceFailed(detail="its boot sector has no place for one")
        adjusting.change_boot_sector(volume, at, data)

    # --- tables and groups --------------------------------------------------------------------------------------------------

    def _change_tables(self, plan: renewal.Plan) -> Iterator[tuple[identifiers.Identifier, str]]:
        """A table's own and its partitions' in one writing."""
        tables = [each for each in plan.renewed if each.target is not None]
        for target in dict.fromkeys(str(each.target) for each in tables):
            volume = adjusting.HandleDevice(self.handle, self.adjuster.device(target))
            new = {each: identifiers.make(each) for each in tables if each.target == target}
            disk = next((value for each, value in new.items() if each.number is None), None)
            table = reading.read(volume)
            if isinstance(table, gpt.GptTable):
                named = {each.number: uuid.UUID(value) for each, value in new.items() if each.number is not None}
                table.renew(None if disk is None else uuid.UUID(disk), named)
            elif isinstance(table, mbr.MbrTable) and disk is not None:
                table.renew(int(disk, 16))
            yield from new.items()

    def _change_groups(self, plan: renewal.Plan) -> Iterator[tuple[identifiers.Identifier, str]]:
        """LVM draws them itself, and wants the groups asleep."""
        sorts = {identifiers.Sort.PHYSICAL, identifiers.Sort.GROUP}
        renewed = [each for each in plan.renewed if each.sort in sorts]
        if not renewed:
            return
        with mounted.guest_errors("LVM"):
            self.handle.vg_activate_all(False)
            for each in renewed:
                if each.sort is identifiers.Sort.GROUP:
                    self.handle.vgchange_uuid(each.name)
                    yield each, identifiers.hyphenated(self.handle.vguuid(each.name))
                else:
                    device = self.adjuster.device(each.name)
                    self.handle.pvchange_uuid(device)
                    yield each, identifiers.hyphenated(self.handle.pvuuid(device))
            adjusting.wake(self.handle)


def _kernel(path: str) -> tuple[int, ...]:
    """The version of the kernel whose modules lie there; of what is no version, one that knows everything."""
    match = re.match(r"(\d+)\.(\d+)", path.rpartition("/")[2])
    return (int(match[1]), int(match[2])) if match else (1000,)


def _fat_id_at(sector: bytes) -> int | None:
    for at in (_FAT32_ID_AT, _FAT16_ID_AT):
        is_large = sector[82:87] == b"FAT32"
        if is_large == (at == _FAT32_ID_AT) and sector[at - 1] == _FAT_SIGNED:
            return at
    return None


def told(
    plan: renewal.Plan, done: Sequence[tuple[identifiers.Identifier, str]], files: Sequence[str]
) -> tuple[final.Change, ...]:
    """The report's lines: what is new, and by itself each reason why something is not."""
    changes = []
    if done:
        new = ", ".join(each.told for each, _new in done)
        following = f"; followed by {', '.join(files)}" if files else ""
        changes.append(
            final.Change(what="UUIDs", means=final.Means.APPLIANCE, detail=text.plain(f"new: {new}{following}"))
        )
    for why in dict.fromkeys(plan.left.values()):
        which = ", ".join(each.told for each, reason in plan.left.items() if reason == why)
        changes.append(
            final.Change(
                what=f"UUID of {which}",
                means=final.Means.APPLIANCE,
                detail="stays as it was captured",
                outcome=final.Outcome.LEFT,
                why=text.plain(why),
            )
        )
    return tuple(changes)
