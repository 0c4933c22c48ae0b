"""From a domain's XML and its volumes' headers to what capture needs to know; shared by the real host and the fake."""

from __future__ import annotations

from collections.abc import Callable

from estampe import errors
from estampe.virt import backing_chain, base, domain_xml

Locate = Callable[[str, str], str]  # (pool, volume) -> path


def read(
    facts: domain_xml.Facts,
    summary: base.DomainSummary,
    *,
    has_saved_state: bool,
    has_checkpoints_or_snapshots: bool,
    nvram_path: str | None,
    locate: Locate,
) -> base.Domain:
    """The domain; reads the headers of its volumes' layers.

    Raises: errors.NotAVirtualServer, errors.FormatUnsupported, errors.VolumeGone, errors.ChainUnsupported.
    """
    _check_capturable(facts, summary)
    volumes = tuple(_volume(disk, locate) for disk in facts.disks)
    return base.Domain(
        summary=summary,
        has_saved_state=has_saved_state,
        has_checkpoints_or_snapshots=has_checkpoints_or_snapshots,
        nvram_path=nvram_path,
        volumes=volumes,
        configuration=facts.configuration({volume.target: volume.size_bytes for volume in volumes}),
    )


def volume_places(facts: domain_xml.Facts) -> list[base.VolumePlace]:
    """See virt.base.Host.volume_places."""
    tops = [(disk.target, disk.layers[0][0]) for disk in facts.disks]
    return [
        base.VolumePlace(
            target=target,
            path=source.path,
            volume=None
            if source.path is not None
            else base.VolumeName(pool=source.pool or "", name=source.volume or ""),
        )
        for target, source in tops
    ]


def _check_capturable(facts: domain_xml.Facts, summary: base.DomainSummary) -> None:
    problem = facts.boot_volume_problem
    if not summary.is_persistent:
        problem = (
            "it is transient: it ceases to exist when it is shut down; give it a definition with `virsh define` first"
        )
    elif facts.nvram_path and facts.nvram_format != "raw":
        problem = f"its NVRAM has the format {facts.nvram_format}; give it a raw one"
    if problem is not None:
        raise errors.NotAVirtualServer(server=summary.name, reason=problem)


def _volume(disk: domain_xml.Disk, locate: Locate) -> base.DomainVolume:
    declared = [(_path(disk, source, locate), format_name) for source, format_name in disk.layers]
    chain = backing_chain.resolve(disk.target, declared, is_complete=disk.is_chain_complete)
    return base.DomainVolume(
        target=disk.target,
        bus=disk.bus,
        chain=chain,
        size_bytes=backing_chain.virtual_size(disk.target, chain[0]),
        serial=disk.serial,
    )


def _path(disk: domain_xml.Disk, source: domain_xml.Source, locate: Locate) -> str:
    if source.path is not None:
        return source.path
    if source.pool is not None and source.volume is not None:
        return locate(source.pool, source.volume)
    raise errors.VolumeGone(volume=disk.target, path="?", detail="the domain does not say where it lies")
