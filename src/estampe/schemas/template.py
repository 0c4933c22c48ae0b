"""Templates."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated

import pydantic

from estampe.model import guest, listing, template
from estampe.model import layout as layouts
from estampe.schemas import characteristics as traits  # a field has the module's name
from estampe.schemas import configuration, wire


class EditRequest(wire.Request):
    """What to change of a template; what is missing or null stays."""

    name: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=63)] | None = None
    note: wire.Note | None = None
    tags: Annotated[list[wire.Tag], pydantic.Field(max_length=32)] | None = None


class ListQuery(wire.Query):
    """Which templates to list, and in what order."""

    name: wire.Glob | None = None
    tag: wire.Line | None = None
    state: Annotated[list[template.State], pydantic.Field(max_length=8, description="may be repeated")] = (
        pydantic.Field(default_factory=list)
    )
    is_sealed: bool | None = None
    guest: Annotated[wire.Glob, pydantic.Field(description="a pattern of the guest's product, as *debian*")] | None = (
        None
    )
    is_trashed: Annotated[
        bool,
        pydantic.Field(description="those in the trash, which is left out unless it is asked for here or by `state`"),
    ] = False
    sort: Annotated[
        listing.TemplateSort, pydantic.Field(description="`-` is descending; a name's newest version comes first")
    ] = listing.TemplateSort.NAME
    limit: wire.Limit = listing.DEFAULT_LIMIT
    after: wire.Cursor | None = None

    def to_domain(self) -> listing.TemplateQuery:
        """As the service takes it."""
        return listing.TemplateQuery(
            name_glob=self.name,
            tag=self.tag,
            states=tuple(self.state),
            is_sealed=self.is_sealed,
            guest_glob=self.guest,
            is_trashed=self.is_trashed,
            sort=self.sort,
            limit=self.limit,
            after=self.after,
        )


class DeprecateRequest(wire.Request):
    """What to use instead, if there is such a template: one of the same account, and active."""

    successor: wire.Reference | None = None


class Trash(wire.Answer):
    """How a template came into the trash; from `until` on it is purged."""

    at: datetime.datetime
    by: str
    until: datetime.datetime
    state_before: template.State


class Template(wire.Answer):
    """A template in a list. Sizes are null while it is captured, `trash` unless it is in the trash."""

    id: uuid.UUID
    name: str
    version: int
    state: template.State
    note: str
    tags: list[str]
    server_id: uuid.UUID | None
    server_name: str
    created_at: datetime.datetime
    logical_bytes: int | None
    data_bytes: int | None
    new_bytes: int | None
    is_sealed: bool | None
    guest_product: str | None
    is_protected: bool
    successor_id: uuid.UUID | None
    parent_id: uuid.UUID | None
    trash: Trash | None
    revision: int
    characteristics: traits.Characteristics | None = None

    @property
    def reference(self) -> str:
        """As people name it: web@3."""
        return f"{self.name}@{self.version}"

    @property
    def etag(self) -> str:
        """What If-Match says to change it only as it is here."""
        return f'"{self.id}.{self.revision}"'


class TemplateList(wire.Answer):
    """One page; `next` goes back as `after` for the page behind it, null on the last."""

    templates: list[Template]
    next: str | None


class TemplateVolume(wire.Answer):
    """One volume of a template."""

    target: str
    size_bytes: int
    data_bytes: int
    chunk_count: int


class Partition(wire.Answer):
    """One partition as its table has it."""

    number: int
    start_bytes: int
    size_bytes: int
    type: str
    name: str | None
    is_bootable: bool
    is_logical: bool
    content: str
    uuid: str | None


class VolumeLayout(wire.Answer):
    """How one volume is cut up; `content` is what is on all of it where it has no partition table."""

    target: str
    size_bytes: int
    sector_size_bytes: int
    table: layouts.TableKind
    partitions: list[Partition]
    content: str | None


class LogicalVolume(wire.Answer):
    """One logical volume."""

    name: str
    size_bytes: int
    kind: str
    content: str


class VolumeGroup(wire.Answer):
    """One LVM volume group."""

    name: str
    extent_size_bytes: int
    free_bytes: int
    physical_volumes: list[str]
    logical_volumes: list[LogicalVolume]


class Layout(wire.Answer):
    """How the volumes are cut up."""

    volumes: list[VolumeLayout]
    groups: list[VolumeGroup]


class Subvolume(wire.Answer):
    """One subvolume of a btrfs file system."""

    path: str
    mount_point: str | None


class FileSystem(wire.Answer):
    """One file system or swap area found at inspection."""

    device: str
    kind: str
    size_bytes: int
    used_bytes: int | None
    mount_point: str | None
    uuid: str | None
    label: str | None
    subvolumes: list[Subvolume] = pydantic.Field(default_factory=list)


class Guest(wire.Answer):
    """The operating system found at inspection."""

    kind: str
    distribution: str
    version: str
    product: str
    hostname: str
    root_device: str
    file_systems: list[FileSystem]
    has_cloud_init: bool
    has_guest_agent: bool
    can_grow_root: bool
    package_count: int
    is_network_left_alone: bool = False
    volume_buses: list[str] = pydantic.Field(default_factory=list)
    boot_loader: str = guest.UNKNOWN
    network: str = guest.UNKNOWN
    seed_reader: str | None = None
    init: str = guest.UNKNOWN
    is_generalised: bool | None = None


class Sealing(wire.Answer):
    """What was done so that clones do not share the source's identity."""

    is_sealed: bool
    why_not: str | None
    actions: list[str]
    trimmed_bytes: int
    notes: list[str]


class Manifest(wire.Answer):
    """What the template's manifest says."""

    chunk_size_bytes: int
    configuration: configuration.Configuration
    volumes: list[TemplateVolume]
    guest: Guest | None
    sealing: Sealing
    has_nvram: bool
    layout: Layout | None = None
    has_inventory: bool = False


class TemplateDetail(wire.Answer):
    """A template with what its manifest says; no manifest while it is captured or purged.

    `successor` is what a deprecated template names, `parent` what its server was deployed from, both as references.
    """

    template: Template
    manifest: Manifest | None
    successor: str | None
    parent: str | None


class Deletion(wire.Answer):
    """A template that was deleted: `trash` says until when it can be restored, null where it is gone."""

    id: uuid.UUID
    reference: str
    trash: Trash | None
