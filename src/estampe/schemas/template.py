"""Templates."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from typing import Annotated

import pydantic

from estampe.catalogue import views
from estampe.model import guest, listing, sight, template
from estampe.model import layout as layouts
from estampe.model import visibility as visibilities  # a field has the module's name
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
    scope: Annotated[
        list[visibilities.Scope],
        pydantic.Field(max_length=3, description="the account's own, shared with it, public; may be repeated"),
    ] = pydantic.Field(default_factory=lambda: [visibilities.Scope.MINE])
    is_hidden: Annotated[
        bool,
        pydantic.Field(description="of others' templates, those that the account has hidden; they are left out else"),
    ] = False
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
            scopes=tuple(self.scope),
            is_hidden=self.is_hidden,
            sort=self.sort,
            limit=self.limit,
            after=self.after,
        )


_Right = Annotated[visibilities.Right, pydantic.Field(strict=False)]  # as `wire.Role`


class ShareRequest(wire.Request):
    """What the account may do with the template, until when, and a note for it."""

    right: _Right = visibilities.Right.DEPLOY
    expires_at: Annotated[wire.Time, pydantic.Field(description="a time with its zone; null for no end")] | None = None
    note: wire.Note = ""

    def terms(self) -> visibilities.Terms:
        """As the service takes them."""
        return visibilities.Terms(right=self.right, note=self.note)


class PublishRequest(wire.Request):
    """What everybody may do with the template, and a note for them. One that is not sealed must be accepted as it is."""

    right: _Right = visibilities.Right.DEPLOY
    note: wire.Note = ""
    is_unsealed_accepted: bool = False

    def terms(self) -> visibilities.Terms:
        """As the service takes them."""
        return visibilities.Terms(right=self.right, note=self.note)


class Share(wire.Answer):
    """A template shared with an account; one that has expired gives nothing any more."""

    account: str
    right: visibilities.Right
    expires_at: datetime.datetime | None
    is_expired: bool
    note: str
    shared_at: datetime.datetime
    shared_by: str

    @classmethod
    def of(cls, share: visibilities.Share, *, at: datetime.datetime) -> Share:
        """As it stands at that time."""
        return cls(
            account=share.account,
            right=share.terms.right,
            expires_at=share.expires_at,
            is_expired=not share.is_in_force(at),
            note=share.terms.note,
            shared_at=share.at,
            shared_by=share.by,
        )


class ShareList(wire.Answer):
    """All shares of a template, by the accounts' names."""

    shares: list[Share]


class DeprecateRequest(wire.Request):
    """What to use instead, if there is such a template: one of the same account, and active."""

    successor: wire.Reference | None = None


class Trash(wire.Answer):
    """How a template came into the trash; from `until` on it is purged."""

    at: datetime.datetime
    by: str
    until: datetime.datetime
    state_before: template.State


class Publication(wire.Answer):
    """Since when a template is public, and on which terms."""

    at: datetime.datetime
    by: str
    right: visibilities.Right
    note: str


class Template(wire.Answer):
    """A template in a list. Sizes are null while it is captured, `trash` unless it is in the trash.

    Of another account's, `note` is what its publisher says to those who see it, and what is the publisher's own business is
    empty: `tags`, `server_id`, `server_name`, `new_bytes`, `is_protected`, `parent_id`, `publication`, `revision`.
    """

    id: uuid.UUID
    publisher: str
    scope: visibilities.Scope
    visibility: visibilities.Visibility
    right: visibilities.Right
    expires_at: datetime.datetime | None
    is_hidden: bool
    publication: Publication | None
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

    @classmethod
    def of(cls, seen: sight.Seen) -> Template:
        """As the account sees it."""
        found = seen.template
        fields = {name: getattr(found, name) for name in cls.model_fields.keys() & set(found.__dataclass_fields__)}
        public = found.publication
        told = None if public is None else {"at": public.at, "by": public.by, **dataclasses.asdict(public.terms)}
        return cls.model_validate(
            fields
            | {"publisher": seen.publisher, "scope": seen.scope, "visibility": seen.visibility, "right": seen.right}
            | {"expires_at": seen.expires_at, "is_hidden": seen.is_hidden, "publication": told}
        )

    @property
    def reference(self) -> str:
        """As the account names it: web@3, or acme/web@3 of another account."""
        return f"{self.name}@{self.version}" if self.scope is visibilities.Scope.MINE else self.full_reference

    @property
    def full_reference(self) -> str:
        """As everybody names it: acme/web@3."""
        return f"{self.publisher}/{self.name}@{self.version}"

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
    seed_formats: list[str] = pydantic.Field(default_factory=list)
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
    has_vtpm: bool = False
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

    @classmethod
    def of(cls, found: views.TemplateDetail) -> TemplateDetail:
        """As the account sees it."""
        return cls(
            template=Template.of(found.seen),
            manifest=None if found.manifest is None else Manifest.model_validate(found.manifest),
            successor=found.successor,
            parent=found.parent,
        )


class Deletion(wire.Answer):
    """A template that was deleted: `trash` says until when it can be restored, null where it is gone."""

    id: uuid.UUID
    reference: str
    trash: Trash | None
