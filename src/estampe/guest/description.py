"""What is recorded of a guest, once its file systems are mounted."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from estampe.guest import base, inspection, kinds, mounted, text, volumes, ways
from estampe.model import guest as guests

_MOST_SUBVOLUMES: Final = 1000  # some programs make one for each container or state of the system


class _Mounts:
    """Where the guest mounts what."""

    def __init__(self, mounts: Sequence[tuple[str, str]], devices: volumes.Volumes) -> None:
        self._mounts, self._devices = mounts, devices

    def first(self, device: str) -> str | None:
        """The outermost place of a file system."""
        places = (point for point, mountable in self._mounts if self._devices.device_of(mountable) == device)
        return next(places, None)

    def of_subvolume(self, device: str, path: str) -> str | None:
        """Where one subvolume of a btrfs file system is mounted."""
        name = f"btrfsvol:{device}/{path}"
        return next((point for point, mountable in self._mounts if mountable == name), None)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was found before the file systems were mounted, and the server's firmware."""

    system: inspection.Inspection
    kind: base.GuestKind | None
    contents: Sequence[volumes.Content]
    package_count: int
    is_uefi: bool


def describe(handle: Any, devices: volumes.Volumes, known: Known) -> guests.Guest:
    """All that is recorded of a guest. Raises: errors.ApplianceFailed."""
    system = known.system
    root = devices.device_of(system.root)
    root_kind = next((each.kind for each in known.contents if each.device == root), "")
    appliance = mounted.MountedGuest(handle)
    facts = kinds.facts(known.kind, appliance, root_kind=root_kind)
    own = ways.read(appliance, system.kind, is_uefi=known.is_uefi)
    mounts = _Mounts(system.mounts, devices)
    return guests.Guest(
        kind=system.kind,
        distribution=system.distribution,
        version=system.version,
        product=text.plain(inspection.pretty_name(appliance) or system.product),
        hostname=system.hostname,
        root_device=devices.name(root),
        file_systems=tuple(_file_system(handle, each, mounts) for each in known.contents),
        has_cloud_init=facts.has_cloud_init,
        seed_formats=facts.seed_formats,
        is_network_left_alone=facts.is_network_left_alone,
        has_guest_agent=facts.has_guest_agent or own.has_guest_agent,
        can_grow_root=facts.can_grow_root and devices.is_last(root),
        package_count=known.package_count,
        volume_buses=facts.volume_buses,
        boot_loader=own.boot_loader,
        network=own.network,
        seed_reader=own.seed_reader,
        init=own.init,
        is_generalised=own.is_generalised,
    )


def _file_system(handle: Any, content: volumes.Content, mounts: _Mounts) -> guests.FileSystem:
    mount_point = mounts.first(content.device)
    return guests.FileSystem(
        device=content.name,
        kind=content.kind,
        size_bytes=content.size_bytes,
        used_bytes=None if mount_point is None else _used_bytes(handle, mount_point),
        mount_point=mount_point,
        uuid=content.uuid,
        label=content.label,
        subvolumes=_subvolumes(handle, content, mounts) if content.kind == "btrfs" else (),
    )


def _subvolumes(handle: Any, content: volumes.Content, mounts: _Mounts) -> tuple[guests.Subvolume, ...]:
    """Those of a btrfs file system, mounted or not; none where it cannot be opened."""
    with contextlib.suppress(RuntimeError):
        paths = sorted(each["btrfssubvolume_path"] for each in handle.btrfs_subvolume_list(content.device))
        return tuple(
            guests.Subvolume(path=text.plain(path), mount_point=mounts.of_subvolume(content.device, path))
            for path in paths[:_MOST_SUBVOLUMES]
        )
    return ()


def _used_bytes(handle: Any, mount_point: str) -> int | None:
    try:
        told = handle.statvfs(mount_point)
    except RuntimeError:  # one that could not be mounted to be looked at
        return None
    return int(told["frsize"] * (told["blocks"] - told["bfree"]))
