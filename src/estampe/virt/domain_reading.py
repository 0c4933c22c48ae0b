"""From a domain's XML and its volumes' headers to what capture needs to know; shared by the real host and the fake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from estampe import errors
from estampe.model import configuration
from estampe.virt import backing_chain, base, domain_xml

Locate = Callable[[str, str], str | None]  # (pool, volume) -> path; None: the pool's volumes are on the network only


def read(
    facts: domain_xml.Facts,
    summary: base.DomainSummary,
    *,
    has_saved_state: bool,
    has_checkpoints_or_snapshots: bool,
    nvram_path: str | None,
    live_xml: str | None,
    locate: Locate,
) -> base.Domain:
    """The domain; reads the headers of its volumes' layers. `live_xml` is that of the running server, if it runs.

    Raises: errors.NotAVirtualServer, errors.FormatUnsupported, errors.VolumeGone, errors.ChainUnsupported.
    """
    _check_capturable(facts, summary)
    located = [(disk, [_path(disk, source, locate) for source, _format in disk.layers]) for disk in facts.disks]
    facts = _without_far(facts, [disk for disk, paths in located if None in paths])
    volumes = tuple(_volume(disk, [path for path in paths if path]) for disk, paths in located if None not in paths)
    return base.Domain(
        summary=summary,
        has_saved_state=has_saved_state,
        has_checkpoints_or_snapshots=has_checkpoints_or_snapshots,
        nvram_path=nvram_path,
        volumes=volumes,
        configuration=facts.configuration({volume.target: volume.size_bytes for volume in volumes}),
        tpm=facts.tpm,
        live_only=() if live_xml is None else domain_xml.live_only(live_xml, facts.xml),
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
    elif facts.nvram_kind != "file":
        problem = f"its NVRAM is of the kind {facts.nvram_kind}, and Estampe captures one in a file"
    elif facts.nvram_path and facts.nvram_format != "raw":
        problem = f"its NVRAM has the format {facts.nvram_format}; give it a raw one"
    if problem is not None:
        raise errors.NotAVirtualServer(server=summary.name, reason=problem)


def _without_far(facts: domain_xml.Facts, far: list[domain_xml.Disk]) -> domain_xml.Facts:
    """Volumes whose XML alone does not tell that they lie on network storage. Raises: errors.NotAVirtualServer."""
    out = []
    for disk in far:
        pool = next(source.pool for source, _format in disk.layers if source.pool is not None)
        why = f"lies in the storage pool {pool} on the network, and Estampe reads files and block devices"
        if disk.target == facts.boot_target:
            reason = f"its volume {disk.target}, from which it boots, {why}"
            raise errors.NotAVirtualServer(server=facts.name, reason=reason)
        out.append(configuration.LeftOut(what=f"volume {disk.target}", why=why))
    kept = tuple(disk for disk in facts.disks if disk not in far)
    return replace(facts, disks=kept, left_out=(*facts.left_out, *out))


def _volume(disk: domain_xml.Disk, paths: list[str]) -> base.DomainVolume:
    declared = [(path, format_name) for path, (_source, format_name) in zip(paths, disk.layers, strict=True)]
    chain = backing_chain.resolve(disk.target, declared, is_complete=disk.is_chain_complete)
    return base.DomainVolume(
        target=disk.target,
        bus=disk.bus,
        chain=chain,
        size_bytes=backing_chain.virtual_size(disk.target, chain[0]),
        serial=disk.serial,
    )


def _path(disk: domain_xml.Disk, source: domain_xml.Source, locate: Locate) -> str | None:
    if source.path is not None:
        return source.path
    if source.pool is not None and source.volume is not None:
        return locate(source.pool, source.volume)
    raise errors.VolumeGone(volume=disk.target, path="?", detail="the domain does not say where it lies")
