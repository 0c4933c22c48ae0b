"""A recorded domain's XML made into a new server's on this host.

The result is made from nothing, out of parts that are known, rather than by striking out of the record what is known to be
bad: see `shape`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Final

from estampe import errors
from estampe.virt import base
from estampe.virt.domain_xml import (
    changes,
    devices,
    document,
    facts,
    interfaces,
    processor,
    shape,
    system,
    tuned,
    volumes,
)

NAMESPACE: Final = "urn:estampe:1"
_HANDLED: Final = frozenset(
    {
        "name", "uuid", "genid", "title", "description", "metadata", "memory", "currentMemory", "maxMemory", "vcpu",
        "iothreads", "os", "sysinfo", "features", "cpu", "clock", "on_poweroff", "on_reboot", "on_crash", "pm", "devices",
    }
)  # fmt: skip
_ACTIONS: Final = {"destroy", "restart", "preserve", "rename-restart"}
_WHY: Final = {
    "launchSecurity": "memory encryption belongs to the recorded host; the new server's memory is NOT encrypted",
    "memoryBacking": "how memory is backed is the host's business",
    "numatune": "it places the server on the recorded host's nodes",
    "cputune": "it places the server on the recorded host's CPUs",
    "{http://libvirt.org/schemas/domain/qemu/1.0}commandline": "arguments past libvirt's knowledge are not carried over",
}
_DEFAULT_PARTITION: Final = "/machine"

ET.register_namespace("estampe", NAMESPACE)


def rebuild(
    recorded_xml: str, new: base.NewDomain, capabilities: base.Capabilities
) -> tuple[str, tuple[base.Change, ...]]:
    """The new domain's XML, and everything in which it differs from the record without having been asked for.

    Raises: errors.HostLacks (architecture, machine type, firmware, CPUs), errors.DomainXmlInvalid, errors.NotAVirtualServer.
    """
    _check_architecture(facts.parse(recorded_xml), capabilities)
    recorded = document.read(recorded_xml, server=new.name)
    try:
        return _rebuild(recorded, new, capabilities)
    except (ValueError, KeyError) as error:
        raise errors.DomainXmlInvalid(server=new.name, problem=str(error)) from error


def _rebuild(
    recorded: ET.Element, new: base.NewDomain, capabilities: base.Capabilities
) -> tuple[str, tuple[base.Change, ...]]:
    noted = changes.Changes()
    root = ET.Element("domain", type=capabilities.domain_type)
    _note_type(recorded, capabilities, noted)
    root.extend(_identity(recorded, new, noted))
    root.extend(processor.memory(recorded, new, noted))
    root.extend(processor.cpus(recorded, new, noted))
    root.extend(_system(recorded, new, capabilities, noted))
    root.append(_features(recorded, new, capabilities, noted))
    root.extend(processor.model(recorded, new, capabilities, noted))
    root.extend(processor.clock(recorded, capabilities, noted))
    root.extend(_lifecycle(recorded, noted))
    parts = ET.SubElement(root, "devices")
    parts.extend(volumes.build(recorded, new, noted))
    parts.extend(interfaces.build(recorded, new, noted))
    parts.extend(devices.build(recorded, new, capabilities, noted))
    processor.check_cpus(root, capabilities)
    _note_rest(recorded, noted)
    tuned.apply(root, recorded, new, noted)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode"), noted.all()


def _check_architecture(recorded: facts.Facts, capabilities: base.Capabilities) -> None:
    if recorded.architecture != capabilities.architecture:
        detail = f"it is {capabilities.architecture}, and the server was recorded as {recorded.architecture}"
        raise errors.HostLacks(what="architecture", detail=detail)


def _note_type(recorded: ET.Element, capabilities: base.Capabilities, noted: changes.Changes) -> None:
    was, now = recorded.get("type", "?"), capabilities.domain_type
    if was != now:
        why = "KVM does not work on this host; the server will be slow" if now == "qemu" else "this host has KVM"
        noted.add("virtualisation", was=was, now=now, why=why)


def _identity(recorded: ET.Element, new: base.NewDomain, noted: changes.Changes) -> list[ET.Element]:
    name, uuid, description = ET.Element("name"), ET.Element("uuid"), ET.Element("description")
    name.text, uuid.text = new.name, new.uuid
    description.text = f"Deployed by Estampe from {new.template_name}"
    metadata = ET.Element("metadata")
    server = ET.SubElement(metadata, f"{{{NAMESPACE}}}server")
    ET.SubElement(server, f"{{{NAMESPACE}}}template", id=new.template_id, name=new.template_name)
    foreign = {each.tag for each in recorded.iterfind("metadata/*") if not each.tag.startswith(f"{{{NAMESPACE}}}")}
    for tag in sorted(foreign):
        noted.leave_out(
            f"metadata {tag.partition('}')[0].lstrip('{')}", why="it is another program's note on the server"
        )
    # An empty element: libvirt makes a new generation id, by which a guest notices that it is a copy.
    made = [ET.Element("genid")] if recorded.find("genid") is not None else []
    return [name, uuid, *made, description, metadata]


def _system(
    recorded: ET.Element, new: base.NewDomain, capabilities: base.Capabilities, noted: changes.Changes
) -> list[ET.Element]:
    element = system.build(recorded, new, capabilities, noted)
    information, is_shown = system.information(recorded, noted)
    if is_shown:
        ET.SubElement(element, "smbios", mode="sysinfo")
    elif recorded.find("os/smbios[@mode='host']") is not None:
        noted.leave_out("the host's system information")
    return [*information, element]


def _features(
    recorded: ET.Element, new: base.NewDomain, capabilities: base.Capabilities, noted: changes.Changes
) -> ET.Element:
    element = processor.features(recorded, capabilities, noted)
    if new.nvram_path is not None and facts.has_secure_boot(recorded) and element.find("smm") is None:
        ET.SubElement(element, "smm", state="on")  # without it libvirt refuses firmware with secure boot
    return element


def _lifecycle(recorded: ET.Element, noted: changes.Changes) -> list[ET.Element]:
    made = []
    for tag in ("on_poweroff", "on_reboot", "on_crash"):
        action = facts.text_of(recorded, tag)
        if not action:
            continue
        element = ET.Element(tag)
        element.text = action if action in _ACTIONS else "destroy"
        if element.text != action:
            noted.add(tag, was=action, now=element.text, why="it would write on the host")
        made.append(element)
    made.extend(shape.POWER_MANAGEMENT.copy(element)[0] for element in recorded.iterfind("pm"))
    return made


def _note_rest(recorded: ET.Element, noted: changes.Changes) -> None:
    for element in recorded:
        is_default = element.tag == "resource" and facts.text_of(element, "partition") == _DEFAULT_PARTITION
        if element.tag not in _HANDLED and not is_default:
            noted.leave_out(
                f"<{element.tag.rpartition('}')[2]}>", was="set", why=_WHY.get(element.tag, changes.HOSTS_OWN)
            )
