"""The domain of a deployed server: the recorded one, rebuilt for this host."""

from __future__ import annotations

from estampe.deploy import resolved as decisions
from estampe.model import manifest
from estampe.virt import base as virt
from estampe.virt import domain_xml


def rebuild(
    host: virt.Host,
    resolved: decisions.Resolved,
    server: decisions.ResolvedServer,
    found: manifest.Manifest,
    *,
    paths: dict[str, virt.PoolVolume],
    seed_path: str | None,
) -> tuple[str, tuple[virt.Change, ...]]:
    """The server's domain XML and what had to change. `paths` has the made volumes by target (empty: only planning)."""

    def new_volume(volume: decisions.ResolvedVolume) -> virt.NewVolume:
        made = paths.get(volume.target)
        return virt.NewVolume(
            target=volume.target,
            bus=volume.bus,
            path=made.path if made else f"/{volume.volume_name}",
            format=made.format if made else volume.format,
            is_block_device=made.is_block_device if made else False,
            serial=volume.serial,
            boot_order=volume.boot_order,
        )

    new = virt.NewDomain(
        name=server.name,
        uuid=str(server.uuid),
        cpus=resolved.cpus,
        memory_bytes=resolved.memory_bytes,
        volumes=tuple(new_volume(volume) for volume in server.volumes),
        seed_path=seed_path,
        interfaces=server.interfaces,
        nvram_path=host.nvram_path(server.nvram_name) if server.nvram_name else None,
        nvram_size_bytes=found.nvram.size_bytes if found.nvram else None,
        template_id=str(resolved.template_id),
        template_name=resolved.template,
        tuning=resolved.tuning,
        left_out=resolved.left_out,
        has_tpm_state=server.has_tpm_state,
    )
    return domain_xml.rebuild(found.configuration.domain_xml, new, host.capabilities())
