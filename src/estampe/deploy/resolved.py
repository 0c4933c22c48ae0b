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
    seed_name: str | None
    wish: final.FinalConfiguration  # the final configuration, by whichever means
    in_appliance: final.FinalConfiguration | None = None  # what is written into its volumes before the first boot
    told: tuple[final.Change, ...] = ()  # what is told of it besides what the appliance tells


@dataclass(frozen=True, slots=True)
class Launch:
    """One launch of the appliance, and the servers (by name) that get what it makes."""

    name: str | None  # the server's; None: it is for all of them
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
        """One for all servers where they want the same, one for each where something of its own is to be written; else none."""
        if self.is_renewed or any(server.in_appliance is not None for server in self.servers):
            return tuple(Launch(server.name, (server.name,), self.adaptation(server)) for server in self.servers)
        shared = adjustment.Adaptation(actions=self.actions)
        return (Launch(None, tuple(server.name for server in self.servers), shared),) if self.actions else ()

    def report(self, server: ResolvedServer, configured: Sequence[final.Change]) -> tuple[final.Change, ...]:
        """All that is told of a server; `configured` by the appliance."""
        return (*server.told, *self.adjustments, *configured)

    def adaptation(self, server: ResolvedServer) -> adjustment.Adaptation:
        """All that is done to a server's volumes in one launch."""
        return adjustment.Adaptation(
            actions=self.actions, configuration=server.in_appliance, renews_identifiers=self.is_renewed
        )

    @property
    def is_seeded(self) -> bool:
        """Whether the servers have seeds."""
        return self.means.seed_format is not None

    @property
    def is_named(self) -> bool:
        """Whether the guests are given their host names, so that they can be asked for them."""
        return self.is_seeded or self.means.is_by_appliance
