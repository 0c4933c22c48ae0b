"""Machine type, firmware and boot order of a rebuilt server."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Final

from estampe import errors, units
from estampe.model import configuration
from estampe.virt import base
from estampe.virt.domain_xml import changes, facts, shape

_BOOT: Final = shape.shape("dev")
_BOOT_MENU: Final = shape.shape("enable timeout")
_BIOS: Final = shape.shape("useserial rebootTimeout")
_BOOT_FILES: Final = ("kernel", "initrd", "cmdline", "dtb", "shim", "acpi", "initargs", "init")
_FAMILIES: Final = ("q35", "i440fx", "virt")  # in the names of x86's and ARM's machine types
_ALIASES: Final = {"q35": "q35", "i440fx": "pc", "virt": "virt"}


def build(
    recorded: ET.Element, new: base.NewDomain, capabilities: base.Capabilities, noted: changes.Changes
) -> ET.Element:
    """`<os>`. Raises: errors.HostLacks."""
    before = recorded.find("os")
    before = ET.Element("os") if before is None else before
    made = ET.Element("os")
    machine = _machine(facts.machine(recorded), capabilities, noted)
    ET.SubElement(made, "type", arch=capabilities.architecture, machine=machine).text = "hvm"
    if facts.firmware(recorded) is configuration.Firmware.UEFI:
        made.extend(_flash(recorded, new, capabilities, noted))
    elif before.find("loader") is not None:
        noted.leave_out("BIOS", was=facts.text_of(before, "loader"), why="a server here gets this host's BIOS")
    made.extend(_boot_order(before, new, noted))
    for tag, kept in (("bootmenu", _BOOT_MENU), ("bios", _BIOS)):
        made.extend(kept.copy(element)[0] for element in before.iterfind(tag))
    for tag in _BOOT_FILES:
        if before.find(tag) is not None:
            noted.leave_out(f"boot by <{tag}>", was=facts.text_of(before, tag) or "set")
    return made


def _machine(recorded: str, capabilities: base.Capabilities, noted: changes.Changes) -> str:
    if recorded in capabilities.machines:
        return recorded
    alias = recorded if recorded in capabilities.machine_aliases else _alias_of_family(recorded)
    machine = capabilities.machine_aliases.get(alias)
    if machine is None:
        raise errors.HostLacks(what="machine type", detail=f"it knows no {recorded}, nor another of its family")
    why = "this host's QEMU does not know the recorded version"
    if alias == recorded:
        why = f"on this host {alias} stands for it"
    noted.add("machine type", was=recorded, now=machine, why=why)
    return machine


def _alias_of_family(machine: str) -> str:
    return next((_ALIASES[family] for family in _FAMILIES if family in machine), machine)


def _flash(
    recorded: ET.Element, new: base.NewDomain, capabilities: base.Capabilities, noted: changes.Changes
) -> list[ET.Element]:
    """`<loader>` and `<nvram>`, by path: this host's."""
    image = _choose(recorded, new, capabilities)
    needs_secure_boot = facts.has_secure_boot(recorded)
    _note_firmware(recorded, image, noted)
    loader = ET.Element("loader", readonly="yes", type="pflash")
    if image.has_secure_boot and needs_secure_boot:
        loader.set("secure", "yes")
    loader.text = image.path
    nvram = ET.Element("nvram")
    if image.nvram_template is not None:
        nvram.set("template", image.nvram_template)  # used where the template has no NVRAM
    nvram.text = new.nvram_path
    return [loader, nvram]


def _choose(recorded: ET.Element, new: base.NewDomain, capabilities: base.Capabilities) -> base.FirmwareImage:
    """The recorded image where it is here too; else the best that takes an NVRAM of its size, by need of secure boot."""
    fitting = [
        image
        for image in capabilities.uefi
        if new.nvram_size_bytes is None or image.nvram_size_bytes in {None, new.nvram_size_bytes}
    ]
    if not fitting:
        size = "" if new.nvram_size_bytes is None else f" for an NVRAM of {units.format_bytes(new.nvram_size_bytes)}"
        raise errors.HostLacks(what="firmware", detail=f"it has no UEFI firmware{size}; install ovmf")
    path = facts.text_of(recorded, "os/loader")
    needs_secure_boot = facts.has_secure_boot(recorded)
    return min(fitting, key=lambda image: (image.path != path, image.has_secure_boot != needs_secure_boot))


def _note_firmware(recorded: ET.Element, image: base.FirmwareImage, noted: changes.Changes) -> None:
    was = facts.text_of(recorded, "os/loader") or "UEFI of libvirt's choice"
    if was != image.path:
        noted.add("firmware", was=was, now=image.path, why="firmware is the host's own")
    if facts.has_secure_boot(recorded) and not image.has_secure_boot:
        noted.add("secure boot", was="possible", now="not possible", why="this host has no such firmware of this size")


def _boot_order(before: ET.Element, new: base.NewDomain, noted: changes.Changes) -> list[ET.Element]:
    """`<boot dev>`, which libvirt does not allow beside orders on the devices."""
    by_kind = [_BOOT.copy(element)[0] for element in before.iterfind("boot")]
    if by_kind and any(volume.boot_order is not None for volume in new.volumes):
        was = ", ".join(element.get("dev", "?") for element in by_kind)
        noted.add("boot order", was=was, now="by volume", why="libvirt takes one or the other")
        return []
    return by_kind


def information(recorded: ET.Element, noted: changes.Changes) -> tuple[list[ET.Element], bool]:
    """`<sysinfo>` without what names the one server it was, and whether `<os>` may point to it."""
    made = []
    for element in recorded.iterfind("sysinfo"):
        if element.get("type", "smbios") != "smbios":
            noted.leave_out(f"system information of the kind {element.get('type')}")
            continue
        kept = shape.SYSTEM_INFORMATION.copy(element)[0]
        _strip_identity(kept, noted)
        made.append(kept)
    return made, bool(made) and recorded.find("os/smbios[@mode='sysinfo']") is not None


def _strip_identity(information: ET.Element, noted: changes.Changes) -> None:
    """The UUID is the server's; serial numbers and OEM strings can carry where the source got its seed and secrets from."""
    for group in information:
        for entry in group.findall("entry"):
            if group.tag == "oemStrings" or entry.get("name") in {"uuid", "serial"}:
                group.remove(entry)
                if entry.get("name") != "uuid":
                    name = f"{group.tag} {entry.get('name') or ''}".rstrip()
                    noted.leave_out(f"system information {name}", why="it names the one server it was recorded from")
    for group in list(information):
        if len(group) == 0:
            information.remove(group)
