"""What is asked of an interface, by family: the same for all ways to configure a network."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from estampe.model import final

InterfaceAddress = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def addresses(interface: final.Interface, version: int) -> list[InterfaceAddress]:
    """The fixed ones of IPv4 or IPv6, in the order given."""
    parsed = [ipaddress.ip_interface(text) for text in interface.addresses]
    return [each for each in parsed if each.version == version]


def gateway(interface: final.Interface, version: int) -> str | None:
    """The default route's, in its shortest form."""
    parsed = [ipaddress.ip_address(text) for text in interface.gateways]
    return next((str(each) for each in parsed if each.version == version), None)


def dns(interface: final.Interface, version: int | None = None) -> list[str]:
    """Name servers, of one family or all."""
    parsed = [ipaddress.ip_address(text) for text in interface.dns]
    return [str(each) for each in parsed if version in {None, each.version}]


def routes(interface: final.Interface, version: int) -> list[tuple[str, str]]:
    """(destination, gateway) of one family."""
    parsed = [(ipaddress.ip_network(each.destination), each.gateway) for each in interface.routes]
    return [(str(network), str(ipaddress.ip_address(via))) for network, via in parsed if network.version == version]


_DEFAULT: Final = {4: "0.0.0.0/0", 6: "::/0"}


def all_routes(interface: final.Interface) -> list[tuple[str, str]]:
    """(destination, gateway) of both families, the default routes among them, written out as networks."""
    found = []
    for version in (4, 6):
        via = gateway(interface, version)
        found += [(_DEFAULT[version], via)] if via else []
        found += routes(interface, version)
    return found


def all_dns(interfaces: Sequence[final.Interface]) -> list[str]:
    """Of all interfaces, each once: for guests that know name servers of the whole server only."""
    return list(dict.fromkeys(server for each in interfaces for server in dns(each)))


def told(interface: final.Interface) -> str:
    """In words: `192.0.2.10/24, gateway 192.0.2.1`."""
    kinds = [
        *(["DHCP"] if interface.asks_dhcp4 else []),
        *(["DHCPv6"] if interface.is_dhcp6 else []),
        *(str(address) for version in (4, 6) for address in addresses(interface, version)),
    ]
    parts = [
        ", ".join(kinds),
        *(f"gateway {each}" for each in interface.gateways),
        *([f"DNS {', '.join(dns(interface))}"] if interface.dns else []),
        *(f"route to {each.destination} by {each.gateway}" for each in interface.routes),
    ]
    return "; ".join(parts)
