"""Servers: list, show, start, stop, delete."""

from __future__ import annotations

import fnmatch
import os
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from estampe import errors
from estampe.db import operations as operation_rows
from estampe.db import servers as server_rows
from estampe.db import templates as template_rows
from estampe.jobs import attempts, locks
from estampe.model import account, listing, sight
from estampe.model import server as servers
from estampe.servers import views
from estampe.virt import base as virt
from estampe.virt import power as virt_power

_BY_NAME: Final = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerService:
    """Servers of one host. `seed_directory` is where deploy keeps seeds: they go with their server."""

    host: virt.Host
    rows: server_rows.Servers
    templates: template_rows.Templates
    operations: operation_rows.Operations
    seed_directory: Path
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep

    def list(self, owner_id: uuid.UUID, query: listing.ServerQuery) -> listing.Page[views.ServerView]:
        """A page of what the account may see, by name. Raises: errors.InvalidRequest where `after` is no cursor."""
        fitting = sorted(
            (each for each in self.host.list_domains() if _fits(each, query)), key=lambda each: (each.name, each.uuid)
        )
        behind = None if query.after is None else _position(query.after)
        found: list[tuple[servers.Server, virt.DomainSummary]] = []
        for summary in fitting:
            if behind is not None and (summary.name, summary.uuid) <= behind:
                continue
            row = self._row(summary)
            if row.owner_id != owner_id:
                continue
            if len(found) == query.limit:
                last = found[-1][1]
                return listing.Page(self._views(found), listing.cursor(_BY_NAME, last.name, last.uuid))
            found.append((row, summary))
        return listing.Page(self._views(found))

    def _views(self, found: Sequence[tuple[servers.Server, virt.DomainSummary]]) -> Sequence[views.ServerView]:
        origins = self._origins([row for row, _summary in found])
        return [self._view(row, summary, origins) for row, summary in found]

    def list_deployed(self, template_ids: Collection[uuid.UUID]) -> Sequence[views.Deployed]:
        """Those on the host that were deployed from one of the templates, by name, whoever has them: not for everybody to see."""
        seen = [(self._row(summary), summary) for summary in self.host.list_domains()]
        found = [(row, summary) for row, summary in seen if row.template_id in template_ids]
        rows = [row for row, _summary in found]
        return [
            views.Deployed(owner_id=row.owner_id, scope=row.template_scope, server=view)
            for row, view in zip(rows, self._views(found), strict=True)
        ]

    def get(self, owner_id: uuid.UUID, reference: str) -> views.ServerDetail:
        """One, with its configuration, or why it cannot be read. Raises: errors.ServerNotFound."""
        row, summary = self.find(owner_id, reference)
        view = self._view(row, summary)
        addresses = tuple(self.host.interface_addresses(summary.uuid)) if summary.power_state.is_active else ()
        problem = None
        try:
            configuration = self.host.get_domain(summary.uuid).configuration
        except (errors.NotAVirtualServer, errors.Unsupported, errors.VolumeGone) as error:
            configuration, problem = None, str(error)
        return views.ServerDetail(
            summary=view, configuration=configuration, addresses=addresses, problem=problem, report=row.report
        )

    def start(self, owner_id: uuid.UUID, reference: str) -> views.ServerView:
        """Start; running already is fine. Raises: errors.ServerNotFound, errors.ServerBusy, errors.VolumeLocked."""
        _row, summary = self._find_idle(owner_id, reference)
        self.host.start(summary.uuid)
        return self._view(*self.find(owner_id, summary.uuid))

    def stop(self, owner_id: uuid.UUID, reference: str, *, is_forced: bool, timeout_seconds: float) -> views.ServerView:
        """Shut down cleanly; not within the time: power off if forced. Shut off already is fine.

        Raises: errors.ServerNotFound, errors.ServerBusy, errors.ShutdownTimeout, errors.ServerStateForbids.
        """
        _row, summary = self._find_idle(owner_id, reference)
        if summary.power_state.is_active:
            virt_power.shut_down(
                self.host,
                summary.uuid,
                timeout_seconds=timeout_seconds,
                is_forced=is_forced,
                clock=self.clock,
                wait=self.wait,
                check_cancelled=lambda: None,
            )
        return self._view(*self.find(owner_id, summary.uuid))

    def delete(self, owner_id: uuid.UUID, reference: str, *, is_volumes_deleted: bool, is_forced: bool) -> None:
        """Forget the server with its NVRAM and seed, with its volumes if asked; a running one only if forced.

        What can be seen to forbid it is told before anything is done. Volumes go first and the definition last: where a part
        fails, the server is still there to be deleted again.

        Raises: errors.ServerNotFound, errors.ServerBusy, errors.ServerStateForbids, errors.VolumeNotInPool, errors.NotInFull.
        """
        row, summary = self._find_idle(owner_id, reference)
        if summary.power_state.is_active and not is_forced:
            advice = "stop it first, or delete it with --force, which powers it off"
            raise errors.ServerStateForbids(server=summary.name, state=summary.power_state, advice=advice)
        doomed = self._volumes(summary) if is_volumes_deleted else {}
        if summary.power_state.is_active:
            self.host.power_off(summary.uuid)
        with attempts.Attempts(f"deleting server {summary.name!r}, which is still defined,") as deleting:
            for target, volume in doomed.items():
                with deleting.of(f"volume {target} ({volume.name} in pool {volume.pool})"):
                    self.host.delete_volume(volume.pool, volume.name)
            for seed in self.seed_directory.glob(f"*-{summary.uuid[:8]}-seed.iso"):  # it may have been renamed
                with deleting.of(f"seed {seed}"):
                    seed.unlink(missing_ok=True)
        self.host.undefine(summary.uuid)
        self.rows.remove(row.id)

    def assign(self, reference: str, owner_id: uuid.UUID) -> views.ServerView:
        """Give a server of the host to an account, whoever has it now; its templates stay where they are.

        Raises: errors.ServerNotFound, errors.ServerBusy.
        """
        row, summary = self._find_anybodys(reference)
        self._check_idle(summary)
        return self._view(self.rows.assign(row.id, owner_id), summary)

    def find(self, owner_id: uuid.UUID, reference: str) -> tuple[servers.Server, virt.DomainSummary]:
        """A server by name, server id or domain UUID. Raises: errors.ServerNotFound (another account's as well)."""
        row, summary = self._find_anybodys(reference)
        if row.owner_id != owner_id:
            raise errors.ServerNotFound(server=reference)
        return row, summary

    def _find_anybodys(self, reference: str) -> tuple[servers.Server, virt.DomainSummary]:
        summary = self.host.find_domain(reference) or self._find_by_id(reference)
        if summary is None:
            raise errors.ServerNotFound(server=reference)
        return self._row(summary), summary

    def _find_by_id(self, reference: str) -> virt.DomainSummary | None:
        try:
            row = self.rows.get(uuid.UUID(reference))
        except (ValueError, errors.ServerNotFound):
            return None
        return self.host.find_domain(str(row.domain_uuid))

    def _find_idle(self, owner_id: uuid.UUID, reference: str) -> tuple[servers.Server, virt.DomainSummary]:
        row, summary = self.find(owner_id, reference)
        self._check_idle(summary)
        return row, summary

    def _check_idle(self, summary: virt.DomainSummary) -> None:
        busy = self._holder(summary)
        if busy is not None:
            raise errors.ServerBusy(server=summary.name, operation=str(busy))

    def _row(self, summary: virt.DomainSummary) -> servers.Server:
        """A domain that nobody was assigned belongs to the default account, whoever looks at it first."""
        domain_uuid = uuid.UUID(summary.uuid)
        return self.rows.ensure(owner_id=account.DEFAULT_ACCOUNT_ID, domain_uuid=domain_uuid, name=summary.name)

    def _view(
        self, row: servers.Server, summary: virt.DomainSummary, origins: Mapping[uuid.UUID, str] | None = None
    ) -> views.ServerView:
        return views.ServerView(
            id=row.id,
            name=summary.name,
            domain_uuid=row.domain_uuid,
            power_state=summary.power_state,
            cpus=summary.cpus,
            memory_bytes=summary.memory_bytes,
            is_persistent=summary.is_persistent,
            template=(self._origins([row]) if origins is None else origins).get(row.id),
            template_id=row.template_id,
            busy_operation=self._holder(summary),
        )

    def _holder(self, summary: virt.DomainSummary) -> uuid.UUID | None:
        return locks.find_server_holder(self.operations, domain_uuid=summary.uuid, name=summary.name)

    def _origins(self, rows: Sequence[servers.Server]) -> dict[uuid.UUID, str]:
        """How the templates are called that servers came from, by the servers' ids, as the servers' accounts see them."""
        wanted: dict[uuid.UUID, set[uuid.UUID]] = {}
        for row in rows:
            if row.template_id is not None:
                wanted.setdefault(row.owner_id, set()).add(row.template_id)
        seen = {owner_id: self.templates.visible.find_by_ids(owner_id, ids) for owner_id, ids in wanted.items()}
        return {
            row.id: sight.origin(
                seen[row.owner_id].get(row.template_id), template_id=row.template_id, last_name=row.template_name
            )
            for row in rows
            if row.template_id is not None
        }

    def _volumes(self, summary: virt.DomainSummary) -> dict[str, virt.VolumeName]:
        """The server's own writable volumes by target, never a backing image, which others may share; those that are gone left out.

        By the definition alone: what a chain is made of, or lacks, must not stand in the way. Raises: errors.VolumeNotInPool.
        """
        active = {pool.name for pool in self.host.list_pools()}  # this refreshes them, too
        places = self.host.volume_places(summary.uuid)
        found = {place.target: self._find_volume(summary, place, active) for place in places}
        return {target: volume for target, volume in found.items() if volume is not None}

    def _find_volume(
        self, summary: virt.DomainSummary, place: virt.VolumePlace, active: Collection[str]
    ) -> virt.VolumeName | None:
        if place.volume is not None and place.volume.pool in active:
            return place.volume
        if place.path is not None:
            found = self.host.find_volume_by_path(place.path)
            if found is not None or not os.path.lexists(place.path):
                return found
        where = place.path if place.volume is None else f"{place.volume.name} in pool {place.volume.pool}"
        raise errors.VolumeNotInPool(volume=place.target, place=where, server=summary.name)


def _fits(summary: virt.DomainSummary, query: listing.ServerQuery) -> bool:
    if query.power_states and summary.power_state not in query.power_states:
        return False
    # As globs of templates, which know no sets in brackets.
    return query.name_glob is None or fnmatch.fnmatchcase(summary.name, query.name_glob.replace("[", "[[]"))


def _position(cursor: str) -> tuple[str, str]:
    name, domain_uuid = listing.position(cursor, _BY_NAME, 2)
    if not isinstance(name, str) or not isinstance(domain_uuid, str):
        raise listing.bad_cursor()
    return name, domain_uuid
