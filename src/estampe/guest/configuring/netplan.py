"""netplan: one YAML file, interfaces matched by MAC address (https://netplan.readthedocs.io/en/stable/netplan-yaml/)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import yaml

from estampe.guest import base
from estampe.guest.configuring import addressing, files, ways
from estampe.model import final

_PATH: Final = "/etc/netplan/90-estampe.yaml"
_SOURCES: Final = ("/etc/netplan/*.yaml", "/etc/netplan/*.yml")
_VIRTUAL: Final = ("bridges", "bonds", "vlans", "tunnels", "vrfs", "dummy-devices", "virtual-ethernets")


def virtual_device(appliance: base.Appliance) -> str | None:
    """See ways.Way."""
    for path in appliance.glob(*_SOURCES):
        if any(_network(appliance, path).get(kind) for kind in _VIRTUAL):
            return path
    return None


def _network(appliance: base.Appliance, path: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(files.read(appliance, path))
    except (yaml.YAMLError, ValueError, RecursionError):  # a hostile guest's too
        return {}
    network = content.get("network") if isinstance(content, dict) else None
    return network if isinstance(network, dict) else {}


def replace(appliance: base.Appliance, interfaces: Sequence[final.Interface], search: Sequence[str]) -> ways.Replaced:
    """See ways.Way."""
    renderer = _renderer(appliance)
    removed = _clear(appliance)
    # Only root may read it: netplan warns otherwise.
    files.put(appliance, _PATH, files.HEADER + config(interfaces, search, renderer=renderer), mode=0o600)
    return ways.Replaced(removed=tuple(removed), written=(_PATH,))


def _clear(appliance: base.Appliance) -> list[str]:
    """Remove the source's files: netplan takes all of them together."""
    removed = [path for path in appliance.glob(*_SOURCES) if path != _PATH]
    for path in removed:
        appliance.remove(path)
    return removed


def _renderer(appliance: base.Appliance) -> str | None:
    """The one that the source's files name: NetworkManager on desktops; None where it is netplan's default."""
    named = [_network(appliance, path).get("renderer") for path in appliance.glob(*_SOURCES)]
    return next((each for each in reversed(named) if each in {"networkd", "NetworkManager"}), None)


def config(interfaces: Sequence[final.Interface], search: Sequence[str], *, renderer: str | None) -> str:
    """The YAML. The names are only keys."""
    ethernets = {f"net{nth}": _ethernet(each, search) for nth, each in enumerate(interfaces)}
    network = {"version": 2, **({"renderer": renderer} if renderer else {}), "ethernets": ethernets}
    return yaml.safe_dump({"network": network}, sort_keys=False, default_flow_style=False)


def _ethernet(interface: final.Interface, search: Sequence[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"match": {"macaddress": interface.mac.lower()}, "dhcp4": interface.asks_dhcp4}
    if interface.is_dhcp6:
        made["dhcp6"] = True
    fixed = [str(each) for version in (4, 6) for each in addressing.addresses(interface, version)]
    if fixed:
        made["addresses"] = fixed
    # Networks rather than the word `default`, which netplan before 0.103 does not know.
    routes = [{"to": to, "via": via} for to, via in addressing.all_routes(interface)]
    if routes:
        made["routes"] = routes
    servers = {
        **({"addresses": addressing.dns(interface)} if interface.dns else {}),
        **({"search": list(search)} if search else {}),
    }
    if servers:
        made["nameservers"] = servers
    return made
