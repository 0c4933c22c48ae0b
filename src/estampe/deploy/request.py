"""What a deploy is asked to do, and the plan that answers it."""

from __future__ import annotations

from dataclasses import dataclass

from estampe.model import final
from estampe.virt import base as virt


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceRequest:
    """One interface of the new server. Without addresses it uses DHCP."""

    network: str | None = None  # a libvirt network, or "bridge:br0"; None: the host's default
    mac: str | None = None  # None: a new one
    addresses: tuple[str, ...] = ()  # with prefix: 192.0.2.10/24, 2001:db8::10/64
    gateways: tuple[str, ...] = ()  # at most one of each family
    dns: tuple[str, ...] = ()
    routes: tuple[final.Route, ...] = ()
    is_dhcp4: bool = False  # beside fixed addresses; without any it uses DHCP anyway
    is_dhcp6: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVolumeRequest:
    """A volume that the template does not have."""

    name: str  # the guest sees it as the volume's serial number
    size_bytes: int
    kind: str | None = None  # of the file system that is made on it, or swap; None: blank
    mount_point: str | None = None  # entered into the guest's fstab


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployRequest:
    """Asked by a person or program. With count > 1 the servers are NAME-1 ... NAME-N."""

    template: str  # id, web or web@3
    name: str
    count: int = 1
    cpus: int | None = None  # None: as the template recommends, else as recorded
    memory_bytes: int | None = None
    volume_sizes: dict[str, int] | None = None  # target -> bytes
    pool: str | None = None  # None: the configured default
    volume_format: str | None = None  # raw or qcow2; None: as the volume was (block pools: raw)
    interfaces: tuple[InterfaceRequest, ...] = ()  # see `wished_interfaces`; empty: all by DHCP on the default network
    hostname: str | None = None  # None: the server's name
    ssh_keys: tuple[str, ...] = ()
    fqdn: str | None = None  # the host name with its domain
    search: tuple[str, ...] = ()  # domains in which names are looked up
    password_hash: str | None = None  # of the default user (root, where a guest has none)
    admin_password: str | None = None  # Windows
    users: tuple[final.User, ...] = ()
    timezone: str | None = None
    commands: tuple[str, ...] = ()  # run once, by the first boot
    user_data: str | None = None  # given to the guest's seed reader as it is
    seed_format: final.SeedFormat | None = None  # None: the one that the guest's reader takes
    is_started: bool = True
    is_tuned: bool = True  # False: none of the template's tuned settings
    grown: tuple[
        str, ...
    ] = ()  # what gets the space of larger volumes: vda2, vdb, lv:vg0/data; empty: root, or what comes last
    is_grown: bool = True  # False: nothing gets it
    is_shrunk: bool = False  # whether volumes may become smaller than the template's
    is_renewed: bool = False  # whether the volumes' UUIDs are made new for each server
    vtpm: str | None = None  # fresh or keep: the TPM, where the template has one; None: a fresh one, as nobody said
    left_out: tuple[str, ...] = ()  # targets of the template's volumes that the servers do not get
    new_volumes: tuple[NewVolumeRequest, ...] = ()

    def wished_interfaces(self, recorded: int) -> tuple[InterfaceRequest, ...]:
        """One wish for each interface of a server whose template has `recorded` of them.

        Named networks say how many there are. An address alone says nothing of the others: they stay, by DHCP.
        """
        if any(wish.network is not None for wish in self.interfaces):
            return self.interfaces
        return self.interfaces + (InterfaceRequest(),) * (recorded - len(self.interfaces))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedVolume:
    """One volume that each server would get."""

    target: str
    template_size_bytes: int
    size_bytes: int
    data_bytes: int  # written into it
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedServer:
    """One server that would be made."""

    name: str
    uuid: str
    hostname: str
    interfaces: tuple[virt.NewInterface, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployPlan:
    """What a deploy would do; nothing has been done."""

    template_id: str
    template: str  # web@3
    servers: tuple[PlannedServer, ...]
    cpus: int
    memory_bytes: int
    pool: str
    volumes: tuple[PlannedVolume, ...]
    pool_available_bytes: int
    needed_bytes: int  # written by the deploy, all servers together
    changes: tuple[virt.Change, ...]  # what of the recorded configuration this host cannot give as it was
    final_configuration: tuple[str, ...]  # in words: what is set for the new host, and by which means
    warnings: tuple[str, ...]
    settings: tuple[virt.Setting, ...] = ()  # what the template's characteristics ask for, and what is given of it
    tuned_for: str | None = None
