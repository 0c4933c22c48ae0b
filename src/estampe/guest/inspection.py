"""What operating system is on the volumes, by libguestfs' inspection."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from estampe.guest import base, mounted, text, volumes

_HIBERNATED: Final = "swsuspend"  # blkid's name of a swap area with a suspended system in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """One operating system and where its file systems belong."""

    handle_root: str  # what libguestfs' inspection calls it
    root: str  # the device or btrfs subvolume of /
    kind: str
    distribution: str
    version: str
    product: str
    hostname: str
    mounts: tuple[tuple[str, str], ...]  # (mount point, mountable), in the order to mount them


def inspect(handle: Any, devices: volumes.Volumes, found: Sequence[volumes.Content]) -> Inspection | str:
    """The operating system, or in words why there is none to work on. Raises: errors.ApplianceFailed."""
    asleep = [each.name for each in found if each.kind == _HIBERNATED]
    if asleep:
        return f"the guest is hibernated (to {', '.join(asleep)}): what its file systems hold is not whole without its memory"
    with mounted.guest_errors("inspection"):
        roots: list[str] = handle.inspect_os()
    if len(roots) == 1:
        return _describe(handle, devices, roots[0])
    if roots:
        with mounted.guest_errors("inspection"):
            names = ", ".join(sorted(text.plain(handle.inspect_get_product_name(root)) for root in roots))
        return f"there are several operating systems: {names}"
    locked = [each.name for each in found if each.kind == "crypto_LUKS"]
    return "no operating system was found" + (f"; {', '.join(locked)} is encrypted" if locked else "")


def _describe(handle: Any, devices: volumes.Volumes, root: str) -> Inspection:
    with mounted.guest_errors("inspection"):
        places: dict[str, str] = handle.inspect_get_mountpoints(root)
        return Inspection(
            handle_root=root,
            root=devices.named_by_us(root),
            kind=handle.inspect_get_type(root),
            distribution=handle.inspect_get_distro(root),
            version=f"{handle.inspect_get_major_version(root)}.{handle.inspect_get_minor_version(root)}",
            product=text.plain(handle.inspect_get_product_name(root)),
            hostname=text.plain(handle.inspect_get_hostname(root)),
            # A mount point sorts after the one it lies in.
            mounts=tuple(sorted((point, devices.named_by_us(mountable)) for point, mountable in places.items())),
        )


_PRETTY_NAME: Final = re.compile(r"""^PRETTY_NAME=(["']?)(.*?)\1$""", re.MULTILINE)


def pretty_name(appliance: base.Appliance) -> str | None:
    """The system's name as its os-release(5) has it: libguestfs makes do with the bare version on Debian."""
    if not appliance.is_file("/etc/os-release"):
        return None
    match = _PRETTY_NAME.search(appliance.read("/etc/os-release"))
    return match[2] if match else None
