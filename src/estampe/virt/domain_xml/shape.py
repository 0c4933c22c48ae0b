"""Copies of recorded elements that hold only what is known to be harmless.

Recorded XML may come from another host, or from another account: a path in it would be opened, or run, by libvirt as root. So
what is kept is listed; everything else is dropped, and told.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

ANY: Final = "*"  # in place of a child's name
_SILENT: Final = frozenset({"alias"})  # names that libvirt gives anew


@dataclass(frozen=True, slots=True)
class Shape:
    """What of an element is kept: attributes, children, text."""

    attributes: frozenset[str]
    children: Mapping[str, Shape] = field(default_factory=dict)
    has_text: bool = False

    def copy(self, element: ET.Element) -> tuple[ET.Element, list[str]]:
        """The copy, and the names of what it lacks: `@attribute`, `child`, `child/@attribute`."""
        made = ET.Element(element.tag)
        dropped = [f"@{name}" for name in element.attrib if name not in self.attributes]
        made.attrib.update({name: value for name, value in element.attrib.items() if name in self.attributes})
        if self.has_text:
            made.text = (element.text or "").strip()
        for child in element:
            shape = self.children.get(child.tag, self.children.get(ANY))
            if shape is not None:
                copied, missing = shape.copy(child)
                made.append(copied)
                dropped += [f"{child.tag}/{name}" for name in missing]
            elif child.tag not in _SILENT:
                dropped.append(child.tag)
        return made, dropped


def shape(attributes: str = "", *, has_text: bool = False, **children: Shape) -> Shape:
    """A shape; `attributes` separated by spaces. A child named `any` stands for every child."""
    if "any" in children:
        children[ANY] = children.pop("any")
    return Shape(frozenset(attributes.split()), children, has_text)


_ADDRESS: Final = shape(
    "type domain bus slot function multifunction controller target unit port iobase irq base reg cssid ssid devno",
    zpci=shape("uid fid"),
)
_VIRTIO: Final = "iommu ats packed page_per_vq"

ADDRESS: Final = _ADDRESS
TEXT: Final = shape(has_text=True)
DEVICES: Final[Mapping[str, Shape]] = {
    "controller": shape(
        "type index model ports vectors maxEventChannels",
        address=_ADDRESS,
        model=shape("name"),
        target=shape("chassisNr chassis port busNr index hotplug", node=TEXT),
        driver=shape(f"queues cmd_per_lun max_sectors ioeventfd iothread {_VIRTIO}"),
        master=shape("startport"),
        pcihole64=shape("unit", has_text=True),
    ),
    "input": shape("type bus model", address=_ADDRESS, driver=shape(_VIRTIO)),
    "video": shape(
        address=_ADDRESS,
        driver=shape(_VIRTIO),
        model=shape("type vram ram vgamem vram64 heads primary", resolution=shape("x y")),
    ),
    "sound": shape("model", address=_ADDRESS, codec=shape("type")),
    "watchdog": shape("model action", address=_ADDRESS),
    "memballoon": shape(
        "model autodeflate freePageReporting", address=_ADDRESS, stats=shape("period"), driver=shape(_VIRTIO)
    ),
    "panic": shape("model", address=_ADDRESS),
    "rng": shape("model", address=_ADDRESS, rate=shape("bytes period"), driver=shape(_VIRTIO)),
    "iommu": shape("model", address=_ADDRESS, driver=shape("intremap caching_mode eim iotlb aw_bits")),
    "hub": shape("type", address=_ADDRESS),
}
DISK: Final = shape(
    "model",
    address=_ADDRESS,
    blockio=shape("logical_block_size physical_block_size discard_granularity"),
    driver=shape(
        "discard detect_zeroes queues queue_size iothread ioeventfd event_idx error_policy rerror_policy " + _VIRTIO
    ),
    target=shape("rotation_rate removable"),
    vendor=TEXT,
    product=TEXT,
    wwn=TEXT,
)
INTERFACE: Final = shape(
    address=_ADDRESS,
    acpi=shape("index"),
    boot=shape("order"),
    driver=shape(
        f"queues rx_queue_size tx_queue_size ioeventfd event_idx txmode {_VIRTIO}",
        host=shape("csum gso tso4 tso6 ecn ufo mrg_rxbuf"),
        guest=shape("csum tso4 tso6 ecn ufo"),
    ),
    link=shape("state"),
    rom=shape("bar enabled"),
)
CPU: Final = shape(
    "mode match migratable",
    model=shape("fallback vendor_id", has_text=True),
    vendor=TEXT,
    feature=shape("policy name"),
    cache=shape("mode level"),
    maxphysaddr=shape("mode bits limit"),
)
NUMA: Final = shape(cell=shape("id cpus memory unit", distances=shape(sibling=shape("id value"))))
_STATE: Final = shape("state")
FEATURES: Final = shape(
    acpi=shape(),
    apic=shape("eoi"),
    pae=shape(),
    hap=_STATE,
    hyperv=shape("mode", any=shape("state retries value", direct=_STATE)),
    kvm=shape(any=_STATE),
    pvspinlock=_STATE,
    pmu=_STATE,
    vmport=_STATE,
    ps2=_STATE,
    smm=shape("state", tseg=shape("unit", has_text=True)),
    ioapic=shape("driver"),
    gic=shape("version"),
    vmcoreinfo=_STATE,
)
CLOCK: Final = shape(
    "offset adjustment basis timezone",
    timer=shape("name tickpolicy track mode present frequency", catchup=shape("threshold slew limit")),
)
POWER_MANAGEMENT: Final = shape(any=shape("enabled"))
SYSTEM_INFORMATION: Final = shape("type", any=shape(entry=shape("name", has_text=True)))
