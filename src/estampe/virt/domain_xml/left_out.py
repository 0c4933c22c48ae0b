"""What of a server a template does not hold, and why: in words for the plan and the template."""

from __future__ import annotations

import enum
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from estampe.model import configuration

_READ_TYPES: Final = {"file", "block", "volume"}
_READ_FORMATS: Final = {"raw", "qcow2"}


class Kind(enum.Enum):
    """Why a disk is left out, by what it means for the server."""

    NOT_ITS_OWN = enum.auto()  # media, shared or passed-through things: a clone is whole without them
    UNREADABLE = enum.auto()  # the server's own data, which Estampe cannot read


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a disk is left out; `why` goes on from its name."""

    kind: Kind
    why: str


def disk(element: ET.Element) -> Reason | None:
    """Why a `<disk>` is left out, or None where it can be captured."""
    return _not_its_own(element) or _unreadable(element)


def _not_its_own(element: ET.Element) -> Reason | None:
    device = element.get("device", "disk")
    if device in {"cdrom", "floppy"}:
        return Reason(Kind.NOT_ITS_OWN, "is removable media")
    if device == "lun":
        return Reason(Kind.NOT_ITS_OWN, "is a SCSI device of the host passed through")
    reasons = {
        "readonly": "is read-only to the server",
        "shareable": "is shared with other servers",
        "transient": "loses its changes at each stop of the server",
    }
    for tag, why in reasons.items():
        if element.find(tag) is not None:
            return Reason(Kind.NOT_ITS_OWN, why)
    return None


def _unreadable(element: ET.Element) -> Reason | None:
    kind = element.get("type", "file")
    source = element.find("source")
    if kind not in _READ_TYPES:
        protocol = source.get("protocol", "") if source is not None else ""
        return Reason(
            Kind.UNREADABLE,
            f"is of the kind {kind} {protocol}".rstrip() + ", and Estampe reads files and block devices",
        )
    if source is None:
        return Reason(Kind.NOT_ITS_OWN, "has no medium")
    if kind == "volume" and source.get("mode") == "direct":
        return Reason(Kind.UNREADABLE, "is reached over the network by QEMU, and Estampe reads files and block devices")
    return _unreadable_content(element)


def _unreadable_content(element: ET.Element) -> Reason | None:
    if next(element.iter("encryption"), None) is not None:
        return Reason(Kind.UNREADABLE, "is encrypted, and Estampe has no key for it")
    if next(element.iter("slices"), None) is not None:
        return Reason(Kind.UNREADABLE, "is a slice of a larger file or device, and Estampe reads whole ones")
    driver = element.find("driver")
    volume_format = driver.get("type", "raw") if driver is not None else "raw"
    if volume_format not in _READ_FORMATS:
        return Reason(Kind.UNREADABLE, f"has the format {volume_format}, and Estampe reads raw and qcow2")
    return None


def disk_name(element: ET.Element) -> str:
    """`CD-ROM sda`, `floppy fda`, `volume vdb`."""
    target = element.find("target")
    words = {"cdrom": "CD-ROM", "floppy": "floppy"}
    dev = target.get("dev", "?") if target is not None else "?"
    return f"{words.get(element.get('device', 'disk'), 'volume')} {dev}"


def devices(element: ET.Element) -> Iterator[configuration.LeftOut]:
    """Devices that are the host's, not the server's."""
    for hostdev in element.iterfind("hostdev"):
        yield _left_out(f"host device {_hostdev_name(hostdev)}", "it is a device of the host")
    for interface in element.iterfind("interface[@type='hostdev']"):
        yield _left_out(f"host network device {_hostdev_name(interface)}", "it is a device of the host")
    for filesystem in element.iterfind("filesystem"):
        target = filesystem.find("target")
        name = target.get("dir", "?") if target is not None else "?"
        yield _left_out(f"shared directory {name}", "it lies on the host, not in the server's volumes")
    for tpm in element.iterfind("tpm"):
        backend = tpm.find("backend")
        kind = backend.get("type", "?") if backend is not None else "?"
        what = f"TPM ({kind})"
        is_emulated = what == configuration.EMULATED_TPM
        why = (
            "its keys were not asked for: a new server gets an empty one"
            if is_emulated
            else "it is the host's own: a new server gets none"
        )
        yield _left_out(what, why)
    for memory in element.iterfind("memory"):
        if memory.get("model") in {"nvdimm", "virtio-pmem"}:
            yield _left_out(f"{memory.get('model')} memory", "it lies on the host, not in the server's volumes")
    for shmem in element.iterfind("shmem"):
        yield _left_out(f"shared memory {shmem.get('name', '?')}", "it is shared with the host or other servers")


def boot_files(root: ET.Element) -> Iterator[configuration.LeftOut]:
    """Files of the host that the server boots from."""
    for tag in ("kernel", "initrd", "dtb"):
        path = (root.findtext(f"os/{tag}") or "").strip()
        if path:
            yield _left_out(f"{tag} {path}", "it is a file of the host; a new server boots from its volumes")


def _left_out(what: str, why: str) -> configuration.LeftOut:
    return configuration.LeftOut(what=what, why=why)


def _hostdev_name(element: ET.Element) -> str:
    """`pci 0000:01:00.0`, `usb 0x1234:0xbeef`, or the kind alone."""
    kind = element.get("type") or element.get("mode") or "?"
    address = element.find("source/address")
    if address is not None and address.get("domain") is not None and address.get("slot") is not None:
        numbers = [int(address.get(key, "0"), 16) for key in ("domain", "bus", "slot", "function")]
        return "pci {:04x}:{:02x}:{:02x}.{:x}".format(*numbers)
    vendor, product = element.find("source/vendor"), element.find("source/product")
    if vendor is not None and product is not None:
        return f"{kind} {vendor.get('id')}:{product.get('id')}"
    return kind
