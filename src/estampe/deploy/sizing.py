"""Sizes of a deploy's volumes: what they get, in which format, whether it fits, who uses what was added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from estampe import errors, units
from estampe.deploy import request as requests
from estampe.deploy import shrinking
from estampe.model import configuration, manifest
from estampe.virt import base as virt

SECTOR_BYTES: Final = 512
# Preallocation is paid for every cluster of 64 KiB, used or not: 8 bytes of L2 table and 2 of refcount, 160 MiB per TiB; and 2.5 s
# per TiB to make them and as long to look them up, 5 ms per GiB. It pays for every byte of data: 1 s less per GiB than
# through a socket. From data in a 64th of the volume on, it takes at most 1 % of the data's space, and a third of what it saves.
_PREALLOCATED_FROM: Final = 64


def volume_sizes(
    request: requests.DeployRequest, found: manifest.Manifest, *, template: str, usual: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Bytes of each volume by target; where none are asked for, `usual`, and never less than the template's volume.

    `template` names it in errors, as whoever asks does.

    Raises: errors.VolumeTooSmall, errors.VolumeNotFound.
    """
    asked = dict(request.volume_sizes or {})
    sizes = {}
    for volume in found.volumes:
        if volume.target in request.left_out:
            if asked.pop(volume.target, None) is not None:
                raise errors.InvalidRequest(field="left_out", problem=f"a size is asked for {volume.target}, too")
            continue
        size = asked.pop(volume.target, max(volume.size_bytes, (usual or {}).get(volume.target, 0)))
        if size < volume.size_bytes and not request.is_shrunk:
            why = "the template's volume is larger, and nothing was to be made smaller (--shrink)"
            raise shrinking.too_small(volume, size, why=why)
        sector = found.sector_size_bytes(volume.target)
        sizes[volume.target] = -(-size // sector) * sector
    for target in (*asked, *(each for each in request.left_out if found.find_volume(each) is None)):
        known = ", ".join(volume.target for volume in found.volumes)
        raise errors.VolumeNotFound(owner=f"the template {template}", volume=target, known=known)
    return sizes


def volume_format(
    request: requests.DeployRequest, pool: virt.Pool, *, recorded: configuration.VolumeFormat
) -> configuration.VolumeFormat:
    """The format asked for, else the one the volume had; raw on block devices. Raises: errors.InvalidRequest."""
    if pool.is_block:
        if request.volume_format not in {None, "raw"}:
            problem = f"pool {pool.name} holds block devices, which are raw"
            raise errors.InvalidRequest(field="format", problem=problem)
        return configuration.VolumeFormat.RAW
    try:
        return configuration.VolumeFormat(request.volume_format or recorded)
    except ValueError as error:
        raise errors.InvalidRequest(field="format", problem="must be raw or qcow2") from error


def volume_name(pool: virt.Pool, stem: str, target: str, volume_format: configuration.VolumeFormat) -> str:
    """Its name in the pool."""
    return f"{stem}-{target}" + ("" if pool.is_block else f".{volume_format}")


def is_preallocated(
    found: manifest.Manifest, target: str, size_bytes: int, *, volume_format: configuration.VolumeFormat
) -> bool:
    """Whether every cluster of the volume is to have its place when it is made, so that its data are written in place."""
    volume = found.find_volume(target)
    if volume is None:
        return False
    data_bytes = len(volume.table) * found.chunk_size_bytes
    return volume_format is configuration.VolumeFormat.QCOW2 and data_bytes * _PREALLOCATED_FROM >= size_bytes


def needed_bytes(found: manifest.Manifest, pool: virt.Pool, sizes: dict[str, int], *, count: int) -> int:
    """Bytes that the deploy takes from the pool: whole volumes of block devices, else the data that is written."""
    if pool.is_block:
        return count * sum(sizes.values())
    held = (volume for volume in found.volumes if volume.target in sizes)
    return count * sum(min(len(volume.table) * found.chunk_size_bytes, sizes[volume.target]) for volume in held)


def check_space(pool: virt.Pool, needed: int) -> None:
    """Raises: errors.NoSpace."""
    if needed > pool.available_bytes:
        raise errors.NoSpace(
            where=f"storage pool {pool.name}",
            needed=units.format_bytes(needed),
            available=units.format_bytes(pool.available_bytes),
        )


Growth = Literal["none", "first boot", "not used"]


def growth(found: manifest.Manifest, target: str, size_bytes: int) -> Growth:
    """Who uses the additional space of a larger volume."""
    volume = next(volume for volume in found.volumes if volume.target == target)
    if size_bytes <= volume.size_bytes:
        return "none"
    guest = found.guest
    holds_root = guest is not None and guest.root_device.startswith(target)
    return "first boot" if guest is not None and guest.can_grow_root and holds_root else "not used"
