"""The picture of a template's volumes: which file systems lie on each, how large, and how full.

    |<------------------------------- volume, 1000 wide ------------------------------->|
    | vda1  /boot    used ####|            | vda2  /    used ##########|                 |

Inspection tells sizes, not offsets: file systems are drawn in the order of their devices, and what is left over at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from estampe.schemas import template

WIDTH: Final = 1000
_LEAST_WIDTH: Final = 12  # a boot partition of some MiB must still be seen
_ROOM_FOR_LABEL: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file system, drawn from `x` to `x + width`, of which `used_width` is full."""

    found: template.FileSystem
    x: int
    width: int
    used_width: int

    @property
    def has_label(self) -> bool:
        """Whether there is room to write in it."""
        return self.width >= _ROOM_FOR_LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A volume with what lies on it."""

    volume: template.TemplateVolume
    parts: Sequence[Part]

    @property
    def data_width(self) -> int:
        """How much of the whole volume holds data."""
        return round(WIDTH * min(1.0, self.volume.data_bytes / max(1, self.volume.size_bytes)))


def draw(manifest: template.Manifest) -> Sequence[Drawn]:
    """Every volume."""
    systems = [] if manifest.guest is None else manifest.guest.file_systems
    return [Drawn(volume=each, parts=_parts(each, systems)) for each in manifest.volumes]


def elsewhere(manifest: template.Manifest) -> Sequence[template.FileSystem]:
    """File systems on logical volumes and the like, which lie on no volume directly."""
    systems = [] if manifest.guest is None else manifest.guest.file_systems
    return [each for each in systems if not any(_lies_on(each, volume) for volume in manifest.volumes)]


def _parts(volume: template.TemplateVolume, systems: Sequence[template.FileSystem]) -> Sequence[Part]:
    drawn: list[Part] = []
    x = 0
    for found in sorted((each for each in systems if _lies_on(each, volume)), key=lambda each: _order(each.device)):
        wanted = max(_LEAST_WIDTH, round(WIDTH * found.size_bytes / max(1, volume.size_bytes)))
        width = min(wanted, WIDTH - x)
        if width <= 0:
            break
        used = 0 if found.used_bytes is None else round(width * min(1.0, found.used_bytes / max(1, found.size_bytes)))
        drawn.append(Part(found=found, x=x, width=width, used_width=used))
        x += width
    return drawn


def _lies_on(found: template.FileSystem, volume: template.TemplateVolume) -> bool:
    device = found.device.removeprefix("/dev/")
    rest = device.removeprefix(volume.target)
    return device.startswith(volume.target) and (not rest or rest.lstrip("p").isdigit())


def _order(device: str) -> tuple[str, int]:
    """sda2 before sda10."""
    stem = device.rstrip("0123456789")
    number = device[len(stem) :]
    return stem, int(number) if number else 0
