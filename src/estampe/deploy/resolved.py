"""What a deploy has decided: every figure and name of the new servers, recorded by its first step."""

from __future__ import annotations

import dataclasses
import datetime
import uuid as uuids  # a field has the name of the module, and pydantic would find that
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from estampe.deploy import means as ways
from estampe.model import adjustment, configuration, final, visibility
from estampe.virt import base as virt


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedVolume:
    """One volume to make; `volume_name` is in the pool."""

    target: str
    bus: str
    volume_name: str
    format: configuration.VolumeFormat
    size_bytes: int
    serial: str | None
    boot_order: int | None
    is_preallocated: bool = False  # also where an earlier Estampe decided
    is_new: bool = False  # none of the template's


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedServer:
    """One server to make. Every name carries part of its UUID, so that it is like no other's."""

    name: str
    uuid: uuids.UUID
    hostname: str
    volumes: tuple[ResolvedVolume, ...]
    interfaces: tuple[virt.NewInterface, ...]
    nvram_name: str | None
    has_tpm_state: bool = False  # its TPM has the keys of the source's
    seed_name: str | None
    wish: final.FinalConfiguration  # the final configuration, by whichever means
    in_appliance: final.FinalConfiguration | None = None  # what is written into its volumes before the first boot
    told: tuple[final.Change, ...] = ()  # what is told of it besides what the appliance tells


@dataclass(frozen=True, slots=True)
class Launch:
    """One launch of the appliance, and the servers (by name) that get what it makes."""

    name: str | None  # the server's, where each has one; None: it is for all of them
    servers: tuple[str, ...]
    adaptation: adjustment.Adaptation


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """All decisions of a deploy, recorded by its first step."""

    template_id: uuids.UUID
    template: str  # web@3, or acme/web@3 of another account
    servers: tuple[ResolvedServer, ...]
    cpus: int
    memory_bytes: int
    pool: str
    means: ways.Means
    is_agent_expected: bool
    changes: tuple[virt.Change, ...]
    decided_at: datetime.datetime
    tuning: virt.Tuning | None = None
    settings: tuple[
        virt.Setting, ...
    ] = ()  # what the template's characteristics ask for, and what the servers get of it
    warnings: tuple[str, ...] = ()  # of the template's life: it may be deprecated
    template_scope: visibility.Scope | None = (
        None  # by which way another account's template is seen; None: it is an own one
    )
    left_out: tuple[str, ...] = ()  # targets of the template's volumes that the servers do not get
    is_renewed: bool = False  # each server gets UUIDs of its own on its volumes
    actions: tuple[adjustment.Action, ...] = ()  # on the volumes of each server, before its first boot
    adjustments: tuple[final.Change, ...] = ()  # what these come to, and what is left
    takes_turns: bool = False  # whether one launch can do all servers, each in its turn

    def with_wishes(self, change: Callable[[final.FinalConfiguration], final.FinalConfiguration]) -> Resolved:
        """The same, with the wish of each server changed."""
        servers = tuple(
            dataclasses.replace(
                each,
                wish=change(each.wish),
                in_appliance=None if each.in_appliance is None else change(each.in_appliance),
            )
            for each in self.servers
        )
        return dataclasses.replace(self, servers=servers)

    @property
    def launches(self) -> tuple[Launch, ...]:
        """One for all servers, or one for each where they cannot take turns; none where nothing is to be done."""
        adaptation = self.adaptation(*self.servers)
        if not self.is_renewed:
            if adaptation == adjustment.Adaptation():
                return ()
            if self.takes_turns or not adaptation.configurations:
                return (Launch(None, tuple(server.name for server in self.servers), adaptation),)
        return tuple(Launch(server.name, (server.name,), self.adaptation(server)) for server in self.servers)

    def report(self, server: ResolvedServer, configured: Sequence[final.Change]) -> tuple[final.Change, ...]:
        """All that is told of a server; `configured` by the appliance."""
        return (*server.told, *self.adjustments, *configured)

    def adaptation(self, *servers: ResolvedServer) -> adjustment.Adaptation:
        """All that is done to these servers' volumes in one launch; UUIDs are renewed where it is of one server alone."""
        own = (
            adjustment.Configuring(server=each.name, wish=each.in_appliance)
            for each in servers
            if each.in_appliance is not None
        )
        renewed = servers[0].name if self.is_renewed and len(servers) == 1 else None
        return adjustment.Adaptation(actions=self.actions, configurations=tuple(own), renewed=renewed)

    @property
    def is_seeded(self) -> bool:
        """Whether the servers have seeds."""
        return self.means.seed_format is not None

    @property
    def is_named(self) -> bool:
        """Whether the guests are given their host names, so that they can be asked for them."""
        return self.is_seeded or self.means.is_by_appliance
