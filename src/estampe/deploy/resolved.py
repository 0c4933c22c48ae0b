"""What a deploy has decided: every figure and name of the new servers, recorded by its first step."""

from __future__ import annotations

import datetime
import uuid as uuids  # a field has the name of the module, and pydantic would find that
from dataclasses import dataclass

from estampe.deploy import means as ways
from estampe.model import configuration, final, visibility
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

    @property
    def is_seeded(self) -> bool:
        """Whether the servers have seeds."""
        return self.means.seed_format is not None

    @property
    def is_named(self) -> bool:
        """Whether the guests are given their host names, so that they can be asked for them."""
        return self.is_seeded or self.means.is_by_appliance
