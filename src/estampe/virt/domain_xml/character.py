"""Serial ports, consoles and channels of a rebuilt server: the guest's side kept, the host's side plain."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Final

from estampe.virt.domain_xml import changes, facts, shape

_PLAIN_PORTS: Final = {"pty", "null"}
_PLAIN_CHANNELS: Final = {"unix", "pty", "null"}
_TARGET: Final = shape.shape("type name port", model=shape.shape("name"))
_GENERATED: Final = ("/var/lib/libvirt/qemu/", "/run/libvirt/qemu/")  # where libvirt puts sockets that it names itself


def build(recorded: ET.Element, noted: changes.Changes) -> list[ET.Element]:
    """`<serial>`, `<parallel>`, `<console>` and `<channel>` elements, the agent's channel among them."""
    made: list[ET.Element] = []
    for tag in ("serial", "parallel", "console"):
        made.extend(_port(element, noted) for element in recorded.iterfind(f"devices/{tag}"))
    channels = [channel for element in recorded.iterfind("devices/channel") for channel in _channel(element, noted)]
    if not any(_target_name(channel) == facts.AGENT_CHANNEL for channel in channels):
        channels.append(_agent_channel())
        noted.add(
            "agent's channel", was="none", now=facts.AGENT_CHANNEL, why="a new server is asked through it how it is"
        )
    return made + channels


def _port(element: ET.Element, noted: changes.Changes) -> ET.Element:
    kind = element.get("type", "pty")
    made = ET.Element(element.tag, type=kind if kind in _PLAIN_PORTS else "pty")
    made.extend(_guest_side(element))
    # A console on a serial port is that port told twice.
    target = element.find("target")
    is_repeated = element.tag == "console" and (target is None or target.get("type", "serial") == "serial")
    if is_repeated:
        return made
    name = f"{element.tag} port {target.get('port', '0') if target is not None else '0'}"
    if kind not in _PLAIN_PORTS:
        noted.add(name, was=kind, now="pty", why=changes.HOSTS_OWN)
    if element.find("log") is not None:
        noted.leave_out(f"log of {name}")
    return made


def _channel(element: ET.Element, noted: changes.Changes) -> Iterator[ET.Element]:
    kind, name = element.get("type", ""), _target_name(element)
    target = element.find("target")
    if kind in {"spicevmc", "spiceport", "qemu-vdagent", "dbus"} or target is None or target.get("type") != "virtio":
        noted.leave_out(f"channel {name or kind}", why="it ends on the recorded host")
        return
    made = ET.Element("channel", type=kind if kind in _PLAIN_CHANNELS else "unix")
    made.extend(_guest_side(element))
    source = element.find("source")
    path = source.get("path", "") if source is not None else ""
    if made.get("type") != kind or (kind == "unix" and path and not path.startswith(_GENERATED)):
        noted.add(f"channel {name}", was=f"{kind} {path}".rstrip(), now=str(made.get("type")), why=changes.HOSTS_OWN)
    yield made


def _guest_side(element: ET.Element) -> Iterator[ET.Element]:
    for target in element.iterfind("target"):
        yield _TARGET.copy(target)[0]
    for address in element.iterfind("address"):
        yield shape.ADDRESS.copy(address)[0]


def _target_name(element: ET.Element) -> str:
    target = element.find("target")
    return "" if target is None else target.get("name", "")


def _agent_channel() -> ET.Element:
    element = ET.Element("channel", type="unix")
    ET.SubElement(element, "target", type="virtio", name=facts.AGENT_CHANNEL)
    return element
