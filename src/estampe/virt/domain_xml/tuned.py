"""Tuned settings put on a rebuilt server's XML.

They come last, on the finished tree: what a record and a host give is one thing, what was asked for on top of it another. Every
value is one that `model.characteristics` knows, none comes from the record.

libvirt's format: https://libvirt.org/formatdomain.html ("Hard drives", "Virtio-related options", "IOThreads Allocation").
"""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from typing import Final

from estampe.virt import base
from estampe.virt.domain_xml import changes, document

_HOST_MODES: Final = ("host-passthrough", "host-model", "maximum")
_SCSI_MODEL: Final = "virtio-scsi"
# Of a <driver> on virtio only, of a <disk> on SCSI only: libvirt refuses them on any other bus.
_VIRTIO_ONLY: Final = (
    "queues",
    "queue_size",
    "iothread",
    "ioeventfd",
    "event_idx",
    "iommu",
    "ats",
    "packed",
    "page_per_vq",
)
_SCSI_ONLY: Final = ("vendor", "product", "wwn")
_SCSI_TARGET_ONLY: Final = ("rotation_rate", "removable")
_KEPT_OF_CPU: Final = ("topology", "numa")


def read_virtio_scsi(recorded_xml: str) -> dict[str, str]:
    """The index of the virtio-scsi controller of each volume that is on one, by target. Raises: errors.DomainXmlInvalid."""
    return virtio_scsi_controllers(document.read(recorded_xml))


def virtio_scsi_controllers(recorded: ET.Element) -> dict[str, str]:
    """As `read_virtio_scsi`, of a tree."""
    indexes = {element.get("index", "0") for element in _scsi_controllers(recorded)}
    found = {}
    for disk in recorded.iterfind("devices/disk"):
        target, address = disk.find("target"), disk.find("address")
        index = "0" if address is None else address.get("controller", "0")
        if target is not None and target.get("bus") == "scsi" and index in indexes:
            found[target.get("dev", "")] = index
    return found


def _scsi_controllers(root: ET.Element) -> list[ET.Element]:
    found = root.iterfind("devices/controller[@type='scsi']")
    return [element for element in found if element.get("model") == _SCSI_MODEL]


def apply(root: ET.Element, recorded: ET.Element, new: base.NewDomain, noted: changes.Changes) -> None:
    """Put the tuned settings on the finished `root`. Raises: ValueError where they do not fit the new domain."""
    disks = _volumes(root)
    _move_to_their_buses(root, recorded, disks, noted)
    tuning = new.tuning
    if tuning is None:
        return
    _check(tuning, new)
    _tune_storage(disks, tuning, noted)
    takers = [_driver(taker) for taker in _queue_takers(root, disks)]
    if tuning.queues is not None:
        for driver in takers:
            driver.set("queues", str(tuning.queues))
    if tuning.io_threads is not None:
        _give_threads(root, takers, tuning.io_threads)
    if tuning.interface_queues is not None:
        _tune_interfaces(root, tuning.interface_queues)
    if tuning.cpu is not None:
        _replace_cpu(root, tuning.cpu, noted)
    _tune_devices(root, tuning)


def _check(tuning: base.Tuning, new: base.NewDomain) -> None:
    for queues in (tuning.queues, tuning.interface_queues):
        if queues is not None and not 1 <= queues <= new.cpus:
            raise ValueError(f"{queues} queues do not fit {new.cpus} CPUs")
    if tuning.io_threads is not None and tuning.io_threads < 1:
        raise ValueError("there must be an I/O thread, or nothing said of them")
    if tuning.io == "native" and tuning.cache not in {"none", "directsync"}:
        raise ValueError("native I/O needs the cache none or directsync")


def _volumes(root: ET.Element) -> dict[str, ET.Element]:
    """The server's own volumes by target: all disks but the seed."""
    return {target: disk for target, disk in _disks(root) if disk.find("readonly") is None}


def _disks(root: ET.Element) -> Iterator[tuple[str, ET.Element]]:
    for disk in root.iterfind("devices/disk"):
        target = disk.find("target")
        if target is not None:
            yield target.get("dev", ""), disk


def _driver(element: ET.Element) -> ET.Element:
    found = element.find("driver")
    return ET.SubElement(element, "driver") if found is None else found


def _target(disk: ET.Element) -> ET.Element:
    found = disk.find("target")
    return ET.Element("target") if found is None else found


def _bus(disk: ET.Element) -> str:
    return _target(disk).get("bus", "")


def _devices(root: ET.Element) -> ET.Element:
    found = root.find("devices")
    return ET.SubElement(root, "devices") if found is None else found


# --- buses ----------------------------------------------------------------------------------------------------------


def _move_to_their_buses(
    root: ET.Element, recorded: ET.Element, disks: Mapping[str, ET.Element], noted: changes.Changes
) -> None:
    """Make volumes whose bus is not the recorded one what that bus takes; those new to SCSI get a controller of their own."""
    before = {target: _bus(disk) for target, disk in _disks(recorded) if _bus(disk)}
    moved = {target: disk for target, disk in disks.items() if before.get(target, _bus(disk)) != _bus(disk)}
    for target, disk in moved.items():
        _drop_traits(target, disk, noted)
    newcomers = [disk for disk in moved.values() if _bus(disk) == "scsi"]
    if newcomers:
        controller = _add_scsi_controller(root)
        for unit, disk in enumerate(newcomers):
            # By address: libvirt would count units by the target's letter, and `vda` and `sda` are the same one.
            ET.SubElement(disk, "address", type="drive", controller=controller, bus="0", target="0", unit=str(unit))


def _drop_traits(target: str, disk: ET.Element, noted: changes.Changes) -> None:
    """What only the recorded bus has."""
    why = f"it is not on the bus {_bus(disk)}"
    if _bus(disk) != "virtio":
        for name in _VIRTIO_ONLY:
            was = _driver(disk).attrib.pop(name, None)
            if was is not None:
                noted.leave_out(f"driver {name} of volume {target}", was=was, why=why)
    if _bus(disk) != "scsi":
        for name in _SCSI_ONLY:
            element = disk.find(name)
            if element is not None:
                disk.remove(element)
                noted.leave_out(f"{name} of volume {target}", was=element.text or "set", why=why)
        for name in _SCSI_TARGET_ONLY:
            was = _target(disk).attrib.pop(name, None)
            if was is not None:
                noted.leave_out(f"target {name} of volume {target}", was=was, why=why)


def _add_scsi_controller(root: ET.Element) -> str:
    taken = {int(element.get("index", "0")) for element in root.iterfind("devices/controller[@type='scsi']")}
    index = str(max(taken, default=-1) + 1)
    ET.SubElement(_devices(root), "controller", type="scsi", index=index, model=_SCSI_MODEL)
    return index


# --- volumes --------------------------------------------------------------------------------------------------------


def _tune_storage(disks: Mapping[str, ET.Element], tuning: base.Tuning, noted: changes.Changes) -> None:
    asked = {"cache": tuning.cache, "io": tuning.io, "discard": tuning.discard}
    for target, disk in disks.items():
        for name, value in asked.items():
            if value is not None:
                _driver(disk).set(name, value)
                noted.forget(f"driver {name} of volume {target}")  # not left out: asked for


def _queue_takers(root: ET.Element, disks: Mapping[str, ET.Element]) -> list[ET.Element]:
    """What has queues and an I/O thread: virtio-blk volumes, and the virtio-scsi controllers that hold volumes."""
    indexes = set(virtio_scsi_controllers(root).values())
    controllers = [element for element in _scsi_controllers(root) if element.get("index", "0") in indexes]
    return [*(disk for disk in disks.values() if _bus(disk) == "virtio"), *controllers]


def _give_threads(root: ET.Element, takers: list[ET.Element], count: int) -> None:
    """As many I/O threads, dealt out in turn; a recorded number of them was for another server."""
    element = root.find("iothreads")
    element = ET.SubElement(root, "iothreads") if element is None else element
    element.text = str(count)
    for driver in root.iter("driver"):
        if "iothread" in driver.attrib:  # of a controller without volumes: it may name a thread that is no more
            driver.set("iothread", "1")
    for driver, thread in zip(takers, itertools.cycle(range(1, count + 1)), strict=False):
        driver.set("iothread", str(thread))


# --- the rest -------------------------------------------------------------------------------------------------------


def _tune_interfaces(root: ET.Element, queues: int) -> None:
    for interface in root.iterfind("devices/interface"):
        model = interface.find("model")
        if model is not None and model.get("type") == "virtio":
            _driver(interface).set("queues", str(queues))


def _replace_cpu(root: ET.Element, name: str, noted: changes.Changes) -> None:
    before = root.find("cpu")
    before = ET.SubElement(root, "cpu") if before is None else before
    made = ET.Element("cpu", mode=name if name in _HOST_MODES else "custom")
    if made.get("mode") == "custom":
        made.set("match", "exact")
        ET.SubElement(made, "model", fallback="forbid").text = name
    made.extend(each for each in before if each.tag in _KEPT_OF_CPU)
    for feature in before.iterfind("feature"):
        noted.leave_out(
            f"CPU feature {feature.get('name')}",
            was=feature.get("policy", "require"),
            why="the tuned CPU takes its place",
        )
    noted.forget("CPU")
    before.clear()
    before.attrib.update(made.attrib)
    before.extend(made)


def _tune_devices(root: ET.Element, tuning: base.Tuning) -> None:
    devices = _devices(root)
    present = devices.findall("rng")
    if tuning.has_rng is True and not present:
        made = ET.SubElement(devices, "rng", model="virtio")
        ET.SubElement(made, "backend", model="random").text = "/dev/urandom"
    elif tuning.has_rng is False:
        for element in present:
            devices.remove(element)
    if tuning.balloon is not None:
        _set_balloon(devices, tuning.balloon)


def _set_balloon(devices: ET.Element, balloon: str) -> None:
    before = devices.find("memballoon")
    made = ET.Element("memballoon", model="none" if balloon == "none" else "virtio")
    if balloon == "free-page-reporting":
        made.set("freePageReporting", "on")
    if before is not None:
        is_virtio = before.get("model", "").startswith(
            "virtio"
        )  # also virtio-transitional, which an old guest may need
        if balloon != "none" and is_virtio:
            made.set("model", before.get("model", ""))
            made.extend(before)  # its place on the bus
        devices.remove(before)
    devices.append(made)
