"""Network interfaces of a rebuilt server: new ones in the places of the recorded, so that the guest's names for them stay."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Final

from estampe.virt import base
from estampe.virt.domain_xml import changes, shape, volumes

# Dropped without a word: replaced by what the new interface is. The driver's name only says who moves the packets.
_REPLACED: Final = frozenset(
    {"@type", "@managed", "@trustGuestRxFilters", "mac", "source", "target", "model", "driver/@name"}
)


def build(recorded: ET.Element, new: base.NewDomain, noted: changes.Changes) -> list[ET.Element]:
    """All `<interface>` elements, in order."""
    before = recorded.findall("devices/interface")
    made = []
    for number, interface in enumerate(new.interfaces):
        element = _interface(interface)
        if number < len(before):
            _note_network(number + 1, before[number], interface, noted)
            element.extend(_traits(number + 1, before[number], new, noted))
        made.append(element)
    return made


def _interface(new: base.NewInterface) -> ET.Element:
    kind, name = ("bridge", new.bridge) if new.bridge is not None else ("network", new.network)
    element = ET.Element("interface", type=kind)
    ET.SubElement(element, "mac", address=new.mac)
    ET.SubElement(element, "source", {kind: name or ""})
    ET.SubElement(element, "model", type=new.model)
    return element


def _traits(number: int, before: ET.Element, new: base.NewDomain, noted: changes.Changes) -> list[ET.Element]:
    """What the guest saw of the recorded interface: its place on the bus above all."""
    copied, dropped = shape.INTERFACE.copy(before)
    for name in dropped:
        if name not in _REPLACED:
            noted.leave_out(f"{name.replace('/@', ' ')} of interface {number}")
    taken = volumes.boot_orders(new)
    kept = []
    for trait in copied:
        if trait.tag == "boot" and trait.get("order") in taken:
            noted.leave_out(f"boot from interface {number}", why="a volume has its place in the boot order")
        else:
            kept.append(trait)
    return kept


def _note_network(number: int, before: ET.Element, new: base.NewInterface, noted: changes.Changes) -> None:
    source = before.find("source")
    kind = before.get("type", "?")
    known = ("network", "bridge", "dev", "path")
    name = next((source.get(key) for key in known if source.get(key)), None) if source is not None else None
    was = f"{kind} {name}" if name else kind
    now = f"bridge {new.bridge}" if new.bridge is not None else f"network {new.network}"
    if was != now:
        noted.add(f"network of interface {number}", was=was, now=now, why="networks are the host's own")
