"""Contract of the virt family: one libvirt host.

The contract suite is tests/contract/test_host.py, run on the fake and on real libvirt. All calls block, none longer than
its own deadline; all are safe from several threads. Domains are addressed by UUID (text), except where a person named one.

Errors of every call: errors.HypervisorUnavailable (no connection), errors.HypervisorFailed (libvirt refused).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from estampe.model import configuration, power, terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One image of a backing chain, top first. Formats come from the domain or the pool, never from content."""

    path: str
    format: configuration.VolumeFormat
    is_block_device: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainVolume:
    """A volume of a domain that can be captured."""

    target: str
    bus: str
    chain: tuple[Layer, ...]  # top first; the last has no backing
    size_bytes: int  # virtual size
    serial: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSummary:
    """A domain as a list shows it."""

    uuid: str
    name: str
    power_state: power.PowerState
    is_persistent: bool
    cpus: int
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tpm:
    """A domain's TPM."""

    version: str  # of its specification: 1.2, 2.0
    problem: str | None  # why its state cannot be kept; None: it can


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain with what capture needs to know; read from its persistent (inactive) definition."""

    summary: DomainSummary
    has_saved_state: bool  # a managed save image: its volumes alone are not a consistent server
    has_checkpoints_or_snapshots: bool
    nvram_path: str | None
    volumes: tuple[DomainVolume, ...]
    configuration: configuration.Configuration
    tpm: Tpm | None = None
    live_only: tuple[
        str, ...
    ] = ()  # volumes of the running server that its definition has not, or elsewhere: "volume vdb"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareImage:
    """A loader this host offers."""

    path: str
    has_secure_boot: bool
    nvram_template: str | None
    nvram_size_bytes: int | None = None  # a variable store fits only firmware of its own size (2 MiB or 4 MiB OVMF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the host can give a domain."""

    architecture: str
    domain_type: Literal["kvm", "qemu"]  # by booting a probe, not by what /dev/kvm claims
    machines: frozenset[str]
    machine_aliases: dict[str, str]  # q35 -> pc-q35-7.2
    cpu_models: frozenset[str]  # that can be given in full
    uefi: tuple[FirmwareImage, ...]  # best first, as libvirt would choose
    cpus: int
    memory_bytes: int
    video_models: frozenset[str] = frozenset()  # empty: not known
    has_tpm_emulator: bool = False
    cpu_vendor: str | None = None  # None: not known
    cpu_features: frozenset[str] = frozenset()  # all that a guest's CPU can have here; empty: not known
    most_cpus: Mapping[str, int] = field(default_factory=dict)  # by machine; one that is missing is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A storage pool. `kind` is libvirt's: dir, fs, netfs, logical, disk, ..."""

    name: str
    kind: str
    path: str | None
    capacity_bytes: int
    available_bytes: int

    @property
    def is_block(self) -> bool:
        """Whether its volumes are block devices (raw, fully allocated, with whatever bytes were there before)."""
        return self.kind in {"logical", "disk", "iscsi", "scsi", "mpath", "zfs"}

    @property
    def is_network(self) -> bool:
        """Whether QEMU reaches its volumes over the network: they have no path on this host."""
        return self.kind in {"rbd", "sheepdog", "gluster", "iscsi-direct"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolVolume:
    """A volume of a storage pool."""

    pool: str
    name: str
    path: str
    # As asked for, of one that was just made. Of one that was found, what the pool saw in the file, which may be a guest's
    # doing (a raw volume with a VMDK's first bytes): never open a volume by it. What is not qcow2 is RAW.
    format: configuration.VolumeFormat
    size_bytes: int
    is_block_device: bool
    identity: str | None = None  # where the kernel gives names: tells it from another volume that has the name later


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeName:
    """What a pool calls a volume."""

    pool: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePlace:
    """Where a domain's volume lies: at a path, or under a name in a pool; exactly one of the two."""

    target: str
    path: str | None
    volume: VolumeName | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVolume:
    """A made volume as `domain_xml.rebuild` attaches it."""

    target: str
    bus: str
    path: str
    format: configuration.VolumeFormat
    is_block_device: bool
    serial: str | None
    boot_order: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInterface:
    """An interface of a deployed server."""

    mac: str
    network: str | None  # libvirt network; exactly one of network and bridge
    bridge: str | None
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Tuned settings as a new domain gets them: whoever makes one has looked that host and guest can. None: as recorded.

    `domain_xml.rebuild` applies them to what can have them: queues and I/O threads to virtio-blk volumes and virtio-scsi
    controllers, interface queues to virtio interfaces. A volume whose bus is another than the recorded one is put on it.
    """

    queues: int | None = None  # at most the domain's CPUs, as interface_queues
    cache: str | None = None
    io: str | None = None
    discard: str | None = None
    io_threads: int | None = None
    cpu: str | None = None  # host-passthrough, host-model, maximum, or a model's name
    interface_queues: int | None = None
    has_rng: bool | None = None
    balloon: Literal["none", "virtio", "free-page-reporting"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDomain:
    """Everything that a deployed domain is given anew; the rest comes from the recorded domain XML."""

    name: str
    uuid: str
    cpus: int
    memory_bytes: int
    volumes: tuple[NewVolume, ...]
    seed_path: (
        str | None
    )  # attached read-only, raw, on virtio (the seed's readers have no AHCI), target after the last volume
    interfaces: tuple[NewInterface, ...]
    nvram_path: str | None  # set exactly when the template has NVRAM or UEFI firmware
    nvram_size_bytes: int | None = None  # of the recorded NVRAM; None: it has none, and starts from the firmware's own
    template_id: str
    template_name: str  # "web@3", for the domain's metadata and description
    tuning: Tuning | None = None  # None: as recorded
    left_out: tuple[str, ...] = ()  # targets of the record that were not to be kept
    has_tpm_state: bool = False  # it gets the state of the recorded TPM, and not an empty one


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something of the recorded configuration that this host could not give as it was."""

    what: str  # "machine type", "CPU", "firmware", "network of interface 1"
    was: str
    now: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Something that a template's characteristics ask for, and what a new server gets of it."""

    what: str  # "queues of volume vda", "CPU"
    asked: str
    given: str
    why: str | None  # why not as asked; None exactly when it is


class Host(Protocol):
    """A libvirt host."""

    def capabilities(self) -> Capabilities:
        """What it can give; cached."""

    def list_domains(self) -> list[DomainSummary]:
        """All domains, by name."""

    def get_domain(self, name_or_uuid: str) -> Domain:
        """The domain. Volumes that Estampe does not read are in `configuration.left_out`, with the reason.

        Raises: errors.ServerNotFound; errors.NotAVirtualServer where it cannot be captured at all (a container, transient, or it
        boots from a volume that Estampe cannot read); errors.VolumeGone where a file of a backing chain is missing;
        errors.ChainUnsupported and errors.FormatUnsupported where a chain is not one to read (no format told, a loop, ...).
        """

    def find_domain(self, name_or_uuid: str) -> DomainSummary | None:
        """Only the summary, or None; never fails for what the domain is made of. A UUID wins over another's name."""

    def volume_places(self, uuid: str) -> Sequence[VolumePlace]:
        """Where the volumes lie that `get_domain` would tell, as the definition has it: nothing is opened or looked up.

        Raises: errors.ServerNotFound.
        """

    def power_state(self, uuid: str) -> power.PowerState:
        """Raises: errors.ServerNotFound."""

    def start(self, uuid: str, *, is_paused: bool = False) -> None:
        """Start; already active is fine. Raises: errors.VolumeLocked where QEMU could not lock a volume."""

    def request_shutdown(self, uuid: str, *, by: Literal["agent", "acpi"]) -> None:
        """Ask the guest to shut down, and return at once. Shut off already is fine.

        Raises: errors.AgentUnavailable (by agent, and it does not answer).
        """

    def power_off(self, uuid: str) -> None:
        """Cut the power; shut off already is fine."""

    def define(self, xml: str) -> None:
        """Define or redefine (same name and UUID) a persistent domain.

        Raises: errors.NameInUse where the name belongs to another UUID; errors.HypervisorFailed where the host cannot give what
        it says, as more CPUs than `Capabilities.most_cpus` of its machine.
        """

    def undefine(self, uuid: str) -> None:
        """Forget the domain with its NVRAM file and the state of its TPM; its volumes stay. A missing one is fine."""

    def read_nvram(self, path: str) -> bytes | None:
        """The NVRAM's bytes, or None where the file does not exist yet (never started)."""

    def write_nvram(self, path: str, data: bytes) -> None:
        """Create (replace) an NVRAM file that QEMU may use, durable."""

    def delete_nvram(self, path: str) -> None:
        """Remove an NVRAM file; a missing one is fine."""

    def nvram_path(self, file_name: str) -> str:
        """Where this host keeps an NVRAM file of that name."""

    def read_tpm_state(self, uuid: str, version: str) -> bytes | None:
        """What the domain's emulated TPM keeps: keys; None where there is none yet (never started)."""

    def write_tpm_state(self, uuid: str, version: str, data: bytes) -> None:
        """Create (replace) what the emulated TPM of a domain to come starts with, durable."""

    def delete_tpm_state(self, uuid: str) -> None:
        """Remove it; a missing one is fine, as after `undefine`."""

    def list_pools(self) -> list[Pool]:
        """Active pools, refreshed."""

    def get_pool(self, name: str) -> Pool:
        """Raises: errors.PoolNotFound."""

    def create_volume(
        self,
        pool: str,
        name: str,
        *,
        size_bytes: int,
        format: configuration.VolumeFormat,
        is_preallocated: bool = False,
    ) -> PoolVolume:
        """Make a sparse volume (a block pool: raw, of at least that size). Raises: errors.PoolNotFound, errors.NameInUse, errors.NoSpace.

        `is_preallocated`: every cluster of a qcow2 volume has its place in the file from the beginning, as every byte of a raw
        one has anyhow. Such a volume's metadata must be durable on return. They take time, in which the volume can be found but
        not be used; `delete_volume` must wait for the end of its making.
        """

    def takes_direct_io(self, pool: str) -> bool:
        """Whether its volumes can be opened past the page cache (O_DIRECT): not on every file system.

        Raises: errors.PoolNotFound.
        """

    def volume_name(self, pool: str, wanted: str) -> str:
        """The name to create a volume by: `wanted`, but in a pool of partitions (kind disk) the kernel's name for the next one.

        Raises: errors.PoolNotFound.
        """

    def find_volume(self, pool: str, name: str) -> PoolVolume | None:
        """The volume, or None. Raises: errors.PoolNotFound."""

    def find_volume_by_path(self, path: str) -> VolumeName | None:
        """The volume of an active pool that lies at `path`, whatever its format, or None. As of the pool's last refresh."""

    def delete_volume(self, pool: str, name: str) -> None:
        """Remove it; a missing one is fine, and so is a pool that is not defined any more.

        Raises: errors.PoolNotFound where the pool is there and not active: the volume may be, too.
        """

    def list_networks(self) -> list[str]:
        """Active networks' names."""

    def list_bridges(self) -> list[str]:
        """Names of the host's bridges (the kernel's own), those of its networks among them."""

    def agent_command(
        self, uuid: str, command: str, arguments: dict[str, Any] | None = None, *, timeout_seconds: int = 5
    ) -> Any:
        """The guest agent's `return` value. Raises: errors.AgentUnavailable."""

    def interface_addresses(self, uuid: str) -> Sequence[str]:
        """Addresses with prefix as the agent (else the DHCP leases) tells them; empty where nobody can tell."""

    def check_terminal(self, uuid: str, kind: terminal.Kind) -> None:
        """Whether a running server has one, as its definition tells: nothing is opened.

        Raises: errors.ServerNotFound; errors.ServerStateForbids (it is off); errors.NoScreen; errors.NoSerialConsole.
        """

    def open_terminal(self, uuid: str, kind: terminal.Kind, *, is_taken_over: bool = False) -> socket.socket:
        """A connected stream socket, which the caller closes; it reads its end when the server is off.

        A screen speaks RFB (VNC), without a password whatever the server's definition says, and may be open several times. A serial
        console is open once: `is_taken_over` ends the session that has it.

        Raises: as `check_terminal`; errors.SerialConsoleInUse (not taken over).
        """

    def close(self) -> None:
        """Give the connection back."""
