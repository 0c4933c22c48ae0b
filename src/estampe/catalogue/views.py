"""Templates as the faces show them."""

from __future__ import annotations

from dataclasses import dataclass

from estampe.model import configuration, template
from estampe.model import guest as guests
from estampe.model import layout as layouts


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSummary:
    """One volume of a template, without its chunk table."""

    target: str
    size_bytes: int
    data_bytes: int  # of the chunks it names, before compression
    chunk_count: int  # stored chunks it names, repeats included


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestSummary:
    """What a template's manifest says, for people."""

    chunk_size_bytes: int
    configuration: configuration.Configuration
    volumes: tuple[VolumeSummary, ...]
    guest: guests.Guest | None  # None: could not be inspected
    sealing: guests.Sealing
    has_nvram: bool
    layout: layouts.Layout | None = None
    has_inventory: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateDetail:
    """A template with what its manifest says."""

    template: template.Template
    manifest: ManifestSummary | None  # None while it is being captured or purged
    successor: str | None = None  # what a deprecated template names to be used instead, as a reference
    parent: str | None = None  # the template that the captured server was deployed from, as a reference
