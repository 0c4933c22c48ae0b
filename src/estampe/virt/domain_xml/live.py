"""What a running server has otherwise than its definition: gone, or another, after its next start."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Final

from estampe.virt.domain_xml import document, left_out

_PLACE: Final = (
    "file",
    "dev",
    "pool",
    "volume",
    "protocol",
    "name",
)  # attributes of <source>; the live one has others, too


def live_only(live: str, inactive: str) -> tuple[str, ...]:
    """The names of its own volumes that the live XML has and the inactive one has not, or elsewhere. Raises: errors.DomainXmlInvalid."""
    kept = {_place(disk) for disk in document.read(inactive).iterfind("devices/disk")}
    running = document.read(live).iterfind("devices/disk")
    return tuple(left_out.disk_name(disk) for disk in running if _is_its_own(disk) and _place(disk) not in kept)


def _is_its_own(disk: ET.Element) -> bool:
    """Not a CD-ROM and its like, whose media come and go."""
    reason = left_out.disk(disk)
    return reason is None or reason.kind is left_out.Kind.UNREADABLE


def _place(disk: ET.Element) -> tuple[str | None, ...]:
    target, source = disk.find("target"), disk.find("source")
    where = [None if source is None else source.get(attribute) for attribute in _PLACE]
    return (None if target is None else target.get("dev"), disk.get("type"), *where)
