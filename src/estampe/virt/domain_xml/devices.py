"""Devices of a rebuilt server other than volumes and interfaces."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Final

from estampe.virt import base
from estampe.virt.domain_xml import changes, character, facts, processor, shape

_ELSEWHERE: Final = frozenset({"disk", "interface", "serial", "parallel", "console", "channel"})
_DEFAULT_EMULATORS: Final = ("/usr/bin/qemu-", "/usr/libexec/qemu-", "/usr/bin/kvm")
_INPUTS: Final = {"tablet", "mouse", "keyboard"}
_RANDOM_SOURCES: Final = {"/dev/urandom", "/dev/random"}
_WATCHDOG_ACTIONS: Final = {"reset", "shutdown", "poweroff", "pause", "none", "inject-nmi"}  # dump writes on the host
_LOOPBACK: Final = "127.0.0.1"


def build(
    recorded: ET.Element, new: base.NewDomain, capabilities: base.Capabilities, noted: changes.Changes
) -> list[ET.Element]:
    """What the record has, in its order, as far as it is the server's and not the host's; and an agent's channel."""
    made: list[ET.Element] = []
    for element in recorded.iterfind("devices/*"):
        if element.tag == "tpm":
            made.extend(_tpm(element, new, capabilities, noted))
        elif element.tag not in _ELSEWHERE:
            made.extend(_device(element, capabilities, noted))
    _fit_threads(made, recorded, noted)
    made.extend(_graphics(recorded, noted))
    made.extend(character.build(recorded, noted))
    return made


def _fit_threads(made: list[ET.Element], recorded: ET.Element, noted: changes.Changes) -> None:
    for controller in made:
        driver = controller.find("driver")
        thread = None if driver is None else driver.get("iothread")
        why = None if thread is None else processor.iothread_problem(recorded, thread)
        if driver is not None and thread is not None and why is not None:
            del driver.attrib["iothread"]
            what = f"I/O thread of {_name(controller)} {controller.get('index', '0')}"
            noted.leave_out(what, was=thread, why=why)


def _device(element: ET.Element, capabilities: base.Capabilities, noted: changes.Changes) -> Iterator[ET.Element]:
    match element.tag:
        case "emulator":
            path = (element.text or "").strip()
            if not path.startswith(_DEFAULT_EMULATORS):
                noted.add("emulator", was=path, now="this host's", why="it is a program of the recorded host")
        case "graphics":
            pass  # together, below
        case "audio":
            if element.get("type") != "none":
                noted.leave_out("audio output", was=element.get("type", "?"))
        case tag if tag in shape.DEVICES:
            yield from _kept(element, capabilities, noted)
        case _:
            noted.leave_out(_name(element))


def _kept(element: ET.Element, capabilities: base.Capabilities, noted: changes.Changes) -> Iterator[ET.Element]:
    copied, dropped = shape.DEVICES[element.tag].copy(element)
    silent = {"sound": {"audio"}, "rng": {"backend"}, "video": {"driver/@name"}}.get(element.tag, set())
    for name in dropped:
        if name not in silent:
            noted.leave_out(f"{name.replace('/@', ' ').removeprefix('@')} of {_name(element)}")
    match element.tag:
        case "input" if element.get("type") not in _INPUTS:
            noted.leave_out(_name(element))
            return
        case "watchdog" if element.get("model") == "itco":
            # Part of every q35 chipset. libvirt writes it down since 9.1, of itself, and refuses it before.
            noted.leave_out(_name(element), why="it is part of the machine type; libvirt adds it where it knows it")
            return
        case "rng":
            copied.append(_random_source(element, noted))
        case "video":
            _fit_video(copied, capabilities, noted)
        case "watchdog" if copied.get("action", "reset") not in _WATCHDOG_ACTIONS:
            noted.add("watchdog's action", was=copied.get("action", ""), now="reset", why=changes.HOSTS_OWN)
            copied.set("action", "reset")
    yield copied


def _name(element: ET.Element) -> str:
    """`hostdev pci`, `redirdev spicevmc`, `controller usb`: for people."""
    detail = element.get("type") or element.get("model") or element.get("mode") or element.get("name")
    return f"{element.tag} {detail}" if detail else element.tag


def _random_source(element: ET.Element, noted: changes.Changes) -> ET.Element:
    backend = element.find("backend")
    kind = backend.get("model", "random") if backend is not None else "random"
    made = ET.Element("backend", model="builtin" if kind == "builtin" else "random")
    if kind == "builtin":
        return made
    path = (backend.text or "").strip() if backend is not None else ""
    made.text = path if path in _RANDOM_SOURCES else "/dev/urandom"
    if kind != "random" or (path and path != made.text):
        noted.add("source of random numbers", was=path or kind, now=made.text, why=changes.HOSTS_OWN)
    return made


def _fit_video(video: ET.Element, capabilities: base.Capabilities, noted: changes.Changes) -> None:
    model = video.find("model")
    if model is None or not capabilities.video_models or model.get("type") in capabilities.video_models:
        return
    now = "vga" if "vga" in capabilities.video_models else "virtio"
    noted.add("video card", was=model.get("type", "?"), now=now, why="this host's QEMU does not have it")
    primary = model.get("primary")
    model.attrib.clear()
    model.set("type", now)
    if primary is not None:
        model.set("primary", primary)


def _tpm(
    element: ET.Element, new: base.NewDomain, capabilities: base.Capabilities, noted: changes.Changes
) -> Iterator[ET.Element]:
    backend = element.find("backend")
    kind = backend.get("type", "?") if backend is not None else "?"
    if kind != "emulator" or not capabilities.has_tpm_emulator or backend is None:
        why = "this host emulates none (install swtpm)" if kind == "emulator" else changes.HOSTS_OWN
        noted.leave_out(f"TPM ({kind})", why=why)
        return
    if not new.has_tpm_state:
        noted.add(
            "TPM", was="with its secrets", now="empty", why="its secrets belong to the server it was recorded from"
        )
    made = ET.Element("tpm", model=element.get("model", "tpm-crb"))
    ET.SubElement(made, "backend", type="emulator", version=backend.get("version", facts.DEFAULT_TPM_VERSION))
    yield made


def _graphics(recorded: ET.Element, noted: changes.Changes) -> Iterator[ET.Element]:
    """One VNC display that listens nowhere, where there was any display.

    The daemon shows it (virDomainOpenGraphicsFD), and so do virt-manager and `virt-viewer --attach`. On the loopback address every user
    of the host could sit down at it.
    """
    before = recorded.findall("devices/graphics")
    if not before:
        return
    was = ", ".join(_display(element) for element in before)
    now = "vnc, listening nowhere"
    if was != now:
        noted.add(
            "display", was=was, now=now, why="it is shown to who may see the server, and can be reached by nobody else"
        )
    made = ET.Element("graphics", type="vnc")
    ET.SubElement(made, "listen", type="none")
    yield made


def _display(element: ET.Element) -> str:
    password = " with a password" if element.get("passwd") else ""
    return f"{element.get('type')}{_place(element)}{password}"


def _place(element: ET.Element) -> str:
    listen = element.find("listen")
    kind = "address" if listen is None else listen.get("type")
    if element.get("socket") or kind == "socket":
        return " on a socket"
    if kind == "none":
        return ", listening nowhere"
    where = element.get("listen") or (listen.get("address") if listen is not None else None) or _LOOPBACK
    fixed = "" if element.get("autoport", "yes") == "yes" else f" port {element.get('port')}"
    return f" on {where}{fixed}"
