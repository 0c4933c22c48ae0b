"""The ways of a Linux guest, of any distribution.

All that is asked of the appliance is which of some files are there, in one call for many: each call takes it 10 ms and more
under full emulation. A program may be in any of the usual directories.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from estampe.guest import base
from estampe.model import guest as guests

_BOOT_FILES: Final = {  # in the order to look; GRUB's two are told apart by the firmware where both are there
    "systemd-boot": (
        "/boot/efi/EFI/systemd/systemd-boot*.efi", "/efi/EFI/systemd/systemd-boot*.efi", "/boot/EFI/systemd/systemd-boot*.efi",
    ),
    "grub-efi": (
        "/boot/grub/*-efi/normal.mod", "/boot/grub2/*-efi/normal.mod", "/boot/efi/EFI/*/grub*.efi", "/efi/EFI/*/grub*.efi",
    ),
    "grub-pc": ("/boot/grub/i386-pc/normal.mod", "/boot/grub2/i386-pc/normal.mod"),
    "extlinux": (
        "/boot/extlinux/extlinux.conf", "/boot/extlinux.conf", "/extlinux.conf", "/boot/syslinux/syslinux.cfg",
        "/boot/extlinux/ldlinux.sys",
    ),
}  # fmt: skip
_NEEDS_UEFI: Final = frozenset({"systemd-boot", "grub-efi"})

_FILES: Final = (
    "/sbin/init", "/sbin/openrc", "/usr/sbin/openrc", "/usr/bin/openrc", "/sbin/runit*", "/usr/bin/runit", "/bin/busybox",
    "/usr/bin/busybox", "/etc/inittab", "/lib/systemd/systemd", "/usr/lib/systemd/systemd",
    "/etc/netplan/*.yaml", "/usr/sbin/netplan", "/etc/network/interfaces", "/sbin/ifup", "/usr/sbin/ifup",
    "/usr/sbin/wicked", "/etc/sysconfig/network-scripts/ifcfg-*", "/etc/systemd/system/*.wants/NetworkManager.service",
    "/etc/runlevels/*/networkmanager", "/usr/sbin/NetworkManager", "/etc/systemd/system/*.wants/systemd-networkd.service",
    "/etc/systemd/system/dbus-org.freedesktop.network1.service", "/usr/bin/cloud-init", "/etc/cloud/cloud-init.disabled",
    "/usr/sbin/qemu-ga", "/usr/bin/qemu-ga",
)  # fmt: skip
_INTERFACE: Final = re.compile(r"^\s*iface\s+(?!lo\b)\S+", re.MULTILINE)


class _Files:
    """Which of the files above are there."""

    def __init__(self, found: Iterable[str]) -> None:
        self._found = frozenset(found)

    def has(self, *starts: str) -> bool:
        """Any that is, or begins as, one of `starts`."""
        return any(path.startswith(starts) for path in self._found)

    def has_enabled(self, unit: str) -> bool:
        return any(path.endswith(f".wants/{unit}") for path in self._found)


def read(appliance: base.Appliance, *, is_uefi: bool) -> base.Ways:
    """See guest.ways."""
    files = _Files(appliance.glob(*_FILES))
    has_seed_reader = files.has("/usr/bin/cloud-init") and not files.has("/etc/cloud/cloud-init.disabled")
    return base.Ways(
        boot_loader=_boot_loader(appliance, is_uefi=is_uefi),
        network=_network(appliance, files),
        seed_reader="cloud-init" if has_seed_reader else None,
        init=_init(appliance, files),
        has_guest_agent=files.has("/usr/sbin/qemu-ga", "/usr/bin/qemu-ga"),
    )


def _boot_loader(appliance: base.Appliance, *, is_uefi: bool) -> str:
    """The one that this server's firmware starts; where none fits it, whichever is there."""
    there = [name for name, patterns in _BOOT_FILES.items() if appliance.glob(*patterns)]
    fitting = [name for name in there if (name in _NEEDS_UEFI) is is_uefi]
    return next(iter([*fitting, *there]), guests.UNKNOWN)


def _init(appliance: base.Appliance, files: _Files) -> str:
    """What process 1 is, or what manages services under it."""
    has_plain_init = files.has("/sbin/init") and not appliance.is_link("/sbin/init")
    if files.has("/lib/systemd/systemd", "/usr/lib/systemd/systemd") and not has_plain_init:
        return "systemd"
    if files.has("/sbin/openrc", "/usr/sbin/openrc", "/usr/bin/openrc"):
        return "openrc"  # Alpine starts it from BusyBox' init, Gentoo from sysvinit
    if files.has("/sbin/runit", "/usr/bin/runit"):
        return "runit"
    if has_plain_init and files.has("/etc/inittab"):
        return "sysvinit"
    if files.has("/sbin/init") and not has_plain_init and files.has("/bin/busybox", "/usr/bin/busybox"):
        return "busybox"
    return guests.UNKNOWN


def _network(appliance: base.Appliance, files: _Files) -> str:
    """What brings the network up, so where its addresses are to be written. What renders for others comes first."""
    has_ifup = files.has("/etc/network/interfaces") and files.has("/sbin/ifup", "/usr/sbin/ifup")
    is_networkd_alias_there = files.has("/etc/systemd/system/dbus-org.freedesktop.network1")
    ways = (
        ("netplan", files.has("/etc/netplan/", "/usr/sbin/netplan")),
        ("ifupdown", has_ifup and _has_interfaces(appliance)),  # the others leave alone what stands there
        ("wicked", files.has("/usr/sbin/wicked")),
        ("ifcfg", files.has("/etc/sysconfig/network-scripts/ifcfg-")),  # NetworkManager reads these, where it is there
        ("network-manager", files.has_enabled("NetworkManager.service") or files.has("/etc/runlevels/")),
        ("systemd-networkd", files.has_enabled("systemd-networkd.service") or is_networkd_alias_there),
        ("ifupdown", has_ifup),
        ("network-manager", files.has("/usr/sbin/NetworkManager")),
    )
    return next((name for name, is_so in ways if is_so), guests.UNKNOWN)


def _has_interfaces(appliance: base.Appliance) -> bool:
    paths = appliance.glob("/etc/network/interfaces", "/etc/network/interfaces.d/*")
    return any(appliance.is_file(path) and _INTERFACE.search(appliance.read(path)) for path in paths)
