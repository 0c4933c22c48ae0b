"""The screen and the serial console of a running server, in its live XML: which device it is, or why there is none."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from estampe import errors
from estampe.model import terminal
from estampe.virt.domain_xml import document


def check(live: str, kind: terminal.Kind) -> None:
    """Raises: errors.NoScreen, errors.NoSerialConsole, errors.DomainXmlInvalid."""
    if kind is terminal.Kind.SCREEN:
        screen_index(live)
    else:
        _check_serial(document.read(live))


def screen_index(live: str) -> int:
    """The place of the first VNC display among all displays. Raises: errors.NoScreen, errors.DomainXmlInvalid."""
    root = document.read(live)
    displays = [element.get("type", "?") for element in root.iterfind("devices/graphics")]
    if "vnc" not in displays:
        has = f"only {', '.join(displays)}" if displays else "no graphics device at all"
        raise errors.NoScreen(server=_name(root), has=has)
    return displays.index("vnc")


def _check_serial(root: ET.Element) -> None:
    """What is opened is the first console, else the first serial port (libvirt's qemuDomainOpenConsole), and only as a pseudo-terminal."""
    ports = root.findall("devices/console") or root.findall("devices/serial")
    kind = ports[0].get("type", "pty") if ports else None
    if kind != "pty":
        has = "no serial port" if kind is None else f"a serial port that goes elsewhere ({kind})"
        raise errors.NoSerialConsole(server=_name(root), has=has)


def _name(root: ET.Element) -> str:
    return (root.findtext("name") or "?").strip()
