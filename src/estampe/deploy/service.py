"""Deploys as people ask for them: the plan, and the operation."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.db import operations as operation_rows
from estampe.db import quotas as quota_rows
from estampe.db import templates as template_rows
from estampe.db import visible_templates
from estampe.deploy import means, origin, resolve, sizing
from estampe.deploy import request as requests
from estampe.deploy import resolved as decisions
from estampe.jobs import dispatch, locks
from estampe.model import final, manifest, operation, quota, record, sight
from estampe.servers import footprint
from estampe.store import base as stores
from estampe.store import manifests
from estampe.virt import base as virt

_RENEWED: Final = "of file systems, swap, partitions and LVM new for each server, where all that names them can follow"


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
        seen, found, resolved = self._resolve(owner_id, request)
        pool = self.host.get_pool(resolved.pool)
        sizes = {volume.target: volume.size_bytes for volume in resolved.servers[0].volumes}
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
            volumes=_planned_volumes(found, resolved),
            pool_available_bytes=pool.available_bytes,
            needed_bytes=sizing.needed_bytes(found, pool, sizes, count=len(resolved.servers)),
            changes=resolved.changes,
            final_configuration=_final_configuration(resolved),
            warnings=_warnings(resolved, found),
            settings=resolved.settings,
            tuned_for=seen.template.characteristics.tuned_for if seen.template.characteristics else None,
        )

    def start(self, owner_id: uuid.UUID, request: requests.DeployRequest) -> operation.Operation:
        """Begin. Raises what `resolve.Resolver.resolve` raises, errors.TemplateNotFound, errors.QuotaExceeded."""
        _seen, _found, resolved = self._resolve(owner_id, request)
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
                demand=self._demand(owner_id, resolved), uses=(self._use(owner_id, resolved),),
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

    def _use(self, owner_id: uuid.UUID, resolved: decisions.Resolved) -> visible_templates.Use:
        """Looked at once more when the lock is taken: until then it may have been unshared."""
        return visible_templates.Use(account_id=owner_id, template_id=resolved.template_id, reference=resolved.template)

    def _demand(self, owner_id: uuid.UUID, resolved: decisions.Resolved) -> quota_rows.Demand:
        """As decided, not as asked: where the request says nothing, the template's characteristics do."""
        count = len(resolved.servers)
        amount = quota.Amount(
            servers=count, cpus=count * resolved.cpus, memory_bytes=count * resolved.memory_bytes,
            volume_bytes=sum(volume.size_bytes for server in resolved.servers for volume in server.volumes),
        )  # fmt: skip
        return quota_rows.Demand(amount=amount, absent=self.footprint.measure(owner_id))

    def _resolve(
        self, owner_id: uuid.UUID, request: requests.DeployRequest
    ) -> tuple[sight.Seen, manifest.Manifest, decisions.Resolved]:
        seen = origin.get(self.templates, owner_id, request.template)
        found = manifests.get(self.store, seen.template.id)
        resolved = self.resolver.resolve(
            request,
            found,
            template=seen.reference,
            at=dispatch.utc_now(),
            needs=seen.template.characteristics,
            is_own=seen.is_own,
        )
        resolved = origin.told(self.templates, owner_id, seen, resolved)
        return seen, found, resolved


def _planned_volumes(found: manifest.Manifest, resolved: decisions.Resolved) -> tuple[requests.PlannedVolume, ...]:
    held = {volume.target: volume for volume in found.volumes}
    return tuple(
        requests.PlannedVolume(
            target=volume.target,
            template_size_bytes=0 if volume.is_new else held[volume.target].size_bytes,
            size_bytes=volume.size_bytes,
            data_bytes=0 if volume.is_new else len(held[volume.target].table) * found.chunk_size_bytes,
            format=volume.format,
        )
        for volume in resolved.servers[0].volumes
    )


def _final_configuration(resolved: decisions.Resolved) -> tuple[str, ...]:
    """In words: what is set for the first of the new servers, and by which means."""
    server = resolved.servers[0]
    told = [
        f"{each.what}: {each.detail} ({each.means})"
        for each in server.told
        if each.means not in {final.Means.SEED, final.Means.APPLIANCE} and each.outcome is final.Outcome.DONE
    ]
    told += [
        f"{what}: {detail} ({final.Means.SEED if resolved.is_seeded else final.Means.APPLIANCE})"
        for what, detail in (means.in_words(server.wish) if resolved.is_named else ())
        if what not in {each.what for each in server.told if each.outcome is final.Outcome.LEFT}
    ]
    if resolved.is_renewed:
        told.append(f"UUIDs: {_RENEWED} ({final.Means.APPLIANCE})")
    done = (change for change in resolved.adjustments if change.outcome is final.Outcome.DONE)
    told.extend(f"{change.what}: {change.detail} ({change.means})" for change in done)
    return tuple(told)


def _warnings(resolved: decisions.Resolved, found: manifest.Manifest) -> tuple[str, ...]:
    warnings = [*resolved.warnings]
    if not found.sealing.is_sealed:
        because = "" if resolved.template_scope else f" ({found.sealing.why_not})"  # which may name what is the owner's
        warnings.append(f"the template is not sealed{because}: its servers may share the source's identity")
    left = [each for each in resolved.servers[0].told if each.outcome is final.Outcome.LEFT]
    for why in dict.fromkeys(each.why for each in left):
        whats = ", ".join(each.what for each in left if each.why == why)
        warnings.append(f"{whats}: {why}")
    unused = (change for change in resolved.adjustments if change.outcome is final.Outcome.LEFT)
    warnings.extend(f"{change.what}: {change.detail}: {change.why}" for change in unused)
    return tuple(warnings)
