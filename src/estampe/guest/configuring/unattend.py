"""Windows' answer file for the setup that a generalised image goes through at its first boot.

specialize    computer name, time zone, addresses
oobeSystem    no questions, administrator's password, accounts, first-logon commands
https://learn.microsoft.com/en-us/windows-hardware/customize/desktop/unattend/
"""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from typing import Final

from estampe.guest.configuring import addressing, windows_zones
from estampe.model import final

_UNATTEND: Final = "urn:schemas-microsoft-com:unattend"
_WCM: Final = "http://schemas.microsoft.com/WMIConfig/2002/State"
_TOKEN: Final = "31bf3856ad364e35"  # noqa: S105 - Windows' own public key token, as all its components have it
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "i686": "x86"}
MOST_NAME_CHARACTERS: Final = 15  # NetBIOS; setup refuses a longer ComputerName and stops

ET.register_namespace("wcm", _WCM)


def build(wish: final.FinalConfiguration, *, architecture: str = "x86_64") -> str:
    """The XML of the answer file."""
    root = ET.Element("unattend", xmlns=_UNATTEND)
    specialize = ET.SubElement(root, "settings", {"pass": "specialize"})
    setup = _component(specialize, "Microsoft-Windows-Shell-Setup", architecture)
    _set(setup, "ComputerName", computer_name(wish))
    if wish.timezone and (zone := windows_zones.find(wish.timezone)):
        _set(setup, "TimeZone", zone)
    fixed = [each for each in wish.interfaces if each.addresses or each.routes or each.gateways]
    if fixed:
        _addresses(_component(specialize, "Microsoft-Windows-TCPIP", architecture), fixed)
    with_dns = [each for each in wish.interfaces if each.dns]
    if with_dns or wish.search:
        _dns(_component(specialize, "Microsoft-Windows-DNS-Client", architecture), with_dns, wish.search)
    system = ET.SubElement(root, "settings", {"pass": "oobeSystem"})
    _out_of_box(_component(system, "Microsoft-Windows-Shell-Setup", architecture), wish)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def computer_name(wish: final.FinalConfiguration) -> str:
    """The short name as far as Windows takes it."""
    return wish.short_name[:MOST_NAME_CHARACTERS].rstrip("-")


def _component(parent: ET.Element, name: str, architecture: str) -> ET.Element:
    return ET.SubElement(
        parent,
        "component",
        {
            "name": name,
            "processorArchitecture": _ARCHITECTURES.get(architecture, "amd64"),
            "publicKeyToken": _TOKEN,
            "language": "neutral",
            "versionScope": "nonSxS",
        },
    )


def _set(parent: ET.Element, tag: str, text: str) -> ET.Element:
    element = ET.SubElement(parent, tag)
    element.text = text
    return element


def _added(parent: ET.Element, tag: str) -> ET.Element:
    return ET.SubElement(parent, tag, {f"{{{_WCM}}}action": "add"})


def _keyed(parent: ET.Element, tag: str, key: int, text: str) -> None:
    element = ET.SubElement(parent, tag, {f"{{{_WCM}}}action": "add", f"{{{_WCM}}}keyValue": str(key)})
    element.text = text


def _identifier(mac: str) -> str:
    """Setup finds an interface by its MAC address written with hyphens."""
    return mac.upper().replace(":", "-")


def _addresses(component: ET.Element, interfaces: list[final.Interface]) -> None:
    made = ET.SubElement(component, "Interfaces")
    for interface in interfaces:
        element = _added(made, "Interface")
        for version, tag in ((4, "Ipv4Settings"), (6, "Ipv6Settings")):
            is_dhcp = interface.asks_dhcp4 if version == 4 else not addressing.addresses(interface, 6)
            _set(ET.SubElement(element, tag), "DhcpEnabled", "true" if is_dhcp else "false")
        _set(element, "Identifier", _identifier(interface.mac))
        if interface.addresses:
            unicast = ET.SubElement(element, "UnicastIpAddresses")
            both = [each for version in (4, 6) for each in addressing.addresses(interface, version)]
            for nth, address in enumerate(both, start=1):
                _keyed(unicast, "IpAddress", nth, str(address))
        routes = addressing.all_routes(interface)
        if routes:
            listed = ET.SubElement(element, "Routes")
            for nth, (destination, via) in enumerate(routes):
                route = _added(listed, "Route")
                _set(route, "Identifier", str(nth))
                _set(route, "NextHopAddress", via)
                _set(route, "Prefix", destination)


def _dns(component: ET.Element, interfaces: list[final.Interface], search: tuple[str, ...]) -> None:
    if search:
        order = ET.SubElement(component, "DNSSuffixSearchOrder")
        for nth, domain in enumerate(search, start=1):
            _keyed(order, "DomainName", nth, domain)
    if interfaces:
        made = ET.SubElement(component, "Interfaces")
        for interface in interfaces:
            element = _added(made, "Interface")
            servers = ET.SubElement(element, "DNSServerSearchOrder")
            for nth, server in enumerate(addressing.dns(interface), start=1):
                _keyed(servers, "IpAddress", nth, server)
            _set(element, "Identifier", _identifier(interface.mac))


def _out_of_box(component: ET.Element, wish: final.FinalConfiguration) -> None:
    commands = list(wish.commands)
    if commands:
        listed = ET.SubElement(component, "FirstLogonCommands")
        for nth, command in enumerate(commands, start=1):
            entry = _added(listed, "SynchronousCommand")
            _set(entry, "Order", str(nth))
            _set(entry, "CommandLine", command)
    oobe = ET.SubElement(component, "OOBE")
    _set(oobe, "HideEULAPage", "true")
    _set(oobe, "HideWirelessSetupInOOBE", "true")
    _set(oobe, "ProtectYourPC", "3")  # no automatic sending of data: nobody was asked
    if wish.admin_password:
        accounts = ET.SubElement(component, "UserAccounts")
        password = ET.SubElement(accounts, "AdministratorPassword")
        _set(password, "Value", _hidden(wish.admin_password, "AdministratorPassword"))
        _set(password, "PlainText", "false")


def _hidden(password: str, tag: str) -> str:
    """As Windows' own tools hide it from a glance: base64 of UTF-16 with the element's name behind. No secret is safe in it."""
    return base64.b64encode((password + tag).encode("utf-16-le")).decode()
