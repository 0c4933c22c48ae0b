"""The final configuration of a new server: what is wished for it, and what was made of that.

A wish is the same whichever way it comes true: a first-boot seed that the guest reads, files written in the appliance, or
the hypervisor alone. What came of it is told as changes, which together are the server's report.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way to a network past the default one."""

    destination: str  # 198.51.100.0/24, 2001:db8:1::/48
    gateway: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One interface of the new server. Where nothing else is said it uses DHCP (IPv4) and what routers advertise (IPv6)."""

    mac: str
    addresses: tuple[str, ...] = ()  # with prefix: 192.0.2.10/24, 2001:db8::10/64
    gateways: tuple[str, ...] = ()  # at most one of each family
    dns: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    is_dhcp4: bool = False  # asked for beside fixed addresses
    is_dhcp6: bool = False

    @property
    def asks_dhcp4(self) -> bool:
        """Whether it gets its IPv4 address by DHCP, as it does where nothing was said."""
        return self.is_dhcp4 or not (self.addresses or self.is_dhcp6)

    @property
    def is_said(self) -> bool:
        """Whether anything was said of it, rather than left at DHCP."""
        return bool(self.addresses or self.gateways or self.dns or self.routes or self.is_dhcp4 or self.is_dhcp6)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account to make, or to change where it is there."""

    name: str
    password_hash: str | None = None  # as in shadow(5); None: no password is set
    ssh_keys: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()  # besides its own
    shell: str | None = None
    is_administrator: bool = False  # may do anything by sudo (Windows: a member of Administrators)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalConfiguration:
    """What one new server is to be."""

    instance_id: str  # a new one makes the guest run its first boot
    hostname: str  # of one label, or fully qualified
    fqdn: str | None = None
    interfaces: tuple[Interface, ...] = ()
    search: tuple[str, ...] = ()  # domains in which names are looked up
    ssh_keys: tuple[str, ...] = ()  # as in authorized_keys, for the guest's default user
    password_hash: str | None = None  # of that user
    admin_password: str | None = None  # Windows takes no hash
    users: tuple[User, ...] = ()
    timezone: str | None = None  # Europe/Paris
    commands: tuple[str, ...] = ()  # run once, by the first boot, in order
    user_data: str | None = None  # given to the guest as it is

    @property
    def short_name(self) -> str:
        """The host name's first label."""
        return self.hostname.partition(".")[0]

    @property
    def full_name(self) -> str | None:
        """The fully qualified name, where one is known."""
        return self.fqdn or (self.hostname if "." in self.hostname else None)


class SeedFormat(enum.StrEnum):
    """How a seed is laid out on its volume."""

    NOCLOUD = "nocloud"  # label cidata
    CONFIG_DRIVE = "config-drive"  # version 2, label config-2


class Means(enum.StrEnum):
    """By which means a change came about."""

    SEED = "seed"  # the guest's first boot reads it
    APPLIANCE = "appliance"  # written into the volumes before the first boot
    HYPERVISOR = "hypervisor"  # nothing inside the volumes was touched
    FIRST_BOOT = "guest's first boot"  # by itself, since sealing took away what was there


class Outcome(enum.StrEnum):
    """What became of a wish."""

    DONE = "done"
    LEFT = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of a deployed server's report."""

    what: str  # "host name", "addresses of 52:54:00:12:34:56"
    means: Means
    detail: str  # one line
    outcome: Outcome = Outcome.DONE
    why: str | None = None  # set exactly when left
