"""Volumes of a rebuilt server."""

from __future__ import annotations

import itertools
import string
import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from estampe.virt import base
from estampe.virt.domain_xml import changes, left_out, plain_server, processor, shape

# Dropped without a word: replaced by what the new volume is, or libvirt's own notes.
_REPLACED: Final = frozenset(
    {
        "@type", "@device", "@snapshot", "driver/@name", "driver/@type", "source", "target/@dev", "target/@bus",
        "serial", "boot", "backingStore",
    }
)  # fmt: skip


def build(recorded: ET.Element, new: base.NewDomain, noted: changes.Changes) -> list[ET.Element]:
    """All `<disk>` elements: the new volumes with the traits that the guest saw, then the seed."""
    before = {_target(element): element for element in recorded.iterfind("devices/disk")}
    made = [_disk(volume, before.get(volume.target), recorded, noted) for volume in new.volumes]
    if new.seed_path is not None:
        made.append(_seed(new.seed_path, _taken_targets(new.volumes)))
    _note_missing(before, new, noted)
    return made


def _target(element: ET.Element) -> str:
    target = element.find("target")
    return "" if target is None else target.get("dev", "")


def _disk(
    volume: base.NewVolume, before: ET.Element | None, recorded: ET.Element, noted: changes.Changes
) -> ET.Element:
    made = plain_server.disk(volume)
    if before is None:
        return made
    traits, dropped = shape.DISK.copy(before)
    _note_dropped(volume, before, dropped, noted)
    recorded_bus = _bus(before)
    for trait in traits:
        if trait.tag == "driver":
            made.find("driver").attrib.update(_driver(trait, volume, recorded, noted))  # type: ignore[union-attr]
        elif trait.tag == "target":
            made.find("target").attrib.update(trait.attrib)  # type: ignore[union-attr]
        elif trait.tag != "address" or recorded_bus == volume.bus:
            made.append(trait)
    if recorded_bus == volume.bus and traits.get("model"):
        made.set("model", traits.get("model", ""))
    return made


def _bus(element: ET.Element) -> str:
    target = element.find("target")
    return "" if target is None else target.get("bus", "")


def _driver(trait: ET.Element, volume: base.NewVolume, recorded: ET.Element, noted: changes.Changes) -> dict[str, str]:
    kept = dict(trait.attrib)
    thread = kept.get("iothread")
    why = None if thread is None else processor.iothread_problem(recorded, thread)
    if thread is not None and why is not None:
        del kept["iothread"]
        noted.leave_out(f"I/O thread of volume {volume.target}", was=thread, why=why)
    return kept


def _note_dropped(volume: base.NewVolume, before: ET.Element, dropped: list[str], noted: changes.Changes) -> None:
    for name in dropped:
        if name in _REPLACED:
            continue
        was = "set"
        if name.startswith("driver/@"):
            driver = before.find("driver")
            was = driver.get(name.removeprefix("driver/@"), "set") if driver is not None else was
        what = f"{name.replace('/@', ' ').removeprefix('@')} of volume {volume.target}"
        noted.leave_out(what, was=was, why="it is tuned to the storage it was recorded on")


def _seed(path: str, taken: set[str]) -> ET.Element:
    """First-boot data, on virtio: kernels made for clouds have no AHCI."""
    virtio = {target for target in taken if target.startswith("vd")}  # whatever is on other buses is in nobody's way
    element = ET.Element("disk", type="file", device="disk")
    ET.SubElement(element, "driver", name="qemu", type="raw")
    ET.SubElement(element, "source", file=path)
    ET.SubElement(element, "target", dev=next(free_targets(virtio)), bus="virtio")
    ET.SubElement(element, "readonly")
    return element


def letters(target: str) -> str:
    """`a` of vda, sda, hda: libvirt names a device on its bus by them, so a bus can have them once (libvirt 9.0)."""
    return target.removeprefix("x")[2:]


def _taken_targets(given: Sequence[base.NewVolume]) -> set[str]:
    """All targets; of a volume that has come to virtio from another bus, also what virtio would call it."""
    return {volume.target for volume in given} | {f"vd{letters(each.target)}" for each in given if each.bus == "virtio"}


def free_targets(taken: Collection[str], *, like: str = "vda") -> Iterator[str]:
    """Names of `like`'s bus after the last one that is taken, by its letters on whichever bus: vda ... vdz, vdaa ..."""
    alphabet, own = string.ascii_lowercase, letters(like)
    names = ["".join(each) for size in (1, 2) for each in itertools.product(alphabet, repeat=size)]
    last = max((names.index(letters(target)) for target in taken if letters(target) in names), default=-1)
    return (f"{like.removesuffix(own)}{name}" for name in names[last + 1 :])


def _note_missing(before: dict[str, ET.Element], new: base.NewDomain, noted: changes.Changes) -> None:
    given = {volume.target for volume in new.volumes} | set(new.left_out)
    for target, element in before.items():
        if target not in given:
            reason = left_out.disk(element)
            why = "the template does not hold it" if reason is None else f"it {reason.why}"
            noted.leave_out(left_out.disk_name(element), why=why)


def boot_orders(new: base.NewDomain) -> set[str]:
    """The places in the boot order that volumes take."""
    return {str(volume.boot_order) for volume in new.volumes if volume.boot_order is not None}
