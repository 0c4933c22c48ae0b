"""systemd-networkd: one file for each interface, matched by MAC address (systemd.network(5))."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from estampe.guest import base
from estampe.guest.configuring import addressing, files, ways
from estampe.model import final

_DIRECTORY: Final = "/etc/systemd/network"


def virtual_device(appliance: base.Appliance) -> str | None:
    """See ways.Way."""
    return next(iter(appliance.glob(f"{_DIRECTORY}/*.netdev")), None)


def replace(appliance: base.Appliance, interfaces: Sequence[final.Interface], search: Sequence[str]) -> ways.Replaced:
    """See ways.Way."""
    removed = _clear(appliance)
    return ways.Replaced(removed=tuple(removed), written=tuple(_write(appliance, interfaces, search)))


def _clear(appliance: base.Appliance) -> list[str]:
    """Remove the source's networks, devices and names of interfaces."""
    removed = [path for kind in ("network", "netdev", "link") for path in appliance.glob(f"{_DIRECTORY}/*.{kind}")]
    for path in removed:
        appliance.remove(path)
    return removed


def _write(appliance: base.Appliance, interfaces: Sequence[final.Interface], search: Sequence[str]) -> list[str]:
    """The new server's networks. The files that were written."""
    written = []
    for nth, interface in enumerate(interfaces):
        # 05: the first file that fits is the one, and cloud-init's and most people's begin with 10 or more.
        path = f"{_DIRECTORY}/05-estampe-{nth}.network"
        files.put(appliance, path, files.HEADER + network(interface, search))
        written.append(path)
    return written


def network(interface: final.Interface, search: Sequence[str]) -> str:
    """The content for one interface. `Type` keeps VLANs and bridges out, which have the MAC address of their interface."""
    dhcp = {(True, True): "yes", (True, False): "ipv4", (False, True): "ipv6", (False, False): "no"}
    lines = [
        "[Match]",
        f"MACAddress={interface.mac.lower()}",
        "Type=ether",
        "",
        "[Network]",
        f"DHCP={dhcp[interface.asks_dhcp4, interface.is_dhcp6]}",
    ]
    for version in (4, 6):
        lines += [f"Address={each}" for each in addressing.addresses(interface, version)]
        gateway = addressing.gateway(interface, version)
        lines += [f"Gateway={gateway}"] if gateway else []
    lines += [f"DNS={each}" for each in addressing.dns(interface)]
    lines += [f"Domains={' '.join(search)}"] if search else []
    for version in (4, 6):
        for destination, via in addressing.routes(interface, version):
            lines += ["", "[Route]", f"Destination={destination}", f"Gateway={via}"]
    return "\n".join(lines) + "\n"
