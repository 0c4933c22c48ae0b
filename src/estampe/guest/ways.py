"""How a guest goes about things - starting, its network, its first boot - by its files alone, whatever kind it is."""

from __future__ import annotations

from typing import Final

from estampe.guest import base, bsd_ways, linux_ways, windows_ways

_BSD: Final = frozenset({"freebsd", "netbsd", "openbsd"})  # libguestfs' names of types
UNKNOWN: Final = base.Ways()


def read(appliance: base.Appliance, system_kind: str, *, is_uefi: bool) -> base.Ways:
    """The ways of a mounted guest. Read only. Raises: errors.ApplianceFailed."""
    if system_kind == "linux":
        return linux_ways.read(appliance, is_uefi=is_uefi)
    if system_kind == "windows":
        return windows_ways.read(appliance)
    if system_kind in _BSD:
        return bsd_ways.read(appliance)
    return UNKNOWN
