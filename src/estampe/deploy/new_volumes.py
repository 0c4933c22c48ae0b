"""Volumes that a deploy adds to those of the template."""

from __future__ import annotations

from estampe import errors
from estampe.deploy import request as requests
from estampe.deploy import resolved as decisions
from estampe.deploy import sizing
from estampe.model import configuration, manifest
from estampe.virt import base as virt
from estampe.virt import domain_xml


def by_target(request: requests.DeployRequest, found: manifest.Manifest) -> dict[str, requests.NewVolumeRequest]:
    """The new volumes by target: the next letters on the bus of the first one that the template has.

    Raises: errors.InvalidRequest.
    """
    names = [volume.name for volume in request.new_volumes]
    if len(set(names)) < len(names):
        raise errors.InvalidRequest(field="new_volumes", problem="two of them have the same name")
    first = found.configuration.volumes[0].target
    free = domain_xml.free_targets({volume.target for volume in found.configuration.volumes}, like=first)
    if not request.new_volumes:
        return {}
    return dict(zip(free, request.new_volumes, strict=False))


def resolve(
    request: requests.DeployRequest,
    pool: virt.Pool,
    target: str,
    volume: requests.NewVolumeRequest,
    *,
    stem: str,
    bus: str,
) -> decisions.ResolvedVolume:
    """What is made for each server. Raises: errors.InvalidRequest."""
    volume_format = sizing.volume_format(request, pool, recorded=configuration.VolumeFormat.QCOW2)
    return decisions.ResolvedVolume(
        target=target,
        bus=bus,
        volume_name=sizing.volume_name(pool, stem, target, volume_format),
        format=volume_format,
        size_bytes=-(-volume.size_bytes // sizing.SECTOR_BYTES) * sizing.SECTOR_BYTES,
        serial=volume.name,
        boot_order=None,
        is_new=True,
    )
