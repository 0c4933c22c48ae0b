"""/etc/sysconfig/network-scripts/ifcfg-*: Red Hat's own scripts, and NetworkManager's ifcfg-rh plugin.

Both take HWADDR; the scripts of Red Hat 6 and 7 want DEVICE besides, so the name is made certain by a udev rule.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from estampe.guest import base
from estampe.guest.configuring import addressing, files, naming, ways
from estampe.model import final

_DIRECTORY: Final = "/etc/sysconfig/network-scripts"
_KINDS: Final = ("ifcfg", "route", "route6", "rule", "rule6")
_VIRTUAL: Final = re.compile(
    r"^\s*(TYPE=['\"]?(Bridge|Bond|Team|Vlan|OVSBridge)|DEVICETYPE=['\"]?Team|BONDING_OPTS=|VLAN=['\"]?yes|BRIDGE=)",
    re.MULTILINE | re.IGNORECASE,
)


def virtual_device(appliance: base.Appliance) -> str | None:
    """See ways.Way."""
    return next((path for path in _sources(appliance) if _VIRTUAL.search(files.read(appliance, path))), None)


def _sources(appliance: base.Appliance) -> list[str]:
    found = appliance.glob(*(f"{_DIRECTORY}/{kind}-*" for kind in _KINDS))
    return [path for path in found if path != f"{_DIRECTORY}/ifcfg-lo"]


def replace(appliance: base.Appliance, interfaces: Sequence[final.Interface], search: Sequence[str]) -> ways.Replaced:
    """See ways.Way."""
    removed = _clear(appliance)
    return ways.Replaced(removed=tuple(removed), written=tuple(_write(appliance, interfaces, search)))


def _clear(appliance: base.Appliance) -> list[str]:
    """Remove the source's files but the loopback's."""
    removed = _sources(appliance)
    for path in removed:
        appliance.remove(path)
    return removed


def _write(appliance: base.Appliance, interfaces: Sequence[final.Interface], search: Sequence[str]) -> list[str]:
    """The new server's files."""
    written: list[str] = []
    for interface, name in zip(interfaces, naming.name_by_mac(appliance, interfaces), strict=True):
        made = {f"{_DIRECTORY}/ifcfg-{name}": config(interface, search, name=name)}
        for version, kind in ((4, "route"), (6, "route6")):
            routes = addressing.routes(interface, version)
            if routes:
                lines = "".join(f"{network} via {via} dev {name}\n" for network, via in routes)
                made[f"{_DIRECTORY}/{kind}-{name}"] = lines
        for path, text in made.items():
            files.put(appliance, path, files.HEADER + text)
        written += made
    return written


def config(interface: final.Interface, search: Sequence[str], *, name: str) -> str:
    """The content of ifcfg-NAME."""
    values: dict[str, str] = {
        "TYPE": "Ethernet",
        "NAME": name,
        "DEVICE": name,
        "HWADDR": interface.mac.upper(),
        "ONBOOT": "yes",
        "BOOTPROTO": "dhcp" if interface.asks_dhcp4 else "none",
    }
    for nth, address in enumerate(addressing.addresses(interface, 4)):
        number = str(nth) if nth else ""
        values |= {f"IPADDR{number}": str(address.ip), f"PREFIX{number}": str(address.network.prefixlen)}
    if gateway := addressing.gateway(interface, 4):
        values["GATEWAY"] = gateway
    values |= _version6(interface)
    values |= {f"DNS{nth}": each for nth, each in enumerate(addressing.dns(interface), start=1)}
    if search:
        values["DOMAIN"] = " ".join(search)
    return "".join(f'{key}="{value}"\n' for key, value in values.items())


def _version6(interface: final.Interface) -> dict[str, str]:
    fixed = [str(each) for each in addressing.addresses(interface, 6)]
    values = {"IPV6INIT": "yes", "IPV6_AUTOCONF": "no" if fixed and not interface.is_dhcp6 else "yes"}
    if interface.is_dhcp6:
        values["DHCPV6C"] = "yes"
    if fixed:
        values["IPV6ADDR"] = fixed[0]
    if fixed[1:]:
        values["IPV6ADDR_SECONDARIES"] = " ".join(fixed[1:])
    if gateway := addressing.gateway(interface, 6):
        values["IPV6_DEFAULTGW"] = gateway
    return values
