"""A plain domain's XML: the smallest server that libvirt starts, with given volumes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence

from estampe.virt import base

_MEMORY_MIB = 64


def plain(
    name: str,
    uuid: str,
    volumes: Sequence[base.NewVolume] = (),
    *,
    domain_type: str = "qemu",
    machine: str = "pc-q35-7.2",
    memory_mib: int = _MEMORY_MIB,
    cpus: int = 1,
    has_terminals: bool = False,
) -> str:
    """XML of a BIOS server with one CPU unless told otherwise, no network and an agent channel.

    `has_terminals`: a screen that listens nowhere, and a serial console; the firmware speaks on both.
    """
    root = ET.Element("domain", type=domain_type)
    ET.SubElement(root, "name").text = name
    ET.SubElement(root, "uuid").text = uuid
    ET.SubElement(root, "memory", unit="MiB").text = str(memory_mib)
    ET.SubElement(root, "vcpu").text = str(cpus)
    system = ET.SubElement(root, "os")
    ET.SubElement(system, "type", arch="x86_64", machine=machine).text = "hvm"
    if has_terminals:
        ET.SubElement(system, "bios", useserial="yes")
    ET.SubElement(ET.SubElement(root, "features"), "acpi")
    devices = ET.SubElement(root, "devices")
    devices.extend(disk(volume) for volume in volumes)
    channel = ET.SubElement(devices, "channel", type="unix")
    ET.SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    if has_terminals:
        devices.extend(_terminals())
    return ET.tostring(root, encoding="unicode")


def _terminals() -> Iterator[ET.Element]:
    display = ET.Element("graphics", type="vnc")
    ET.SubElement(display, "listen", type="none")
    yield display
    video = ET.Element("video")
    ET.SubElement(video, "model", type="vga")
    yield video
    yield ET.Element("serial", type="pty")


def disk(volume: base.NewVolume) -> ET.Element:
    """The `<disk>` of a volume, without traits of an earlier one."""
    element = ET.Element("disk", type="block" if volume.is_block_device else "file", device="disk")
    ET.SubElement(element, "driver", name="qemu", type=volume.format.value)
    ET.SubElement(element, "source", {"dev" if volume.is_block_device else "file": volume.path})
    ET.SubElement(element, "target", dev=volume.target, bus=volume.bus)
    if volume.serial:
        ET.SubElement(element, "serial").text = volume.serial
    if volume.boot_order is not None:
        ET.SubElement(element, "boot", order=str(volume.boot_order))
    return element
