"""Templates."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated

import pydantic

from estampe.model import template
from estampe.schemas import characteristics as traits  # a field has the module's name
from estampe.schemas import configuration, wire


class EditRequest(wire.Request):
    """What to change of a template; what is missing or null stays."""

    name: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=63)] | None = None
    note: wire.Note | None = None
    tags: Annotated[list[wire.Tag], pydantic.Field(max_length=32)] | None = None


class Template(wire.Answer):
    """A template in a list. Sizes are null while it is captured."""

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
    characteristics: traits.Characteristics | None = None

    @property
    def reference(self) -> str:
        """As people name it: web@3."""
        return f"{self.name}@{self.version}"


class TemplateList(wire.Answer):
    """One page; `next` goes back as `after` for the page behind it, null on the last."""

    templates: list[Template]
    next: uuid.UUID | None


class TemplateVolume(wire.Answer):
    """One volume of a template."""

    target: str
    size_bytes: int
    data_bytes: int
    chunk_count: int


class FileSystem(wire.Answer):
    """One file system or swap area found at inspection."""

    device: str
    kind: str
    size_bytes: int
    used_bytes: int | None
    mount_point: str | None
    uuid: str | None
    label: str | None


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
    volume_buses: list[str] = pydantic.Field(default_factory=list)


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


class TemplateDetail(wire.Answer):
    """A template with what its manifest says; no manifest while it is captured or deleted."""

    template: Template
    manifest: Manifest | None
