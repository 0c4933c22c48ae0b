"""Deploy: the request and the plan."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

import pydantic

from estampe.deploy import request as deploy
from estampe.model import final
from estampe.schemas import characteristics, wire

_USER_DATA_CHARACTERS = 512 * 1024  # clouds stop at 16-64 KiB; a seed volume has room, a mistake is larger

# A volume's serial number: what virtio takes (20 bytes), and udev makes a link of.
_VOLUME_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,19}$"
_MOUNT_POINT = r"^(/[A-Za-z0-9._@+-]+)+$"
_GROWN = r"^(lv:[A-Za-z0-9+_.-]{1,127}/[A-Za-z0-9+_.-]{1,127}|[A-Za-z0-9]{1,40})$"


def _ssh_key(text: str) -> str:
    if not re.match(r"(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ +[A-Za-z0-9+/=]+( |$)", text):
        raise ValueError("must be one OpenSSH public key, as in a line of authorized_keys")
    return text


SshKey = Annotated[
    str,
    pydantic.StringConstraints(min_length=1, max_length=16_384),
    pydantic.AfterValidator(wire.check_line),
    pydantic.AfterValidator(_ssh_key),
]
ServerName = Annotated[
    str, pydantic.StringConstraints(min_length=1, max_length=63), pydantic.AfterValidator(wire.check_line)
]


UserName = Annotated[
    str, pydantic.StringConstraints(min_length=1, max_length=32), pydantic.AfterValidator(wire.check_line)
]
PasswordHash = Annotated[
    str,
    pydantic.StringConstraints(min_length=1, max_length=512),
    pydantic.Field(description="a password's hash as in /etc/shadow: $6$..."),
    pydantic.AfterValidator(wire.check_line),
]
Command = Annotated[
    str, pydantic.StringConstraints(min_length=1, max_length=4096), pydantic.AfterValidator(wire.check_line)
]
Domain = Annotated[
    str, pydantic.StringConstraints(min_length=1, max_length=253), pydantic.AfterValidator(wire.check_line)
]


class RouteRequest(wire.Request):
    """A way to a network past the default one."""

    destination: wire.Network
    gateway: wire.Address

    def to_domain(self) -> final.Route:
        """As the service takes it."""
        return final.Route(destination=self.destination, gateway=self.gateway)


class UserRequest(wire.Request):
    """An account to make in the guest, or to change where it is there."""

    name: UserName
    password_hash: PasswordHash | None = None
    ssh_keys: list[SshKey] = pydantic.Field(default_factory=list, max_length=64)
    groups: list[UserName] = pydantic.Field(default_factory=list, max_length=64)
    shell: wire.GuestPath | None = None
    is_administrator: bool = False

    def to_domain(self) -> final.User:
        """As the service takes it."""
        return final.User(
            name=self.name,
            password_hash=self.password_hash,
            ssh_keys=tuple(self.ssh_keys),
            groups=tuple(self.groups),
            shell=self.shell,
            is_administrator=self.is_administrator,
        )


class InterfaceRequest(wire.Request):
    """One interface of the new server; without addresses it uses DHCP."""

    network: wire.Line | None = None
    mac: wire.Mac | None = None
    addresses: list[wire.InterfaceAddress] = pydantic.Field(default_factory=list, max_length=16)
    gateways: list[wire.Address] = pydantic.Field(default_factory=list, max_length=2)
    dns: list[wire.Address] = pydantic.Field(default_factory=list, max_length=8)
    routes: list[RouteRequest] = pydantic.Field(default_factory=list, max_length=64)
    is_dhcp4: bool = False
    is_dhcp6: bool = False

    def to_domain(self) -> deploy.InterfaceRequest:
        """As the service takes it."""
        return deploy.InterfaceRequest(
            network=self.network,
            mac=self.mac,
            addresses=tuple(self.addresses),
            gateways=tuple(self.gateways),
            dns=tuple(self.dns),
            routes=tuple(route.to_domain() for route in self.routes),
            is_dhcp4=self.is_dhcp4,
            is_dhcp6=self.is_dhcp6,
        )


class NewVolumeRequest(wire.Request):
    """A volume that the template does not have: blank, or with a file system that the guest mounts."""

    name: Annotated[str, pydantic.StringConstraints(pattern=_VOLUME_NAME)]
    size_bytes: wire.Bytes
    kind: Literal["ext4", "xfs", "btrfs", "vfat", "ntfs", "swap"] | None = None
    mount_point: Annotated[str, pydantic.StringConstraints(pattern=_MOUNT_POINT, max_length=256)] | None = None

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Self:
        if self.mount_point is not None and self.kind in {None, "swap"}:
            raise ValueError("a mount point needs a file system, as ext4")
        return self

    def to_domain(self) -> deploy.NewVolumeRequest:
        """As the service takes it."""
        return deploy.NewVolumeRequest(
            name=self.name, size_bytes=self.size_bytes, kind=self.kind, mount_point=self.mount_point
        )


class DeployRequest(wire.Request):
    """Which template, and what the new servers are to be."""

    template: wire.Reference
    name: ServerName
    count: Annotated[int, pydantic.Field(ge=1, le=100)] = 1
    cpus: Annotated[int, pydantic.Field(ge=1, le=4096)] | None = None
    memory_bytes: wire.Bytes | None = None
    volume_sizes: dict[wire.Target, wire.Bytes] = pydantic.Field(default_factory=dict, max_length=64)
    pool: wire.Line | None = None
    volume_format: Literal["raw", "qcow2"] | None = None
    interfaces: list[InterfaceRequest] = pydantic.Field(default_factory=list, max_length=16)
    hostname: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=253)] | None = None
    fqdn: Domain | None = None
    search: list[Domain] = pydantic.Field(default_factory=list, max_length=6)
    ssh_keys: list[SshKey] = pydantic.Field(default_factory=list, max_length=64)
    password_hash: PasswordHash | None = None
    admin_password: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=127)] | None = None
    users: list[UserRequest] = pydantic.Field(default_factory=list, max_length=64)
    timezone: wire.Line | None = None
    commands: list[Command] = pydantic.Field(default_factory=list, max_length=256)
    user_data: Annotated[str, pydantic.StringConstraints(max_length=_USER_DATA_CHARACTERS)] | None = None
    seed_format: Literal["nocloud", "config-drive"] | None = None
    is_started: bool = True
    is_tuned: bool = True
    grown: list[Annotated[str, pydantic.StringConstraints(pattern=_GROWN)]] = pydantic.Field(
        default_factory=list,
        max_length=64,
        description="what gets the space of larger volumes: vda2, vdb, lv:vg0/data; where nothing is said, root does",
    )
    is_grown: bool = True
    is_shrunk: bool = False
    is_renewed: Annotated[
        bool,
        pydantic.Field(
            description="new UUIDs of file systems, partitions and LVM for each server, where all can follow"
        ),
    ] = False
    vtpm: Literal["fresh", "keep"] | None = None
    left_out: list[wire.Target] = pydantic.Field(default_factory=list, max_length=64)
    new_volumes: list[NewVolumeRequest] = pydantic.Field(default_factory=list, max_length=16)

    def to_domain(self) -> deploy.DeployRequest:
        """As the service takes it."""
        return deploy.DeployRequest(
            template=self.template,
            name=self.name,
            count=self.count,
            cpus=self.cpus,
            memory_bytes=self.memory_bytes,
            volume_sizes=dict(self.volume_sizes) or None,
            pool=self.pool,
            volume_format=self.volume_format,
            interfaces=tuple(interface.to_domain() for interface in self.interfaces),
            hostname=self.hostname,
            fqdn=self.fqdn,
            search=tuple(self.search),
            ssh_keys=tuple(self.ssh_keys),
            password_hash=self.password_hash,
            admin_password=self.admin_password,
            users=tuple(user.to_domain() for user in self.users),
            timezone=self.timezone,
            commands=tuple(self.commands),
            user_data=self.user_data,
            seed_format=None if self.seed_format is None else final.SeedFormat(self.seed_format),
            is_started=self.is_started,
            is_tuned=self.is_tuned,
            grown=tuple(self.grown),
            is_grown=self.is_grown,
            is_shrunk=self.is_shrunk,
            is_renewed=self.is_renewed,
            vtpm=self.vtpm,
            left_out=tuple(self.left_out),
            new_volumes=tuple(volume.to_domain() for volume in self.new_volumes),
        )


class NewVolume(wire.Answer):
    """One volume that each server would get."""

    target: str
    template_size_bytes: int
    size_bytes: int
    data_bytes: int
    format: str


class NewInterface(wire.Answer):
    """One interface that a server would get."""

    mac: str
    network: str | None
    bridge: str | None
    model: str


class NewServer(wire.Answer):
    """One server that would be made."""

    name: str
    uuid: str
    hostname: str
    interfaces: list[NewInterface]


class Change(wire.Answer):
    """Something of the recorded configuration that this host cannot give as it was."""

    what: str
    was: str
    now: str
    why: str


class DeployPlan(wire.Answer):
    """What a deploy would do; nothing has been done."""

    template_id: str
    template: str
    servers: list[NewServer]
    cpus: int
    memory_bytes: int
    pool: str
    volumes: list[NewVolume]
    pool_available_bytes: int
    needed_bytes: int
    changes: list[Change]
    final_configuration: list[str]
    warnings: list[str]
    settings: list[characteristics.Setting] = pydantic.Field(default_factory=list)
    tuned_for: str | None = None
