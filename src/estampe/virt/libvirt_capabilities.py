"""What the host can give a domain: from libvirt's capabilities, and the firmware descriptors of QEMU's interface."""

from __future__ import annotations

import platform
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any, Literal

import libvirt

from estampe import errors
from estampe.virt import base, firmware_catalogue, libvirt_connection


class HostCapabilities:
    """The capabilities of one connection's host, read once."""

    def __init__(self, connection: libvirt_connection.Connection, has_kvm: Callable[[], bool]) -> None:
        self._connection = connection
        self._has_kvm = has_kvm
        self._cached: base.Capabilities | None = None

    def capabilities(self) -> base.Capabilities:
        """What the host can give. Raises: errors.HostLacks where it runs no servers of its own architecture."""
        if self._cached is None:
            kind: Literal["kvm", "qemu"] = "kvm" if self._has_kvm() else "qemu"
            self._cached = self._connection.run(
                "tell the host's capabilities", lambda connection: _read(connection, kind, platform.machine())
            )
        return self._cached


def _read(connection: Any, kind: Literal["kvm", "qemu"], architecture: str) -> base.Capabilities:
    host = ET.fromstring(connection.getCapabilities())  # noqa: S314 - libvirt wrote it
    guest = host.find(f"guest[os_type='hvm']/arch[@name='{architecture}']")
    if guest is None:
        raise errors.HostLacks(what="QEMU", detail=f"libvirt knows no QEMU for {architecture}; install qemu-system")
    aliases = _aliases(guest)
    machine = aliases.get("q35") or aliases.get("virt")
    domain = ET.fromstring(connection.getDomainCapabilities(None, architecture, machine, kind, 0))  # noqa: S314 - as above
    _model, memory_kib, cpus, *_rest = connection.getInfo()
    vendor, features = _cpu(connection, domain, architecture, machine, kind)
    return base.Capabilities(
        architecture=architecture,
        domain_type=kind,
        machines=frozenset(each.text or "" for each in guest.iterfind("machine")) - frozenset(aliases),
        machine_aliases=aliases,
        cpu_models=frozenset(
            model.text or "" for model in domain.iterfind("cpu/mode[@name='custom']/model[@usable='yes']")
        ),
        uefi=firmware_catalogue.images(architecture),
        cpus=cpus,
        memory_bytes=memory_kib * 1024 * 1024,  # virNodeInfo counts KiB, but the Python binding gives MiB
        video_models=frozenset(_values(domain, "video", "modelType")),
        has_tpm_emulator="emulator" in _values(domain, "tpm", "backendModel"),
        cpu_vendor=vendor,
        cpu_features=features,
        most_cpus=_most_cpus(guest, domain, machine),
    )


def _cpu(
    connection: Any, domain: ET.Element, architecture: str, machine: str | None, kind: str
) -> tuple[str | None, frozenset[str]]:
    """Vendor and every feature of what libvirt calls host-model: named model and additions, which a baseline of one spells out."""
    mode = domain.find("cpu/mode[@name='host-model'][@supported='yes']")
    if mode is None:
        return None, frozenset()
    named = ET.Element("cpu")
    named.extend(mode)
    text, flags = ET.tostring(named, encoding="unicode"), libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES
    try:
        whole = connection.baselineHypervisorCPU(None, architecture, machine, kind, [text], flags)
    except libvirt.libvirtError:  # not on every architecture
        return mode.findtext("vendor"), frozenset()
    features = ET.fromstring(whole).iterfind("feature[@policy='require']")  # noqa: S314 - libvirt wrote it
    return mode.findtext("vendor"), frozenset(each.get("name", "") for each in features)


def _aliases(guest: ET.Element) -> dict[str, str]:
    """q35 -> pc-q35-7.2."""
    return {machine.text or "": machine.get("canonical", "") for machine in guest.iterfind("machine[@canonical]")}


def _most_cpus(guest: ET.Element, domain: ET.Element, asked: str | None) -> dict[str, int]:
    """By machine. Only a machine's own domain capabilities know KVM's limit, which is the same for all: see `asked`."""
    listed = {
        machine.text or "": int(machine.get("maxCpus", "0"))
        for machine in guest.iterfind("machine[@maxCpus]")
        if machine.get("canonical") is None
    }
    vcpu = domain.find("vcpu[@max]")
    most = int(vcpu.get("max", "0")) if vcpu is not None else 0
    is_lower = 0 < most < listed.get(asked or "", 0)
    return {machine: min(cpus, most) if is_lower else cpus for machine, cpus in listed.items() if cpus > 0}


def _values(domain: ET.Element, device: str, name: str) -> list[str]:
    found = domain.iterfind(f"devices/{device}[@supported='yes']/enum[@name='{name}']/value")
    return [value.text or "" for value in found]
