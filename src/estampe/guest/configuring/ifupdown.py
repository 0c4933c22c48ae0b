"""/etc/network/interfaces, as Debian's ifupdown, Alpine's ifupdown-ng and busybox read it.

Only what all three understand: one stanza for each family, a netmask rather than a prefix (busybox before 1.27), further
addresses and routes by `up` (busybox refuses a second stanza of one family).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from estampe.guest import base
from estampe.guest.configuring import addressing, files, naming, resolv, ways
from estampe.model import final

_PATH: Final = "/etc/network/interfaces"
_PARTS: Final = ("/etc/network/interfaces.d/*",)
_VIRTUAL: Final = re.compile(
    r"^\s*(bridge[-_]ports|bond[-_]\w+|vlan[-_]raw[-_]device|tunnel\s|wireguard|use\s+bridge)", re.MULTILINE
)
_VLAN: Final = re.compile(r"^\s*iface\s+(\S+\.\d+|vlan\d+)\s", re.MULTILINE)


def virtual_device(appliance: base.Appliance) -> str | None:
    """See ways.Way."""
    for path in (_PATH, *appliance.glob(*_PARTS)):
        text = files.read(appliance, path)
        if _VIRTUAL.search(text) or _VLAN.search(text):
            return path
    return None


def replace(appliance: base.Appliance, interfaces: Sequence[final.Interface], search: Sequence[str]) -> ways.Replaced:
    """See ways.Way."""
    removed = _clear(appliance)
    return ways.Replaced(removed=tuple(removed), written=tuple(_write(appliance, interfaces, search)))


def _clear(appliance: base.Appliance) -> list[str]:
    """Remove the source's stanzas; the main file is written anew in any case."""
    removed = [path for path in appliance.glob(*_PARTS) if appliance.is_file(path)]
    for path in removed:
        appliance.remove(path)
    return [*([_PATH] if appliance.is_file(_PATH) else []), *removed]


def _write(appliance: base.Appliance, interfaces: Sequence[final.Interface], search: Sequence[str]) -> list[str]:
    """The new server's stanzas. The files that were written."""
    names = naming.name_by_mac(appliance, interfaces)
    stanzas = [_stanzas(each, name, search) for each, name in zip(interfaces, names, strict=True)]
    files.put(appliance, _PATH, files.HEADER + "\nauto lo\niface lo inet loopback\n" + "".join(stanzas))
    return [_PATH, *resolv.write(appliance, addressing.all_dns(interfaces), search)]


def _stanzas(interface: final.Interface, name: str, search: Sequence[str]) -> str:
    by_family = [_stanza(interface, name, version) for version in (4, 6)]
    families = [lines for lines in by_family if lines]
    if not families:
        families = [[f"iface {name} inet manual"]]
    servers = addressing.dns(interface)
    families[0] += [f"dns-nameservers {' '.join(servers)}"] if servers else []
    families[0] += [f"dns-search {' '.join(search)}"] if search else []
    text = "".join(f"{head}\n" + "".join(f"\t{line}\n" for line in lines) for head, *lines in families)
    return f"\nauto {name}\n{text}"


def _stanza(interface: final.Interface, name: str, version: int) -> list[str]:
    family, address_command = ("inet", "ip addr") if version == 4 else ("inet6", "ip -6 addr")
    route_command = "ip route" if version == 4 else "ip -6 route"
    fixed = addressing.addresses(interface, version)
    is_dhcp = interface.asks_dhcp4 if version == 4 else interface.is_dhcp6
    gateway = addressing.gateway(interface, version)
    if is_dhcp:
        lines, further = [f"iface {name} {family} dhcp"], fixed
    elif fixed:
        first, *further = fixed
        netmask = str(first.netmask) if version == 4 else str(first.network.prefixlen)
        lines = [f"iface {name} {family} static", f"address {first.ip}", f"netmask {netmask}"]
        lines += [f"gateway {gateway}"] if gateway else []
    else:
        return []
    lines += [f"up {address_command} add {each} dev {name}" for each in further]
    routes = addressing.routes(interface, version)
    return lines + [f"up {route_command} add {network} via {via} dev {name}" for network, via in routes]
