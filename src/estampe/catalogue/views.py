"""Templates as the faces show them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from estampe.model import configuration, sight, template
from estampe.model import guest as guests
from estampe.model import layout as layouts

if TYPE_CHECKING:  # the command line has these views by its schemas, and need not load what hashes manifests
    from estampe.model import inventory as inventories
    from estampe.model import manifest


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
    has_vtpm: bool = False  # the keys of the server's TPM are in it
    layout: layouts.Layout | None = None
    has_inventory: bool = False


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


_Whole = TypeVar("_Whole", ManifestSummary, "manifest.Manifest")


def opened(whole: _Whole) -> _Whole:
    """What others see of it: what a server from it will be, and nothing that names the server it was, its host or its network.

    The domain's XML goes with it, since it names all of them. Of a manifest, that holds for what its summary has, too.
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
        layout=None if whole.layout is None else _opened_layout(whole.layout),
        sealing=dataclasses.replace(whole.sealing, why_not=whole.sealing.why_not and "not told", actions=(), notes=()),
    )


def _opened_guest(whole: guests.Guest) -> guests.Guest:
    systems = tuple(dataclasses.replace(each, uuid=None, label=None) for each in whole.file_systems)
    return dataclasses.replace(whole, hostname="", file_systems=systems)


def _opened_layout(whole: layouts.Layout) -> layouts.Layout:
    """Names that people gave partitions go the way of file systems' labels; those of groups stay: a deploy asks for them."""
    volumes = tuple(
        dataclasses.replace(
            volume, partitions=tuple(dataclasses.replace(each, name=None, uuid=None) for each in volume.partitions)
        )
        for volume in whole.volumes
    )
    return dataclasses.replace(whole, volumes=volumes)


def opened_inventory(whole: inventories.Inventory) -> inventories.Inventory:
    """What others see of it: `sight.OPEN_LISTS`."""
    cut = tuple(name for name in whole.cut if name in sight.OPEN_LISTS)
    return dataclasses.replace(whole, users=(), services=(), files={}, cut=cut)
