"""Guests that script/build-guest makes, as domains."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from tests.support import shell

REPOSITORY = Path(__file__).parents[2]
_BUILD_SECONDS = 1200.0  # debian12 the first time: 250 MB of packages and their installation
_FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
_VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd"


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A volume of a domain to define."""

    path: Path
    format: str = "raw"
    bus: str = "virtio"
    target: str = "vda"
    device: str = "disk"
    is_block_device: bool = False
    is_read_only: bool = False
    backing: tuple[Path, str] | None = None  # path and format, where the domain itself tells the chain
    sector_bytes: int = 512

    def to_xml(self) -> str:
        kind, attribute = ("block", "dev") if self.is_block_device else ("file", "file")
        backing = ""
        if self.backing:
            path, chain_format = self.backing
            backing = (
                f"<backingStore type='file'><format type='{chain_format}'/><source file={quoteattr(str(path))}/>"
                "<backingStore/></backingStore>"
            )
        sectors = (
            f"<blockio logical_block_size='{self.sector_bytes}' physical_block_size='{self.sector_bytes}'/>"
            if self.sector_bytes != 512
            else ""
        )
        return (
            f"<disk type='{kind}' device='{self.device}'><driver name='qemu' type='{self.format}' discard='unmap'/>"
            f"<source {attribute}={quoteattr(str(self.path))}/>{backing}<target dev='{self.target}' bus='{self.bus}'/>"
            f"{sectors}{'<readonly/>' if self.is_read_only else ''}</disk>"
        )


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A domain to define; by default it is small and boots from BIOS."""

    name: str
    disks: Sequence[Disk]
    has_kvm: bool = False
    cpus: int = 1
    memory_mib: int = 128
    machine: str = "q35"
    is_uefi: bool = False
    network: str | None = None
    flags: Sequence[str] = ()  # of the mini guest, given as SMBIOS OEM strings
    extra_devices: str = ""
    console_log: Path | None = None

    def to_xml(self) -> str:
        kind = "kvm" if self.has_kvm else "qemu"
        # TCG: the newest processor that it emulates well, so that the guest's programs find what they were built for.
        cpu = "<cpu mode='host-passthrough'/>" if self.has_kvm else "<cpu mode='custom'><model>Westmere</model></cpu>"
        firmware = (
            f"<loader readonly='yes' secure='no' type='pflash'>{_FIRMWARE}</loader><nvram template='{_VARIABLES}'/>"
            if self.is_uefi
            else ""
        )
        smbios = "<smbios mode='sysinfo'/>" if self.flags else ""
        entries = "".join(f"<entry>{flag}</entry>" for flag in self.flags)
        sysinfo = f"<sysinfo type='smbios'><oemStrings>{entries}</oemStrings></sysinfo>" if self.flags else ""
        interface = (
            f"<interface type='network'><source network='{self.network}'/><model type='virtio'/></interface>"
            if self.network
            else ""
        )
        log = f"<log file={quoteattr(str(self.console_log))} append='off'/>" if self.console_log else ""
        return f"""<domain type='{kind}'>
  <name>{self.name}</name>
  <memory unit='MiB'>{self.memory_mib}</memory><vcpu>{self.cpus}</vcpu>
  {sysinfo}
  <os><type arch='x86_64' machine='{self.machine}'>hvm</type>{firmware}<boot dev='hd'/>{smbios}</os>
  <features><acpi/><apic/></features>
  {cpu}
  <on_reboot>restart</on_reboot>
  <devices>
    {"".join(disk.to_xml() for disk in self.disks)}
    <controller type='scsi' index='0' model='virtio-scsi'/>
    {interface}
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <serial type='pty'>{log}</serial>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='none'/>
    {self.extra_devices}
  </devices>
</domain>"""

    def define(self) -> str:
        """Define it and return its UUID."""
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write(self.to_xml())
            file.flush()
            shell.virsh("define", file.name)
        return shell.virsh("domuuid", self.name)


def build(name: str, *, part: str = "disk") -> Path:
    """The guest's file in the cache: not to be given to libvirt, which changes its owner."""
    argv = [str(REPOSITORY / "script/build-guest"), name, "--part", part]
    return Path(shell.run(argv, deadline_seconds=_BUILD_SECONDS).strip().splitlines()[-1])


def copy(source: Path, target: Path) -> Path:
    """A sparse copy that QEMU may open."""
    shell.run(["cp", "--sparse=always", "--reflink=auto", str(source), str(target)], deadline_seconds=120)
    target.chmod(0o644)
    return target


def overlay(base: Path, target: Path, *, base_format: str) -> Path:
    """A qcow2 file over `base`."""
    shell.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", base_format, str(target)])
    return target


def seed(target: Path, *, hostname: str, address: str, user_data: str = "#cloud-config\n{}\n") -> Path:
    """A NoCloud seed, made without Estampe's own code. https://docs.cloud-init.io/en/22.4/topics/datasources/nocloud.html"""
    with tempfile.TemporaryDirectory(prefix="estampe-seed-") as directory:
        files = {
            "user-data": user_data,
            "meta-data": f"instance-id: {hostname}-source\nlocal-hostname: {hostname}\n",
            "network-config": f"version: 2\nethernets:\n  any:\n    match: {{name: 'e*'}}\n    addresses: [{address}]\n",
        }
        for name, text in files.items():
            (Path(directory) / name).write_text(text)
        made = Path(directory) / "seed.iso"
        shell.run(
            ["genisoimage", "-quiet", "-output", str(made), "-volid", "cidata", "-joliet", "-rock"]
            + [str(Path(directory) / name) for name in files]
        )
        shutil.copyfile(made, target)
    target.chmod(0o644)
    return target
