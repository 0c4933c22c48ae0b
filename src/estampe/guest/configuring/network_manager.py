"""NetworkManager: one keyfile for each interface, matched by MAC address (nm-settings-keyfile(5))."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Final

from estampe.guest import base
from estampe.guest.configuring import addressing, files, ways
from estampe.model import final

_DIRECTORY: Final = "/etc/NetworkManager/system-connections"
_TYPE: Final = re.compile(r"^\s*type\s*=\s*(\S+)", re.MULTILINE)
_VIRTUAL: Final = frozenset({"bridge", "bond", "team", "vlan", "vrf", "ip-tunnel", "macvlan", "ovs-bridge"})
_ETHERNET: Final = frozenset({"ethernet", "802-3-ethernet"})
_PORT: Final = re.compile(r"^\s*(master|controller)\s*=", re.MULTILINE)


def virtual_device(appliance: base.Appliance) -> str | None:
    """See ways.Way."""
    return next((path for path, kind in _connections(appliance) if kind in _VIRTUAL), None)


def _connections(appliance: base.Appliance) -> list[tuple[str, str]]:
    """(path, type) of each; VPNs and wireless networks among them, which are not the new server's interfaces."""
    paths = [path for path in appliance.glob(f"{_DIRECTORY}/*") if appliance.is_file(path)]
    found = [(path, _TYPE.search(appliance.read(path))) for path in paths]
    return [(path, kind[1]) for path, kind in found if kind]


def replace(appliance: base.Appliance, interfaces: Sequence[final.Interface], search: Sequence[str]) -> ways.Replaced:
    """See ways.Way."""
    removed = _clear(appliance)
    return ways.Replaced(removed=tuple(removed), written=tuple(_write(appliance, interfaces, search)))


def _clear(appliance: base.Appliance) -> list[str]:
    """Remove the source's connections of wired interfaces, and what is made out of these."""
    removed = [path for path, kind in _connections(appliance) if kind in _ETHERNET | _VIRTUAL]
    for path in removed:
        appliance.remove(path)
    return removed


def _write(appliance: base.Appliance, interfaces: Sequence[final.Interface], search: Sequence[str]) -> list[str]:
    """The new server's connections, which only root may read: NetworkManager refuses others."""
    written = []
    for nth, interface in enumerate(interfaces):
        path = f"{_DIRECTORY}/estampe-{nth}.nmconnection"
        files.put(appliance, path, files.HEADER + connection(interface, search, name=f"estampe-{nth}"), mode=0o600)
        written.append(path)
    return written


def connection(interface: final.Interface, search: Sequence[str], *, name: str) -> str:
    """The content for one interface. The UUID names the connection: the same whenever it is written again."""
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"estampe:connection:{interface.mac.lower()}")
    return "\n".join(
        [
            "[connection]",
            f"id={name}",
            f"uuid={identity}",
            "type=ethernet",
            "autoconnect=true",
            "",
            "[ethernet]",
            f"mac-address={interface.mac.upper()}",
            "",
            *_family(interface, search, 4),
            "",
            *_family(interface, search, 6),
            "",
        ]
    )


def _family(interface: final.Interface, search: Sequence[str], version: int) -> list[str]:
    fixed = addressing.addresses(interface, version)
    is_automatic = interface.asks_dhcp4 if version == 4 else interface.is_dhcp6 or not fixed
    method = "auto" if is_automatic else "manual" if fixed else "disabled"
    lines = [f"[ipv{version}]", f"method={method}"]
    lines += [f"address{nth}={each}" for nth, each in enumerate(fixed, start=1)]
    gateway = addressing.gateway(interface, version)
    lines += [f"gateway={gateway}"] if gateway else []
    servers = addressing.dns(interface, version)
    lines += [f"dns={';'.join(servers)};"] if servers else []
    lines += [f"dns-search={';'.join(search)};"] if search and method != "disabled" else []
    routes = addressing.routes(interface, version)
    return lines + [f"route{nth}={network},{via}" for nth, (network, via) in enumerate(routes, start=1)]
