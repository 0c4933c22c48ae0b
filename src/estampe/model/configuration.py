"""The recorded configuration of a server: what a template keeps of it besides its data, in readable form.

The full domain XML is kept beside it (`Configuration.domain_xml`): deploy rebuilds from the XML, people read this.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

SECTOR_BYTES: Final = 512


class Firmware(enum.StrEnum):
    """How the server boots."""

    BIOS = "bios"
    UEFI = "uefi"


class VolumeFormat(enum.StrEnum):
    """Formats of a volume; always told by the domain or the pool, never probed from content."""

    RAW = "raw"
    QCOW2 = "qcow2"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeConfiguration:
    """One volume as the guest sees it."""

    target: str  # vda, sda: libvirt's <target dev>
    bus: str  # virtio, scsi, sata, ide, usb
    size_bytes: int
    format: VolumeFormat
    serial: str | None = None
    boot_order: int | None = None
    sector_size_bytes: int = SECTOR_BYTES  # the logical one, in which the guest's partition table counts


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceConfiguration:
    """One network interface as it was; deploy gives a new MAC address and the network that is asked for."""

    mac: str
    kind: str  # network, bridge, user, direct, ...: libvirt's <interface type>
    source: str | None  # name of the network, bridge or device
    model: str | None  # virtio, e1000, ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something of the server that a template does not hold, and why."""

    what: str  # "CD-ROM sda", "host device 0000:01:00.0", "volume vdc"
    why: str


EMULATED_TPM: Final = "TPM (emulator)"  # as `LeftOut.what` names it
TPM_VERSIONS: Final = ("1.2", "2.0")  # of the specification, as libvirt names them


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything needed to rebuild the server on another host, but for its data, its NVRAM and what its TPM keeps."""

    name: str
    domain_uuid: str
    architecture: str  # x86_64
    machine: str  # pc-q35-7.2, as canonical as libvirt told it
    cpus: int
    memory_bytes: int
    cpu_mode: str | None  # host-passthrough, host-model, custom
    cpu_model: str | None
    firmware: Firmware
    has_secure_boot: bool
    has_agent_channel: bool
    volumes: tuple[VolumeConfiguration, ...]
    interfaces: tuple[InterfaceConfiguration, ...]
    left_out: tuple[LeftOut, ...]
    domain_xml: str
