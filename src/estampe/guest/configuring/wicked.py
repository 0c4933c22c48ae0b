"""SUSE's /etc/sysconfig/network: ifcfg and ifroute files, read by wicked and before it by sysconfig (ifcfg(5), routes(5))."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from estampe.guest import base
from estampe.guest.configuring import addressing, files, naming, ways
from estampe.model import final

_DIRECTORY: Final = "/etc/sysconfig/network"
_CONFIG: Final = f"{_DIRECTORY}/config"
_VIRTUAL: Final = re.compile(
    r"^\s*(BRIDGE=['\"]?yes|BONDING_MASTER=['\"]?yes|ETHERDEVICE=|TEAM_RUNNER=|TUNNEL=)", re.MULTILINE
)


def virtual_device(appliance: base.Appliance) -> str | None:
    """See ways.Way."""
    return next((path for path in _sources(appliance) if _VIRTUAL.search(files.read(appliance, path))), None)


def _sources(appliance: base.Appliance) -> list[str]:
    found = appliance.glob(f"{_DIRECTORY}/ifcfg-*", f"{_DIRECTORY}/ifroute-*", f"{_DIRECTORY}/routes")
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
    written = []
    for interface, name in zip(interfaces, naming.name_by_mac(appliance, interfaces), strict=True):
        path = f"{_DIRECTORY}/ifcfg-{name}"
        files.put(appliance, path, files.HEADER + config(interface), mode=0o600)
        written.append(path)
        if routes := addressing.all_routes(interface):
            # `destination gateway netmask interface`: the third is a dash, as the prefix says it.
            lines = [f"{destination} {via} - {name}\n" for destination, via in routes]
            files.put(appliance, f"{_DIRECTORY}/ifroute-{name}", files.HEADER + "".join(lines))
            written.append(f"{_DIRECTORY}/ifroute-{name}")
    return [*written, *_write_dns(appliance, addressing.all_dns(interfaces), search)]


def config(interface: final.Interface) -> str:
    """The content of ifcfg-NAME. Fixed addresses count beside DHCP."""
    modes = {(True, True): "dhcp", (True, False): "dhcp4", (False, True): "dhcp6", (False, False): "static"}
    values = {"STARTMODE": "auto", "BOOTPROTO": modes[interface.asks_dhcp4, interface.is_dhcp6]}
    fixed = [str(each) for version in (4, 6) for each in addressing.addresses(interface, version)]
    values |= {f"IPADDR{f'_{nth}' if nth else ''}": each for nth, each in enumerate(fixed)}
    return "".join(f"{key}='{value}'\n" for key, value in values.items())


def _write_dns(appliance: base.Appliance, servers: Sequence[str], search: Sequence[str]) -> list[str]:
    """netconfig(8) puts these together with what DHCP brings."""
    if not (servers or search):
        return []
    text = files.read(appliance, _CONFIG)
    text = files.assign(text, "NETCONFIG_DNS_STATIC_SERVERS", " ".join(servers))
    text = files.assign(text, "NETCONFIG_DNS_STATIC_SEARCHLIST", " ".join(search))
    files.put(appliance, _CONFIG, text)
    return [_CONFIG]
