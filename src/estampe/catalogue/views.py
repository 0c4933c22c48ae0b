"""Templates as the faces show them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from estampe.model import configuration, sight, template
from estampe.model import guest as guests


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateDetail:
    """A template with what its manifest says."""

    seen: sight.Seen
    manifest: ManifestSummary | None  # None while it is being captured or purged
    successor: str | None = None  # what a deprecated template names to be used instead, as a reference
    parent: str | None = None  # the template that the captured server was deployed from, as a reference

    @property
    def template(self) -> template.Template:
        """What is seen of the row."""
        return self.seen.template


def opened(whole: ManifestSummary) -> ManifestSummary:
    """What others see of it: what a server from it will be, and nothing that names the server it was, its host or its network.

    The domain's XML goes with it, since it names all of them.
    """
    recorded = whole.configuration
    return dataclasses.replace(
        whole,
        configuration=dataclasses.replace(
            recorded,
            name="",
            domain_uuid="",
            domain_xml="",
            volumes=tuple(dataclasses.replace(each, serial=None) for each in recorded.volumes),
            interfaces=tuple(dataclasses.replace(each, mac="", source=None) for each in recorded.interfaces),
            left_out=(),
        ),
        guest=None if whole.guest is None else _opened_guest(whole.guest),
        sealing=dataclasses.replace(whole.sealing, why_not=whole.sealing.why_not and "not told", actions=(), notes=()),
    )


def _opened_guest(whole: guests.Guest) -> guests.Guest:
    systems = tuple(dataclasses.replace(each, uuid=None, label=None) for each in whole.file_systems)
    return dataclasses.replace(whole, hostname="", file_systems=systems)
