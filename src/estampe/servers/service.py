"""Servers: list, show, start, stop, delete."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from estampe import errors
from estampe.db import operations as operation_rows
from estampe.db import servers as server_rows
from estampe.db import templates as template_rows
from estampe.jobs import locks
from estampe.model import account
from estampe.model import server as servers
from estampe.servers import views
from estampe.virt import base as virt
from estampe.virt import power as virt_power


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

    def list(self, owner_id: uuid.UUID) -> Sequence[views.ServerView]:
        """All the account may see, by name."""
        seen = [(self._row(summary), summary) for summary in self.host.list_domains()]
        return [self._view(row, summary) for row, summary in seen if row.owner_id == owner_id]

    def get(self, owner_id: uuid.UUID, reference: str) -> views.ServerDetail:
        """One, with its configuration, or why it cannot be read. Raises: errors.ServerNotFound."""
        row, summary = self.find(owner_id, reference)
        view = self._view(row, summary)
        addresses = tuple(self.host.interface_addresses(summary.uuid)) if summary.power_state.is_active else ()
        try:
            domain = self.host.get_domain(summary.uuid)
        except (errors.NotAVirtualServer, errors.Unsupported, errors.VolumeGone) as error:
            return views.ServerDetail(summary=view, configuration=None, addresses=addresses, problem=str(error))
        return views.ServerDetail(summary=view, configuration=domain.configuration, addresses=addresses, problem=None)

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

        Raises: errors.ServerNotFound, errors.ServerBusy, errors.ServerStateForbids.
        """
        row, summary = self._find_idle(owner_id, reference)
        if summary.power_state.is_active:
            if not is_forced:
                advice = "stop it first, or delete it with --force, which powers it off"
                raise errors.ServerStateForbids(server=summary.name, state=summary.power_state, advice=advice)
            self.host.power_off(summary.uuid)
        doomed = self._volumes(summary.uuid) if is_volumes_deleted else ()
        self.host.undefine(summary.uuid)
        for volume in doomed:
            self.host.delete_volume(volume.pool, volume.name)
        for seed in self.seed_directory.glob(f"*-{summary.uuid[:8]}-seed.iso"):  # it may have been renamed
            seed.unlink(missing_ok=True)
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
        busy = locks.find_holder(self.operations, locks.server(summary.uuid))
        if busy is not None:
            raise errors.ServerBusy(server=summary.name, operation=str(busy))

    def _row(self, summary: virt.DomainSummary) -> servers.Server:
        """A domain that nobody was assigned belongs to the default account, whoever looks at it first."""
        domain_uuid = uuid.UUID(summary.uuid)
        return self.rows.ensure(owner_id=account.DEFAULT_ACCOUNT_ID, domain_uuid=domain_uuid, name=summary.name)

    def _view(self, row: servers.Server, summary: virt.DomainSummary) -> views.ServerView:
        return views.ServerView(
            id=row.id,
            name=summary.name,
            domain_uuid=row.domain_uuid,
            power_state=summary.power_state,
            cpus=summary.cpus,
            memory_bytes=summary.memory_bytes,
            is_persistent=summary.is_persistent,
            template=self._origin(row),
            busy_operation=locks.find_holder(self.operations, locks.server(summary.uuid)),
        )

    def _origin(self, row: servers.Server) -> str | None:
        if row.template_id is None:
            return None
        try:
            found = self.templates.get(row.template_id)
        except errors.TemplateNotFound:
            return f"{row.template_id} (deleted)"
        return f"{found.name}@{found.version}"

    def _volumes(self, domain_uuid: str) -> Sequence[virt.PoolVolume]:
        """The server's own writable volumes that lie in a pool: never a backing image, which others may share."""
        try:
            tops = [volume.chain[0].path for volume in self.host.get_domain(domain_uuid).volumes]
        except (errors.NotAVirtualServer, errors.VolumeGone):
            return ()
        found = [self.host.find_volume_by_path(path) for path in tops]
        return [volume for volume in found if volume is not None]
