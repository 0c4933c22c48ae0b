"""What a person may ask for the network of a new server."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from estampe import errors
from estampe.model import final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
InterfaceAddress = ipaddress.IPv4Interface | ipaddress.IPv6Interface

_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def check(interfaces: Sequence[final.Interface]) -> None:
    """Raises: errors.InvalidRequest, which names the field and the interface."""
    seen: set[Address] = set()
    for number, interface in enumerate(interfaces, start=1):
        where = f" of interface {number}" if len(interfaces) > 1 else ""
        _check_mac(interface.mac, where)
        addresses = [_parse_address(text, where) for text in interface.addresses]
        for address in addresses:
            if address.ip in seen:
                raise _invalid("address", where, f"{address.ip} is given twice")
            seen.add(address.ip)
        _check_gateways(interface.gateways, addresses, where)
        for text in interface.dns:
            _parse_ip(text, "dns", where)
        for route in interface.routes:
            _check_route(route, interface, addresses, where)


def _check_mac(mac: str, where: str) -> None:
    if not _MAC.fullmatch(mac.lower()):
        raise _invalid("mac", where, f"{mac!r} is not a MAC address, as 52:54:00:12:34:56")
    if int(mac[:2], 16) & 1:
        raise _invalid("mac", where, f"{mac} is a multicast address")


def _parse_address(text: str, where: str) -> InterfaceAddress:
    if "/" not in text:
        raise _invalid("address", where, f"{text!r} has no prefix length: write 192.0.2.10/24 or 2001:db8::10/64")
    try:
        address = ipaddress.ip_interface(text)
    except ValueError:
        raise _invalid("address", where, f"{text!r} is not an address with prefix length, as 192.0.2.10/24") from None
    network = address.network
    if address.ip.is_multicast or address.ip.is_unspecified or address.ip.is_loopback:
        raise _invalid("address", where, f"{address.ip} cannot be the address of an interface")
    if address.version == 4 and network.prefixlen < 31 and address.ip in {network[0], network[-1]}:
        raise _invalid("address", where, f"{address.ip} is the network or broadcast address of {network}")
    return address


def _check_gateways(gateways: Sequence[str], addresses: Sequence[InterfaceAddress], where: str) -> None:
    families: set[int] = set()
    for text in gateways:
        gateway = _parse_ip(text, "gateway", where)
        if gateway.version in families:
            raise _invalid("gateway", where, f"more than one gateway for IPv{gateway.version}")
        families.add(gateway.version)
        _check_reachable(gateway, [each for each in addresses if each.version == gateway.version], where)


def _check_route(
    route: final.Route, interface: final.Interface, addresses: Sequence[InterfaceAddress], where: str
) -> None:
    try:
        network = ipaddress.ip_network(route.destination)
    except ValueError:
        problem = f"{route.destination!r} is not a network, as 198.51.100.0/24 or 2001:db8:1::/48"
        raise _invalid("route", where, problem) from None
    gateway = _parse_ip(route.gateway, "route", where)
    if gateway.version != network.version:
        raise _invalid("route", where, f"{gateway} is not of the same family as {network}")
    if network.prefixlen == 0:
        raise _invalid("route", where, f"{network} is the default route: give its gateway as --gateway")
    is_dhcp = interface.asks_dhcp4 if gateway.version == 4 else not addresses or interface.is_dhcp6
    if not is_dhcp and not gateway.is_link_local:
        _check_reachable(gateway, [each for each in addresses if each.version == gateway.version], where, "route")


def _check_reachable(
    gateway: Address, addresses: Sequence[InterfaceAddress], where: str, field: str = "gateway"
) -> None:
    if not addresses:
        problem = (
            f"{gateway} is given without an IPv{gateway.version} address: by DHCP the gateway comes with the address"
        )
        raise _invalid(field, where, problem)
    if any(each.ip == gateway for each in addresses):
        raise _invalid(field, where, f"{gateway} is the interface's own address")
    if not gateway.is_link_local and not any(gateway in each.network for each in addresses):
        networks = ", ".join(str(each.network) for each in addresses)
        raise _invalid(field, where, f"{gateway} is not in {networks}, so the server could not reach it")


def _parse_ip(text: str, field: str, where: str) -> Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise _invalid(field, where, f"{text!r} is not an IP address") from None
    if address.is_multicast or address.is_unspecified:
        raise _invalid(field, where, f"{address} is not the address of a host")
    return address


def _invalid(field: str, where: str, problem: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(field=f"{field}{where}", problem=problem)
