"""Captures as people ask for them: the plan, and the operation."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from estampe import errors, units
from estampe.capture import estimate, examine
from estampe.capture import request as requests
from estampe.db import operations as operation_rows
from estampe.db import quotas as quota_rows
from estampe.db import templates as template_rows
from estampe.jobs import dispatch, locks
from estampe.model import operation, power, quota, record
from estampe.model import template as templates
from estampe.servers import service as server_service
from estampe.store import base as stores
from estampe.virt import base as virt


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureService:
    """Captures on one host."""

    host: virt.Host
    store: stores.Store
    servers: server_service.ServerService
    templates: template_rows.Templates
    dispatcher: dispatch.Dispatcher
    estimator: estimate.Estimator

    def plan(self, owner_id: uuid.UUID, request: requests.CaptureRequest) -> requests.CapturePlan:
        """What `start` would do; nothing is touched. Raises as `start`."""
        seen, name = self._examine(owner_id, request)
        volumes = tuple(self.estimator.volume(volume, is_running=seen.was.is_active) for volume in seen.volumes)
        return requests.CapturePlan(
            server_name=seen.server_name,
            server_uuid=seen.domain_uuid,
            power_state=seen.was,
            template_name=name,
            template_version=self.templates.next_version(owner_id, name),
            stop_steps=_stop_steps(seen, request),
            volumes=tuple(volume.planned for volume in volumes),
            left_out=seen.configuration.left_out,
            chunk_size_bytes=self.store.chunk_size_bytes,
            estimated_new_bytes=sum(volume.new_bytes for volume in volumes),
            store_available_bytes=self.store.available_bytes(),
            warnings=self._warnings(seen, request, sum(volume.new_bytes for volume in volumes)),
        )

    def start(self, owner_id: uuid.UUID, request: requests.CaptureRequest) -> operation.Operation:
        """Begin.

        Raises: errors.ServerNotFound, errors.ServerBusy, errors.NotAVirtualServer, errors.VolumeNotFound,
        errors.VolumeGone, errors.ServerStateForbids, errors.FormatUnsupported, errors.InvalidName, errors.InvalidRequest,
        errors.QuotaExceeded.
        """
        seen, name = self._examine(owner_id, request)
        asked = {
            "capture": record.dump(request),
            "domain_uuid": seen.domain_uuid,
            "template_id": str(uuid.uuid4()),
            "template_name": name,
        }
        lock = operation_rows.Lock(locks.server(seen.domain_uuid), is_exclusive=True)
        demand = quota_rows.Demand(amount=quota.Amount(templates=1))
        try:
            return self.dispatcher.start(
                operation.Kind.CAPTURE, owner_id=owner_id, subject=seen.server_name, request=asked, locks=[lock],
                demand=demand,
            )  # fmt: skip
        except operation_rows.LockHeld as held:
            raise errors.ServerBusy(server=seen.server_name, operation=str(held.operation_id)) from held

    def _examine(self, owner_id: uuid.UUID, request: requests.CaptureRequest) -> tuple[examine.Seen, str]:
        if not 0 < request.stop_timeout_seconds <= 24 * 3600:
            raise errors.InvalidRequest(field="stop_timeout_seconds", problem="must be above 0 and at most a day")
        _row, summary = self.servers.find(owner_id, request.server)
        seen = examine.examine(self.host, request, server=summary.uuid)
        return seen, templates.check_name(request.name or default_name(seen.server_name))

    def _warnings(self, seen: examine.Seen, request: requests.CaptureRequest, new_bytes: int) -> tuple[str, ...]:
        warnings = []
        available = self.store.available_bytes()
        if available is not None and new_bytes > available:
            told = f"{units.format_bytes(new_bytes)} may be needed, {units.format_bytes(available)} are free"
            warnings.append(f"the store may be too small: {told}")
        if not request.is_sealed:
            warnings.append("without sealing, clones share the server's machine-id, SSH host keys and other identity")
        if seen.was is not power.PowerState.SHUT_OFF and request.is_forced:
            warnings.append("--force: if the guest does not shut down in time its power is cut")
        return tuple(warnings)


def default_name(server_name: str) -> str:
    """The template's name where none is given: the server's, in lower case, `_` at its ends trimmed."""
    return server_name.lower().strip("._-")


def _stop_steps(seen: examine.Seen, request: requests.CaptureRequest) -> tuple[str, ...]:
    if seen.was is power.PowerState.SHUT_OFF:
        return ("the server is shut off and stays so",)
    how = "the guest agent, else ACPI" if seen.configuration.has_agent_channel else "ACPI"
    late = "its power is cut" if request.is_forced else "the capture ends with an error and the server runs on"
    return (
        f"shut down by {how}; after {units.format_duration(request.stop_timeout_seconds)} {late}",
        "volumes locked against starts and writes, read, and released",
        "started again" + (", paused as it was" if seen.was is power.PowerState.PAUSED else ""),
        "then inspected, sealed and trimmed on the copy" if request.is_sealed else "not sealed, as asked",
    )
