"""Shrinking: moving what a volume holds into a smaller one. Pure: figures in, actions and words out.

Only ext4 and btrfs can be made smaller, on the whole volume, in its last partition, or (ext4) in the only logical volume of a group.

    | boot | root: used ....... free ......................... |
    | boot | root: used ....... free |                               what the file system needs at least, and some room
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from estampe import errors, units
from estampe.deploy import growth, placing
from estampe.model import adjustment, manifest
from estampe.model import layout as layouts

_BTRFS: Final = "btrfs"
SHRINKABLE: Final = frozenset({"ext2", "ext3", "ext4", _BTRFS})
# Beside what is used: metadata for what is kept, and room to move things in. resize2fs and btrfs have the last word.
_ROOM: Final = (5, 4)
_LEAST_ROOM_BYTES: Final = 64 * units.MIB
_LEAST_BTRFS_BYTES: Final = 256 * units.MIB  # the kernel makes none smaller (btrfs_ioctl_resize)
# LVM's metadata before the first extent is 1 MiB as a rule; one extent more for a start that is aligned otherwise.
_PHYSICAL_HEAD_BYTES: Final = 2 * units.MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shrinking:
    """What is last on a volume, and what it comes to."""

    volume: layouts.VolumeLayout
    partition: layouts.Partition | None
    group: layouts.VolumeGroup | None
    device: str  # of the file system
    kind: str
    used_bytes: int

    @property
    def start_bytes(self) -> int:
        return 0 if self.partition is None else self.partition.start_bytes

    @property
    def behind_bytes(self) -> int:
        """What the volume needs behind it: GPT's second copy."""
        return self.volume.size_bytes - placing.usable_end(self.volume, self.volume.size_bytes)

    @property
    def head_bytes(self) -> int:
        """Of what is in front of the file system within its partition."""
        return 0 if self.group is None else _PHYSICAL_HEAD_BYTES + self.group.extent_size_bytes

    @property
    def least_bytes(self) -> int:
        """The least size of the volume."""
        needed = max(self.used_bytes * _ROOM[0] // _ROOM[1], self.used_bytes + _LEAST_ROOM_BYTES)
        if self.kind == _BTRFS:
            needed = max(needed, _LEAST_BTRFS_BYTES)
        least = self.start_bytes + self.head_bytes + needed + self.behind_bytes
        return -(-least // placing.ALIGNMENT_BYTES) * placing.ALIGNMENT_BYTES + placing.ALIGNMENT_BYTES


def plan(made: growth.Plan, known: growth.Known | None, found: manifest.Manifest, sizes: Mapping[str, int]) -> None:
    """Add what is done for the volumes that `sizes` makes smaller. Raises: errors.VolumeTooSmall."""
    for volume in found.volumes:
        size = sizes.get(volume.target, volume.size_bytes)
        if size >= volume.size_bytes:
            continue
        laid_out = None if known is None else known.layout.find_volume(volume.target)
        if known is None or laid_out is None:
            raise too_small(volume, size, why="nobody looked at what is on it when it was captured")
        try:
            shrinking = _find(known, laid_out)
        except _CannotShrink as cannot:
            raise too_small(volume, size, why=f"it cannot be made smaller, since {cannot}") from cannot
        if size < shrinking.least_bytes:
            why = f"{shrinking.device} ({shrinking.kind}) uses {units.format_bytes(shrinking.used_bytes)} of it"
            raise too_small(volume, size, why=why, least=shrinking.least_bytes)
        _shrink(made, shrinking, size)


def too_small(
    volume: manifest.ManifestVolume, asked: int, *, why: str, least: int | None = None
) -> errors.VolumeTooSmall:
    """The refusal, with the least size."""
    least = volume.size_bytes if least is None else least
    told = f"{least} bytes ({units.format_bytes(least)})"
    return errors.VolumeTooSmall(volume=volume.target, asked=units.format_bytes(asked), why=why, least=told)


class _CannotShrink(Exception):
    """What is last on the volume stays as large as it is; says why."""


def _find(known: growth.Known, volume: layouts.VolumeLayout) -> _Shrinking:
    """Raises: _CannotShrink."""
    partition = max(volume.partitions, key=lambda each: each.start_bytes + each.size_bytes, default=None)
    if partition is not None and (partition.is_logical or partition.content == layouts.EXTENDED):
        raise _CannotShrink("what is last on it is in an extended partition")
    device = volume.target if partition is None else layouts.partition_name(volume.target, partition.number)
    kind = (volume.content or layouts.UNKNOWN) if partition is None else partition.content
    group = None
    if kind == layouts.PHYSICAL_VOLUME:
        group = known.group_of(device)
        device, kind = _only_logical(device, group)
    if kind not in SHRINKABLE:
        raise _CannotShrink(f"what is last on it, {device} ({kind}), is no ext4 and no btrfs")
    systems = () if known.guest is None else known.guest.file_systems
    used = next((each.used_bytes for each in systems if each.device == device), None)
    if used is None:
        raise _CannotShrink(f"it is not known how much of {device} is used: the guest does not mount it")
    return _Shrinking(volume=volume, partition=partition, group=group, device=device, kind=kind, used_bytes=used)


def _only_logical(device: str, group: layouts.VolumeGroup | None) -> tuple[str, str]:
    """(device, kind of file system) of a group's only logical volume. Raises: _CannotShrink."""
    if group is None or len(group.physical_volumes) != 1 or len(group.logical_volumes) != 1:
        raise _CannotShrink(f"{device} is not the only part of a volume group with one logical volume")
    (logical,) = group.logical_volumes
    if logical.kind != "linear" or logical.content == _BTRFS:
        kind = f"{logical.kind}, with {logical.content}"
        raise _CannotShrink(f"{group.name}/{logical.name} is {kind}: only ext4 on a linear one can be made smaller")
    return f"{group.name}/{logical.name}", logical.content


def _shrink(made: growth.Plan, shrinking: _Shrinking, size_bytes: int) -> None:
    volume, partition, group = shrinking.volume, shrinking.partition, shrinking.group
    end = size_bytes if partition is None else placing.usable_end(volume, size_bytes)
    held = (end - shrinking.start_bytes) // placing.ALIGNMENT_BYTES * placing.ALIGNMENT_BYTES
    kept = held
    if group is not None:
        kept = (held - shrinking.head_bytes) // group.extent_size_bytes * group.extent_size_bytes
    actions: list[adjustment.Action] = [
        adjustment.ShrinkFileSystem(device=shrinking.device, kind=shrinking.kind, size_bytes=kept)
    ]
    if group is not None:
        name = shrinking.device.partition("/")[2]
        physical = group.physical_volumes[0]
        actions += [
            adjustment.ShrinkLogicalVolume(group=group.name, name=name, size_bytes=kept),
            adjustment.ShrinkPhysicalVolume(device=physical, size_bytes=held),
        ]
    if partition is not None:
        place = adjustment.Place(number=partition.number, start_bytes=partition.start_bytes, size_bytes=held)
        actions.append(adjustment.Repartition(target=volume.target, places=(place,), end_bytes=size_bytes))
    actions.append(adjustment.CheckFileSystem(device=shrinking.device, kind=shrinking.kind))
    detail = f"{shrinking.kind} moved into the first {units.format_bytes(kept)}, and checked"
    made.add(shrinking.device, detail, *actions)
