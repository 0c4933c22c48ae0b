"""Deploys as people ask for them: the plan, and the operation."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from estampe import errors, units
from estampe.db import operations as operation_rows
from estampe.db import quotas as quota_rows
from estampe.db import templates as template_rows
from estampe.deploy import request as requests
from estampe.deploy import resolve, seed, sizing
from estampe.deploy import resolved as decisions
from estampe.guest import seed as guest_seed
from estampe.jobs import dispatch, locks
from estampe.model import manifest, operation, quota, record
from estampe.model import template as templates
from estampe.servers import footprint
from estampe.store import base as stores
from estampe.store import manifests
from estampe.virt import base as virt


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployService:
    """Deploys on one host."""

    host: virt.Host
    store: stores.Store
    templates: template_rows.Templates
    dispatcher: dispatch.Dispatcher
    resolver: resolve.Resolver
    footprint: footprint.Footprint

    def plan(self, owner_id: uuid.UUID, request: requests.DeployRequest) -> requests.DeployPlan:
        """What `start` would do; nothing is made. Raises as `start`."""
        found, resolved = self._resolve(owner_id, request)
        pool = self.host.get_pool(resolved.pool)
        sizes = sizing.volume_sizes(request, found)
        return requests.DeployPlan(
            template_id=str(resolved.template_id),
            template=resolved.template,
            servers=tuple(
                requests.PlannedServer(
                    name=server.name, uuid=str(server.uuid), hostname=server.hostname, interfaces=server.interfaces
                )
                for server in resolved.servers
            ),
            cpus=resolved.cpus,
            memory_bytes=resolved.memory_bytes,
            pool=resolved.pool,
            volumes=_planned_volumes(found, sizes, resolved),
            pool_available_bytes=pool.available_bytes,
            needed_bytes=sizing.needed_bytes(found, pool, sizes, count=len(resolved.servers)),
            changes=resolved.changes,
            final_configuration=_final_configuration(request, resolved, found, sizes),
            warnings=_warnings(resolved, found, sizes),
        )

    def start(self, owner_id: uuid.UUID, request: requests.DeployRequest) -> operation.Operation:
        """Begin. Raises what `resolve.Resolver.resolve` raises, errors.TemplateNotFound, errors.QuotaExceeded."""
        found, resolved = self._resolve(owner_id, request)
        names = [server.name for server in resolved.servers]
        wanted = [
            operation_rows.Lock(locks.template(resolved.template_id), is_exclusive=False),
            *(operation_rows.Lock(locks.server_name(name), is_exclusive=True) for name in names),
        ]
        asked = record.dump(request) | {"template": str(resolved.template_id)}  # `web` must not become another by then
        subject = names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]}"
        try:
            return self.dispatcher.start(
                operation.Kind.DEPLOY, owner_id=owner_id, subject=subject, request={"deploy": asked}, locks=wanted,
                demand=self._demand(owner_id, request, found, resolved),
            )  # fmt: skip
        except operation_rows.LockHeld as held:
            if held.key == locks.template(resolved.template_id):
                raise errors.TemplateInUse(template=resolved.template, operation=str(held.operation_id)) from held
            name = held.key.removeprefix(locks.server_name(""))
            raise errors.NameInUse(name=name, what=self._holder(owner_id, held.operation_id)) from held

    def _holder(self, owner_id: uuid.UUID, operation_id: uuid.UUID) -> str:
        """Who takes a server's name now. Names are the host's, so another account's deploy may: that one is not told."""
        try:
            return f"operation {self.dispatcher.get(owner_id, str(operation_id)).id}"
        except errors.OperationNotFound:
            return "a server of this host"

    def _demand(
        self,
        owner_id: uuid.UUID,
        request: requests.DeployRequest,
        found: manifest.Manifest,
        resolved: decisions.Resolved,
    ) -> quota_rows.Demand:
        count = len(resolved.servers)
        amount = quota.Amount(
            servers=count, cpus=count * resolved.cpus, memory_bytes=count * resolved.memory_bytes,
            volume_bytes=count * sum(sizing.volume_sizes(request, found).values()),
        )  # fmt: skip
        return quota_rows.Demand(amount=amount, absent=self.footprint.measure(owner_id))

    def _resolve(
        self, owner_id: uuid.UUID, request: requests.DeployRequest
    ) -> tuple[manifest.Manifest, decisions.Resolved]:
        template = self.templates.resolve(owner_id, request.template)
        if template.state is not templates.State.ACTIVE:
            raise errors.TemplateNotFound(template=request.template)
        found = manifests.get(self.store, template.id)
        reference = f"{template.name}@{template.version}"
        resolved = self.resolver.resolve(request, found, template=reference, at=dispatch.utc_now())
        for server in resolved.servers:
            if server.seed_name:
                guest_seed.check(seed.content(server, request))  # an address or key that is wrong is told now
        return found, resolved


def _planned_volumes(
    found: manifest.Manifest, sizes: dict[str, int], resolved: decisions.Resolved
) -> tuple[requests.PlannedVolume, ...]:
    formats = {volume.target: volume.format for volume in resolved.servers[0].volumes}
    return tuple(
        requests.PlannedVolume(
            target=volume.target,
            template_size_bytes=volume.size_bytes,
            size_bytes=sizes[volume.target],
            data_bytes=len(volume.table) * found.chunk_size_bytes,
            format=formats[volume.target],
        )
        for volume in found.volumes
    )


def _final_configuration(
    request: requests.DeployRequest, resolved: decisions.Resolved, found: manifest.Manifest, sizes: dict[str, int]
) -> tuple[str, ...]:
    """In words: what is set for the new host, and by which means."""
    told = ["new UUID, MAC addresses" + (" and NVRAM file" if resolved.servers[0].nvram_name else "") + " (libvirt)"]
    if resolved.is_seeded:
        told.append(f"host name, instance identity, {len(request.ssh_keys)} SSH key(s) (first-boot seed, NoCloud)")
        asked = request.interfaces or (requests.InterfaceRequest(),) * len(resolved.servers[0].interfaces)
        for nth, interface in enumerate(asked, start=1):
            how = ", ".join(interface.addresses) or "DHCP"
            told.append(f"interface {nth}: {how} (first-boot seed, by MAC address)")
        if request.user_data:
            told.append("user data as given (first-boot seed)")
    if found.sealing.is_sealed:
        told.append("machine-id and SSH host keys: made anew at first boot (removed when the template was sealed)")
    for target, size in sizes.items():
        if sizing.growth(found, target, size) == "first boot":
            told.append(f"{target}: partition and file system grown to {units.format_bytes(size)} (first boot)")
    return tuple(told)


def _warnings(resolved: decisions.Resolved, found: manifest.Manifest, sizes: dict[str, int]) -> tuple[str, ...]:
    warnings = []
    if not found.sealing.is_sealed:
        why = found.sealing.why_not
        warnings.append(f"the template is not sealed ({why}): its servers may share the source's identity")
    if found.guest is None:
        warnings.append("the guest is not known: a first-boot seed is attached, whether it is read cannot be told")
    elif not resolved.is_seeded:
        warnings.append("the guest reads no first-boot seed: host name and network stay as they were captured")
    for target, size in sizes.items():
        if sizing.growth(found, target, size) == "not used":
            warnings.append(f"{target}: the added space is not used until a partition is grown inside the server")
    return tuple(warnings)
