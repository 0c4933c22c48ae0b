"""Looking at the server to be captured: what is there, what will be read, what is left out and why."""

from __future__ import annotations

from dataclasses import dataclass, replace

from estampe import errors
from estampe.capture import request as requests
from estampe.capture import source
from estampe.model import configuration as configurations
from estampe.model import power
from estampe.virt import base as virt
from estampe.virt import device_fence


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The server as it was before anything was done to it; recorded by the capture's first step."""

    server_name: str
    domain_uuid: str
    was: power.PowerState
    volumes: tuple[virt.DomainVolume, ...]
    writable_devices: tuple[str, ...]  # block devices among them: marked read-only while they are read, then as before
    nvram_path: str | None
    tpm_version: str | None = None  # of the TPM whose state is kept
    configuration: configurations.Configuration  # of the captured volumes only; what is left out is listed in it


def examine(host: virt.Host, request: requests.CaptureRequest, *, server: str) -> Seen:
    """Look at `server` (a domain's name or UUID).

    Raises: errors.ServerNotFound, errors.NotAVirtualServer, errors.VolumeNotFound, errors.VolumeGone,
    errors.ServerStateForbids, errors.FormatUnsupported, errors.InvalidRequest.
    """
    domain = host.get_domain(server)
    _check_state(domain, request)
    tpm_version = _kept_tpm(host, domain) if request.is_vtpm_kept else None
    volumes = _chosen(domain, request.volumes)
    kept = {volume.target for volume in volumes}
    was_told = domain.configuration
    told_left_out = tuple(
        each for each in was_told.left_out if tpm_version is None or each.what != configurations.EMULATED_TPM
    )
    dropped = tuple(
        configurations.LeftOut(what=f"volume {volume.target}", why="it was not asked for")
        for volume in domain.volumes
        if volume.target not in kept
    )
    snapshots = (
        (configurations.LeftOut(what="snapshots and checkpoints", why="a template holds the current state only"),)
        if domain.has_checkpoints_or_snapshots
        else ()
    )
    return Seen(
        server_name=domain.summary.name,
        domain_uuid=domain.summary.uuid,
        was=domain.summary.power_state,
        volumes=volumes,
        writable_devices=tuple(device_fence.writable(source.devices(volumes))),
        nvram_path=domain.nvram_path,
        tpm_version=tpm_version,
        configuration=replace(
            was_told,
            volumes=tuple(volume for volume in was_told.volumes if volume.target in kept),
            left_out=(*told_left_out, *dropped, *snapshots),
        ),
    )


def _check_state(domain: virt.Domain, request: requests.CaptureRequest) -> None:
    name = domain.summary.name
    if domain.has_saved_state:
        advice = (
            "its volumes alone are not the whole server; start it, or drop the saved state (`virsh managedsave-remove`)"
        )
        raise errors.ServerStateForbids(server=name, state="saved", advice=advice)
    if domain.summary.power_state is power.PowerState.PAUSED and not request.is_forced:
        advice = "a paused guest cannot shut down; resume it, or use --force to power it off"
        raise errors.ServerStateForbids(server=name, state="paused", advice=advice)
    if domain.live_only:
        # Left out, they would be missing in the template; and the server itself would come back without them.
        advice = (
            f"it has {', '.join(domain.live_only)} otherwise than its definition, and would lose that at its restart; "
            "write it into the definition (`virsh attach-disk --config`, `virsh edit`), or detach it"
        )
        raise errors.ServerStateForbids(server=name, state=str(domain.summary.power_state), advice=advice)


def _kept_tpm(host: virt.Host, domain: virt.Domain) -> str:
    """The version of the TPM whose state can be kept. Raises: errors.InvalidRequest."""
    name, tpm = domain.summary.name, domain.tpm
    if tpm is None:
        problem: str | None = f"server {name!r} has no TPM"
    elif tpm.problem is not None:
        problem = f"the TPM of server {name!r} cannot be kept: {tpm.problem}"
    elif host.read_tpm_state(domain.summary.uuid, tpm.version) is None:
        problem = f"the TPM of server {name!r} keeps nothing yet: it was never started"
    else:
        return tpm.version
    raise errors.InvalidRequest(field="is_vtpm_kept", problem=problem)


def _chosen(domain: virt.Domain, targets: tuple[str, ...]) -> tuple[virt.DomainVolume, ...]:
    known = {volume.target: volume for volume in domain.volumes}
    for target in targets:
        if target not in known:
            owner = f"server {domain.summary.name!r}"
            raise errors.VolumeNotFound(owner=owner, volume=target, known=", ".join(known) or "none")
    chosen = tuple(volume for volume in domain.volumes if not targets or volume.target in targets)
    if not chosen:
        left = "; ".join(f"{left.what}: {left.why}" for left in domain.configuration.left_out)
        reason = "it has no volume that can be captured" + (f" ({left})" if left else "")
        raise errors.NotAVirtualServer(server=domain.summary.name, reason=reason)
    return chosen
