"""How a Linux guest configures its network: by what is enabled and configured in it, not by what is merely installed."""

from __future__ import annotations

import re
from typing import Final

from estampe.guest import base, linux

UNKNOWN: Final = "unknown"
_WANTS: Final = ("/etc/systemd/system/*.wants", "/usr/lib/systemd/system/*.wants", "/lib/systemd/system/*.wants")
_IFACE: Final = re.compile(r"^\s*iface\s+(\S+)\s", re.MULTILINE)
_INTERFACES: Final = "/etc/network/interfaces"
_SCRIPTS: Final = "/etc/sysconfig/network-scripts"
_SUSE: Final = "/etc/sysconfig/network"


def system(appliance: base.Appliance) -> str:
    """netplan, wicked, network-manager, ifcfg, ifupdown, systemd-networkd or unknown: as model.guest.Guest.network has it."""
    if appliance.is_dir("/etc/netplan") and linux.has_program(appliance, "netplan"):
        return "netplan"
    if _is_wicked(appliance):
        return "wicked"
    if _has_stanzas(appliance):
        return "ifupdown"
    if _is_enabled(appliance, "NetworkManager"):
        return "ifcfg" if _has_ifcfg(appliance) else "network-manager"
    if _is_enabled(appliance, "systemd-networkd"):
        return "systemd-networkd"
    return _by_files(appliance)


def _by_files(appliance: base.Appliance) -> str:
    """Where nothing is enabled that is known: old init systems, and interfaces that were never configured."""
    if appliance.is_file(_INTERFACES) and linux.has_program(appliance, "ifup"):
        return "ifupdown"
    if appliance.is_dir(_SCRIPTS):
        return "ifcfg"
    if appliance.is_dir("/etc/systemd/network") and appliance.glob("/etc/systemd/network/*.network"):
        return "systemd-networkd"
    if linux.has_program(appliance, "NetworkManager"):
        return "network-manager"
    return UNKNOWN


def _is_enabled(appliance: base.Appliance, service: str) -> bool:
    """A unit that is wanted by a target, or OpenRC's service of the same name in lower case."""
    places = [f"{wants}/{service}.service" for wants in _WANTS]
    return bool(appliance.glob(*places, f"/etc/runlevels/*/{service.lower()}", f"/etc/rc3.d/S*{service}"))


def _is_wicked(appliance: base.Appliance) -> bool:
    """SUSE's network.service is a link to the one that is in use; before wicked, its directory is read by scripts."""
    if not appliance.is_dir(_SUSE) or appliance.is_dir(_SCRIPTS):
        return False
    is_there = linux.has_program(appliance, "wicked") or appliance.is_dir(f"{_SUSE}/scripts")
    return is_there and not _is_enabled(appliance, "NetworkManager")


def _has_stanzas(appliance: base.Appliance) -> bool:
    """Whether ifupdown has an interface besides the loopback's; NetworkManager leaves those to it."""
    paths = [_INTERFACES, *appliance.glob("/etc/network/interfaces.d/*")]
    texts = [appliance.read(path) for path in paths if appliance.is_file(path)]
    return linux.has_program(appliance, "ifup") and any(set(_IFACE.findall(text)) - {"lo"} for text in texts)


def _has_ifcfg(appliance: base.Appliance) -> bool:
    return any(path != f"{_SCRIPTS}/ifcfg-lo" for path in appliance.glob(f"{_SCRIPTS}/ifcfg-*"))
