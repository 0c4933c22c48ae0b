"""The picture of a template's volumes: how each is cut up, what lies on it, and how full that is.

    |<------------------------------- volume, 1000 wide ------------------------------->|
    | vda1  /boot    used ####|            | vda2  /    used ##########|                 |

Partitions are drawn where their table has them, then the volume groups over them, each from end to end. Templates that were captured
before layouts were recorded have sizes of file systems only: those are drawn in the order of their devices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from estampe.model import layout as layouts
from estampe.schemas import template

WIDTH: Final = 1000
_LEAST_WIDTH: Final = 12  # a boot partition of some MiB must still be seen
_THIN: Final = "thin"  # lies in its pool, which is drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A partition, a logical volume or a file system, drawn from `x` to `x + width`, of which `used_width` is full."""

    device: str
    content: str  # as the layout names it: ext4, LVM2_member, unknown, ...
    name: str | None  # that the partition table has for it
    size_bytes: int
    system: template.FileSystem | None
    x: int = 0
    width: int = 0  # 0: not drawn

    @property
    def used_bytes(self) -> int | None:
        """Where its file system tells it."""
        return None if self.system is None else self.system.used_bytes

    @property
    def used_width(self) -> int:
        """The part of the picture that is full."""
        if self.used_bytes is None:
            return 0
        return round(self.width * min(1.0, self.used_bytes / max(1, self.size_bytes)))

    @property
    def mount_points(self) -> Sequence[str]:
        """Of the file system and its subvolumes."""
        if self.system is None:
            return []
        told = [self.system.mount_point, *(each.mount_point for each in self.system.subvolumes)]
        return list(dict.fromkeys(each for each in told if each is not None))

    @property
    def can_grow(self) -> bool:
        """Whether a deployment may be told to give it a larger volume's space."""
        return self.content not in {layouts.UNKNOWN, layouts.EXTENDED, layouts.ENCRYPTED, "swap", "vfat"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A volume or a volume group with what lies on it."""

    name: str
    size_bytes: int
    parts: Sequence[Part]
    volume: template.TemplateVolume | None = None
    table: str | None = None  # gpt, mbr
    lies_on: Sequence[str] = ()  # of a volume group
    is_group: bool = False

    @property
    def data_width(self) -> int:
        """How much of the whole volume holds data."""
        return 0 if self.volume is None else round(WIDTH * min(1.0, self.volume.data_bytes / max(1, self.size_bytes)))


def draw(manifest: template.Manifest) -> Sequence[Drawn]:
    """Every volume, then every volume group."""
    systems = {} if manifest.guest is None else {_bare(each.device): each for each in manifest.guest.file_systems}
    known = {} if manifest.layout is None else {each.target: each for each in manifest.layout.volumes}
    drawn = [_volume(each, known.get(each.target), systems) for each in manifest.volumes]
    groups = [] if manifest.layout is None else manifest.layout.groups
    return [*drawn, *(_group(each, systems) for each in groups)]


def elsewhere(manifest: template.Manifest) -> Sequence[template.FileSystem]:
    """File systems on what is not drawn: RAID, opened encryption and the like."""
    shown = {part.device for each in draw(manifest) for part in each.parts}
    systems = [] if manifest.guest is None else manifest.guest.file_systems
    return [each for each in systems if _bare(each.device) not in shown]


def growable(drawn: Iterable[Drawn]) -> Mapping[str, Part]:
    """What may be given the space of larger volumes, by what a deployment calls it."""
    return {
        f"lv:{part.device}" if each.is_group else part.device: part
        for each in drawn
        for part in each.parts
        if part.can_grow and part.content != layouts.PHYSICAL_VOLUME
    }


def _volume(
    volume: template.TemplateVolume, known: template.VolumeLayout | None, systems: Mapping[str, template.FileSystem]
) -> Drawn:
    if known is None:
        parts: Sequence[Part] = _in_order(volume, systems.values())
    elif known.content is not None:
        parts = [_part(volume.target, known.content, volume.size_bytes, systems, x=0, width=WIDTH)]
    else:
        shown = [each for each in known.partitions if each.content != layouts.EXTENDED]
        parts = [_partition(volume, each, systems) for each in shown]
    table = None if known is None or known.table is layouts.TableKind.NONE else known.table.value
    return Drawn(name=volume.target, size_bytes=volume.size_bytes, parts=parts, volume=volume, table=table)


def _partition(
    volume: template.TemplateVolume, found: template.Partition, systems: Mapping[str, template.FileSystem]
) -> Part:
    x = min(WIDTH - _LEAST_WIDTH, _across(found.start_bytes, volume.size_bytes))
    width = min(WIDTH - x, max(_LEAST_WIDTH, _across(found.size_bytes, volume.size_bytes)))
    device = layouts.partition_name(volume.target, found.number)
    return _part(device, found.content, found.size_bytes, systems, name=found.name, x=x, width=width)


def _group(group: template.VolumeGroup, systems: Mapping[str, template.FileSystem]) -> Drawn:
    size_bytes = group.free_bytes + sum(each.size_bytes for each in group.logical_volumes if each.kind != _THIN)
    parts, x = [], 0
    for each in group.logical_volumes:
        width = 0 if each.kind == _THIN else min(WIDTH - x, max(_LEAST_WIDTH, _across(each.size_bytes, size_bytes)))
        parts.append(_part(f"{group.name}/{each.name}", each.content, each.size_bytes, systems, x=x, width=width))
        x += width
    return Drawn(name=group.name, size_bytes=size_bytes, parts=parts, lies_on=group.physical_volumes, is_group=True)


def _part(
    device: str, content: str, size_bytes: int, systems: Mapping[str, template.FileSystem], *, x: int, width: int,
    name: str | None = None,
) -> Part:  # fmt: skip
    system = systems.get(device)
    told = content if system is None or content != layouts.UNKNOWN else system.kind
    return Part(device=device, content=told, name=name, size_bytes=size_bytes, system=system, x=x, width=width)


def _in_order(volume: template.TemplateVolume, systems: Iterable[template.FileSystem]) -> Sequence[Part]:
    drawn: list[Part] = []
    x = 0
    for found in sorted((each for each in systems if _lies_on(each, volume)), key=lambda each: _order(each.device)):
        width = min(max(_LEAST_WIDTH, _across(found.size_bytes, volume.size_bytes)), WIDTH - x)
        by_device = {_bare(found.device): found}
        drawn.append(_part(_bare(found.device), found.kind, found.size_bytes, by_device, x=x, width=max(0, width)))
        x += max(0, width)
    return drawn


def _across(size_bytes: int, whole_bytes: int) -> int:
    return round(WIDTH * min(1.0, size_bytes / max(1, whole_bytes)))


def _bare(device: str) -> str:
    return device.removeprefix("/dev/")


def _lies_on(found: template.FileSystem, volume: template.TemplateVolume) -> bool:
    device = _bare(found.device)
    rest = device.removeprefix(volume.target)
    return device.startswith(volume.target) and (not rest or rest.lstrip("p").isdigit())


def _order(device: str) -> tuple[str, int]:
    """sda2 before sda10."""
    stem = device.rstrip("0123456789")
    number = device[len(stem) :]
    return stem, int(number) if number else 0
