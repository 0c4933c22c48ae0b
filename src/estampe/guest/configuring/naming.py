"""Names of interfaces, for guests whose network is configured by name alone.

The kernel's names (eth0) go by the order in which it finds devices, udev's (ens3) by the slot: on another machine type both
are others. So each new interface is given a name by its MAC address, of our own: one that neither the kernel nor udev gives.

By a udev rule and not by a .link file: systemd before 240 leaves an interface alone that the initramfs has renamed already
(udev's should_rename), and the initramfs is the source's; a rule's NAME renames in any case, in all of udev's versions, and
comes before udev's own naming (80-net-setup-link.rules takes NAME only where none is set).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from estampe.guest import base
from estampe.guest.configuring import files
from estampe.model import final

RULES: Final = "/etc/udev/rules.d/70-estampe-net.rules"
_UDEV: Final = (
    "/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd", "/sbin/udevd", "/usr/sbin/udevd", "/lib/udev/udevd",
    "/usr/bin/udevd", "/bin/udevd",
)  # fmt: skip


def name_by_mac(appliance: base.Appliance, interfaces: Sequence[final.Interface]) -> list[str]:
    """The names that the interfaces have from the next boot on, in order.

    Without udev (Alpine's mdev) there is only the kernel's order, which is that of the devices in the server.
    """
    if not any(appliance.exists(path) for path in _UDEV):
        return [f"eth{nth}" for nth in range(len(interfaces))]
    names = [f"net{nth}" for nth in range(len(interfaces))]
    rules = [
        f'SUBSYSTEM=="net", ACTION=="add", ATTR{{address}}=="{each.mac.lower()}", ATTR{{type}}=="1", NAME="{name}"\n'
        for each, name in zip(interfaces, names, strict=True)
    ]
    files.put(appliance, RULES, files.HEADER + "".join(rules))
    return names
