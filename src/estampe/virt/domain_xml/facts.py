"""What a domain's XML says of the server: volumes that can be captured, what must be left out, how it boots.

Source: https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.model import configuration
from estampe.virt import base
from estampe.virt.domain_xml import document, left_out

AGENT_CHANNEL: Final = "org.qemu.guest_agent.0"
DEFAULT_TPM_VERSION: Final = "2.0"  # libvirt's where an emulated one's definition names none
_UNITS: Final = {
    "b": 1, "bytes": 1, "KB": 1000, "k": 1024, "KiB": 1024, "MB": 1000**2, "M": 1024**2, "MiB": 1024**2,
    "GB": 1000**3, "G": 1024**3, "GiB": 1024**3, "TB": 1000**4, "T": 1024**4, "TiB": 1024**4,
}  # fmt: skip
# Loaders that older libvirt records by path alone, without the secure-boot feature: Debian's, Fedora's, SUSE's names.
_SECURE_LOADER: Final = re.compile(r"secboot|secure|\.ms\.|-ms-|snakeoil", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a layer lies: a path, or a volume of a pool that the host must look up."""

    path: str | None
    pool: str | None = None
    volume: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A volume that can be captured as far as the XML tells."""

    target: str
    bus: str
    serial: str | None
    boot_order: int | None
    sector_size_bytes: int
    layers: tuple[tuple[Source, str], ...]  # (source, format), top first
    is_chain_complete: bool  # the XML tells the chain's end


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A domain's XML, read."""

    name: str
    uuid: str
    kind: str  # kvm, qemu, lxc, ...
    architecture: str
    machine: str
    cpus: int
    memory_bytes: int
    cpu_mode: str | None
    cpu_model: str | None
    firmware: configuration.Firmware
    has_secure_boot: bool
    nvram_path: str | None
    nvram_format: str  # raw, qcow2
    nvram_kind: str  # file, block, network
    has_agent_channel: bool
    tpm: base.Tpm | None
    disks: tuple[Disk, ...]
    interfaces: tuple[configuration.InterfaceConfiguration, ...]
    left_out: tuple[configuration.LeftOut, ...]
    boot_target: str | None  # the volume it boots from
    boot_volume_problem: str | None  # why that cannot be captured
    xml: str

    def configuration(self, sizes: dict[str, int]) -> configuration.Configuration:
        """The recorded configuration; `sizes` are the virtual sizes in bytes by target of every disk in `disks`."""
        return configuration.Configuration(
            name=self.name,
            domain_uuid=self.uuid,
            architecture=self.architecture,
            machine=self.machine,
            cpus=self.cpus,
            memory_bytes=self.memory_bytes,
            cpu_mode=self.cpu_mode,
            cpu_model=self.cpu_model,
            firmware=self.firmware,
            has_secure_boot=self.has_secure_boot,
            has_agent_channel=self.has_agent_channel,
            volumes=tuple(_volume_configuration(disk, sizes[disk.target]) for disk in self.disks),
            interfaces=self.interfaces,
            left_out=self.left_out,
            domain_xml=self.xml,
        )


def parse(xml: str) -> Facts:
    """Read a domain's XML. Raises: errors.DomainXmlInvalid, errors.NotAVirtualServer (a container)."""
    root = document.read(xml)
    name = text_of(root, "name")
    _check_virtual(root, name)
    try:
        return _parse(root, name, xml)
    except (ValueError, KeyError) as error:
        raise errors.DomainXmlInvalid(server=name, problem=str(error)) from error


def _parse(root: ET.Element, name: str, xml: str) -> Facts:
    os_type = root.find("os/type")
    cpu = root.find("cpu")
    devices = root.find("devices")
    devices = ET.Element("devices") if devices is None else devices
    disks, out = _disks(devices)
    boot_disk = _boot_disk(devices)
    return Facts(
        name=name,
        uuid=text_of(root, "uuid"),
        kind=root.get("type", ""),
        architecture=os_type.get("arch", "") if os_type is not None else "",
        machine=os_type.get("machine", "") if os_type is not None else "",
        cpus=cpu_count(root),
        memory_bytes=memory_bytes(root),
        cpu_mode=None if cpu is None else cpu.get("mode", "custom" if cpu.find("model") is not None else None),
        cpu_model=None if cpu is None else cpu.findtext("model"),
        firmware=firmware(root),
        has_secure_boot=has_secure_boot(root),
        nvram_path=_nvram_path(root),
        nvram_format=_attribute(root, "os/nvram", "format") or "raw",
        nvram_kind=_attribute(root, "os/nvram", "type") or "file",
        has_agent_channel=any(
            target.get("name") == AGENT_CHANNEL for target in devices.iterfind("channel/target[@type='virtio']")
        ),
        tpm=_tpm(devices),
        disks=disks,
        interfaces=tuple(_interface(element) for element in devices.iterfind("interface")),
        left_out=(*out, *left_out.devices(devices), *left_out.boot_files(root)),
        boot_target=None if boot_disk is None else _attribute(boot_disk, "target", "dev"),
        boot_volume_problem=None if boot_disk is None else _boot_volume_problem(boot_disk),
        xml=xml,
    )


def _check_virtual(root: ET.Element, name: str) -> None:
    kind = root.get("type", "")
    os_type = root.findtext("os/type", "").strip()
    if kind not in {"kvm", "qemu"} or os_type != "hvm":
        reason = (
            f"it is of libvirt's kind {kind or '?'}/{os_type or '?'}; QEMU's servers (kvm or qemu, hvm) can be captured"
        )
        raise errors.NotAVirtualServer(server=name, reason=reason)


def text_of(root: ET.Element, path: str) -> str:
    """The text at `path`, stripped; empty where there is none."""
    return (root.findtext(path) or "").strip()


def _attribute(root: ET.Element, path: str, name: str) -> str | None:
    element = root.find(path)
    return None if element is None else element.get(name)


def cpu_count(root: ET.Element) -> int:
    """CPUs that the guest starts with: `<vcpu current=...>` where fewer than it may have."""
    vcpu = root.find("vcpu")
    return 1 if vcpu is None else int(vcpu.get("current") or vcpu.text or "1")


def memory_bytes(root: ET.Element) -> int:
    """`<memory>` in bytes."""
    memory = root.find("memory")
    if memory is None:
        raise ValueError("it has no <memory>")
    return bytes_of(memory)


def bytes_of(element: ET.Element) -> int:
    """A size with libvirt's units, KiB where none is told."""
    return int(element.text or "0") * _UNITS[element.get("unit", "KiB")]


def machine(root: ET.Element) -> str:
    """The machine type."""
    return _attribute(root, "os/type", "machine") or ""


def firmware(root: ET.Element) -> configuration.Firmware:
    """UEFI by libvirt's own choice (`firmware='efi'`) or by a loader in flash; else BIOS."""
    is_uefi = _attribute(root, "os", "firmware") == "efi" or _attribute(root, "os/loader", "type") == "pflash"
    return configuration.Firmware.UEFI if is_uefi else configuration.Firmware.BIOS


def has_secure_boot(root: ET.Element) -> bool:
    """Whether its firmware can verify what it boots."""
    if firmware(root) is configuration.Firmware.BIOS:
        return False
    feature = root.find("os/firmware/feature[@name='secure-boot']")
    if feature is not None:
        return feature.get("enabled") == "yes"
    loader = root.find("os/loader")
    if loader is None:
        return False
    return loader.get("secure") == "yes" or bool(_SECURE_LOADER.search((loader.text or "").rsplit("/", 1)[-1]))


def _nvram_path(root: ET.Element) -> str | None:
    nvram = root.find("os/nvram")
    if nvram is None:
        return None
    return (nvram.text or "").strip() or _attribute(nvram, "source", "file")


def _tpm(devices: ET.Element) -> base.Tpm | None:
    backend = devices.find("tpm/backend")
    if backend is None:
        return None
    version, problem = backend.get("version") or DEFAULT_TPM_VERSION, None
    if backend.get("type") != "emulator":
        problem = "it is not emulated by libvirt"
    elif backend.find("encryption") is not None:
        problem = "its state is encrypted with a secret of this host's libvirt, which a template does not hold"
    elif backend.find("source") is not None:
        problem = "its state lies elsewhere than libvirt itself puts it"
    elif version not in configuration.TPM_VERSIONS:
        problem = f"it is of the version {version}; {' and '.join(configuration.TPM_VERSIONS)} are known"
    return base.Tpm(version=version, problem=problem)


def _interface(element: ET.Element) -> configuration.InterfaceConfiguration:
    kind = element.get("type", "")
    source = element.find("source")
    known = ("network", "bridge", "dev", "path")
    return configuration.InterfaceConfiguration(
        mac=_attribute(element, "mac", "address") or "",
        kind=kind,
        source=None if source is None else next((source.get(key) for key in known if source.get(key)), None),
        model=_attribute(element, "model", "type"),
    )


def _disks(devices: ET.Element) -> tuple[tuple[Disk, ...], list[configuration.LeftOut]]:
    disks: list[Disk] = []
    out: list[configuration.LeftOut] = []
    for element in devices.iterfind("disk"):
        reason = left_out.disk(element)
        if reason is None:
            disks.append(_disk(element))
        else:
            out.append(configuration.LeftOut(what=left_out.disk_name(element), why=reason.why))
    return tuple(disks), out


def _disk(element: ET.Element) -> Disk:
    target = element.find("target")
    if target is None or not target.get("dev"):
        raise ValueError("a disk of it has no target")
    dev = target.get("dev", "")
    layers, is_complete = _layers(element)
    return Disk(
        target=dev,
        bus=target.get("bus") or _default_bus(dev),
        serial=element.findtext("serial"),
        boot_order=boot_order(element),
        sector_size_bytes=_sector_size_bytes(element),
        layers=layers,
        is_chain_complete=is_complete,
    )


def _default_bus(dev: str) -> str:
    """What libvirt guesses from the target's name where an old definition has no bus."""
    return {"hd": "ide", "sd": "scsi", "vd": "virtio", "xvd": "xen", "ub": "usb"}.get(dev.rstrip(dev[-1]), "ide")


def _sector_size_bytes(element: ET.Element) -> int:
    size = _attribute(element, "blockio", "logical_block_size")
    return int(size) if size else configuration.SECTOR_BYTES


def boot_order(element: ET.Element) -> int | None:
    """A device's own place in the boot order."""
    order = _attribute(element, "boot", "order")
    return None if order is None else int(order)


def _layers(disk: ET.Element) -> tuple[tuple[tuple[Source, str], ...], bool]:
    """The layers that the XML tells, and whether it tells the chain's end: an empty `<backingStore/>`."""
    layers = [(_source(disk), _attribute(disk, "driver", "type") or "raw")]
    below = disk.find("backingStore")
    while below is not None:
        if below.find("source") is None:
            return tuple(layers), True
        layers.append((_source(below), _attribute(below, "format", "type") or ""))
        below = below.find("backingStore")
    return tuple(layers), False


def _source(element: ET.Element) -> Source:
    source = element.find("source")
    if source is None:
        raise ValueError("a disk of it has no source")
    if element.get("type") == "volume":
        return Source(path=None, pool=source.get("pool"), volume=source.get("volume"))
    return Source(path=source.get("file") or source.get("dev"))


def _boot_disk(devices: ET.Element) -> ET.Element | None:
    disks = [element for element in devices.iterfind("disk") if element.get("device", "disk") in {"disk", "lun"}]
    ordered = sorted((disk for disk in disks if boot_order(disk) is not None), key=lambda disk: boot_order(disk) or 0)
    return next(iter(ordered or disks), None)


def _boot_volume_problem(disk: ET.Element) -> str | None:
    reason = left_out.disk(disk)
    if reason is None or reason.kind is not left_out.Kind.UNREADABLE:
        return None
    return f"its {left_out.disk_name(disk)}, from which it boots, {reason.why}"


def _volume_configuration(disk: Disk, size_bytes: int) -> configuration.VolumeConfiguration:
    return configuration.VolumeConfiguration(
        target=disk.target,
        bus=disk.bus,
        size_bytes=size_bytes,
        format=configuration.VolumeFormat(disk.layers[0][1]),
        serial=disk.serial,
        boot_order=disk.boot_order,
        sector_size_bytes=disk.sector_size_bytes,
    )
