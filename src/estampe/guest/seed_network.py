"""A seed's network configuration, in the two forms that seeds have.

Version 2, of NoCloud, which cloud-init's ifupdown, networkd, netplan and sysconfig renderers read:
https://docs.cloud-init.io/en/22.4/topics/network-config-format-v2.html
network_data.json, of Config Drive: https://docs.openstack.org/nova/latest/user/metadata.html
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from estampe.guest.configuring import addressing
from estampe.model import final


def version_2(interfaces: Sequence[final.Interface], search: Sequence[str]) -> dict[str, Any]:
    """The content of `network-config`.

    The names are only keys: cloud-init looks the interface up by its MAC address, and leaves its own name alone as there
    is no `set-name` (cloud-init 20.1 and later; before, the key becomes the name, and eth0, eth1 are good ones).
    """
    return {"version": 2, "ethernets": {f"eth{nth}": _ethernet(each, search) for nth, each in enumerate(interfaces)}}


def _ethernet(interface: final.Interface, search: Sequence[str]) -> dict[str, Any]:
    ethernet: dict[str, Any] = {"match": {"macaddress": interface.mac.lower()}}
    fixed = [str(each) for version in (4, 6) for each in addressing.addresses(interface, version)]
    if fixed:
        ethernet["addresses"] = fixed
    if interface.asks_dhcp4:
        # Not dhcp6 unasked: ifupdown would hold up the boot for a DHCPv6 server that most networks do not have. Kernel
        # and networkd follow router advertisements by themselves, and networkd asks by DHCPv6 where these say so.
        ethernet["dhcp4"] = True
    if interface.is_dhcp6:
        ethernet["dhcp6"] = True
    for version in (4, 6):
        # Not `routes: [{to: default}]`: cloud-init 22.4 does not know the word. netplan calls gateway4 deprecated, and takes it.
        if gateway := addressing.gateway(interface, version):
            ethernet[f"gateway{version}"] = gateway
    routes = [{"to": to, "via": via} for version in (4, 6) for to, via in addressing.routes(interface, version)]
    if routes:
        ethernet["routes"] = routes
    servers = {
        **({"addresses": addressing.dns(interface)} if interface.dns else {}),
        **({"search": list(search)} if search else {}),
    }
    if servers:
        ethernet["nameservers"] = servers
    return ethernet


def network_data(
    interfaces: Sequence[final.Interface], search: Sequence[str], *, is_for_nuageinit: bool
) -> dict[str, Any]:
    """The content of `network_data.json`.

    nuageinit takes one address of each family, IPv6's with its prefix, and the default route as `gateway`; the others want
    it among the routes, as nova writes it, and cloud-init would set one given both ways twice.
    """
    networks = []
    for nth, interface in enumerate(interfaces):
        link = f"net{nth}"
        kinds = [*(["ipv4_dhcp"] if interface.asks_dhcp4 else []), *(["ipv6_dhcp"] if interface.is_dhcp6 else [])]
        networks += [{"id": f"{link}-{kind}", "type": kind, "link": link} for kind in kinds]
        for version in (4, 6):
            fixed = addressing.addresses(interface, version)
            for number, address in enumerate(fixed[:1] if is_for_nuageinit else fixed):
                made = {
                    "id": f"{link}-ipv{version}-{number}",
                    "type": f"ipv{version}",
                    "link": link,
                    **_address(address),
                }
                if is_for_nuageinit and version == 6:
                    made["ip_address"] = str(address)
                if number == 0:
                    made |= _routes(interface, version, is_for_nuageinit=is_for_nuageinit)
                networks.append(made | ({"dns_search": list(search)} if search else {}))
    links = [
        {"id": f"net{nth}", "type": "phy", "ethernet_mac_address": each.mac.lower()}
        for nth, each in enumerate(interfaces)
    ]
    services = [{"type": "dns", "address": each} for each in addressing.all_dns(interfaces)]
    return {"links": links, "networks": networks, "services": services}


def _address(address: addressing.InterfaceAddress) -> dict[str, Any]:
    return {"ip_address": str(address.ip), "netmask": str(address.netmask)}


def _routes(interface: final.Interface, version: int, *, is_for_nuageinit: bool) -> dict[str, Any]:
    gateway = addressing.gateway(interface, version)
    routes = addressing.routes(interface, version)
    default = "0.0.0.0/0" if version == 4 else "::/0"
    if gateway and not is_for_nuageinit:
        routes = [(default, gateway), *routes]
    made: dict[str, Any] = {"gateway": gateway} if gateway and is_for_nuageinit else {}
    parsed = [(ipaddress.ip_network(to), via) for to, via in routes]
    listed = [
        {"network": str(network.network_address), "netmask": str(network.netmask), "gateway": via}
        for network, via in parsed
    ]
    return made | ({"routes": listed} if listed else {})
