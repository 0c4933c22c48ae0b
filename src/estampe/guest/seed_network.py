"""A seed's network configuration: cloud-init's version 2, which its ifupdown, networkd, netplan and sysconfig renderers read.

https://docs.cloud-init.io/en/22.4/topics/network-config-format-v2.html
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from estampe import errors

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
InterfaceAddress = ipaddress.IPv4Interface | ipaddress.IPv6Interface

_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One interface of the new server. Without addresses it uses DHCP (IPv4) and what routers advertise (IPv6)."""

    mac: str
    addresses: tuple[str, ...] = ()  # with prefix: 192.0.2.10/24, 2001:db8::10/64
    gateways: tuple[str, ...] = ()  # at most one of each family
    dns: tuple[str, ...] = ()


def check(interfaces: Sequence[Interface]) -> None:
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


def config(interfaces: Sequence[Interface]) -> dict[str, Any]:
    """The content of `network-config` for interfaces that `check` has passed.

    The names are only keys: cloud-init looks the interface up by its MAC address, and leaves its own name alone as there
    is no `set-name` (cloud-init 20.1 and later; before, the key becomes the name, and eth0, eth1 are good ones).
    """
    return {"version": 2, "ethernets": {f"eth{nth}": _ethernet(each) for nth, each in enumerate(interfaces)}}


def _ethernet(interface: Interface) -> dict[str, Any]:
    ethernet: dict[str, Any] = {"match": {"macaddress": interface.mac.lower()}}
    if interface.addresses:
        ethernet["addresses"] = [str(ipaddress.ip_interface(text)) for text in interface.addresses]
    else:
        # Not dhcp6: ifupdown would hold up the boot for a DHCPv6 server that most networks do not have. Kernel and
        # networkd follow router advertisements by themselves, and networkd asks by DHCPv6 where these say so.
        ethernet["dhcp4"] = True
    for text in interface.gateways:
        # Not `routes: [{to: default}]`: cloud-init 22.4 does not know the word. netplan calls gateway4 deprecated, and takes it.
        gateway = ipaddress.ip_address(text)
        ethernet[f"gateway{gateway.version}"] = str(gateway)
    if interface.dns:
        ethernet["nameservers"] = {"addresses": [str(ipaddress.ip_address(text)) for text in interface.dns]}
    return ethernet


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


def _check_reachable(gateway: Address, addresses: Sequence[InterfaceAddress], where: str) -> None:
    if not addresses:
        problem = (
            f"{gateway} is given without an IPv{gateway.version} address: by DHCP the gateway comes with the address"
        )
        raise _invalid("gateway", where, problem)
    if any(each.ip == gateway for each in addresses):
        raise _invalid("gateway", where, f"{gateway} is the interface's own address")
    if not gateway.is_link_local and not any(gateway in each.network for each in addresses):
        networks = ", ".join(str(each.network) for each in addresses)
        raise _invalid("gateway", where, f"{gateway} is not in {networks}, so the server could not reach it")


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
