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
        """What `start` would do; nothing is touched, and nobody is kept from starting the server meanwhile. Raises as `start`."""
        server = self._find(owner_id, request)
        holder = locks.find_server_holder(self.dispatcher.rows, domain_uuid=server.uuid, name=server.name)
        if holder is not None:
            raise errors.ServerBusy(server=server.name, operation=str(holder))
        seen, name = self._examine(request, server)
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
        seen, name = self._examine(request, self._find(owner_id, request))
        asked = {
            "capture": record.dump(request),
            "domain_uuid": seen.domain_uuid,
            "template_id": str(uuid.uuid4()),
            "template_name": name,
        }
        keys = (
            locks.server(seen.domain_uuid),
            locks.server_name(seen.server_name),
        )  # a deploy that makes it holds the name
        wanted = [operation_rows.Lock(key, is_exclusive=True) for key in keys]
        try:
            return self.dispatcher.start(
                operation.Kind.CAPTURE, owner_id=owner_id, subject=seen.server_name, request=asked, locks=wanted,
                demand=quota_rows.Demand(amount=quota.Amount(templates=1)),
            )  # fmt: skip
        except operation_rows.LockHeld as held:
            raise errors.ServerBusy(server=seen.server_name, operation=str(held.operation_id)) from held

    def _find(self, owner_id: uuid.UUID, request: requests.CaptureRequest) -> virt.DomainSummary:
        if not 0 <= request.stop_timeout_seconds <= 24 * 3600:
            raise errors.InvalidRequest(field="stop_timeout_seconds", problem="must be from 0 to a day")
        for field, asked in (("keep", request.keep), ("remove", request.remove)):
            if asked and not request.is_sealed:
                raise errors.InvalidRequest(field=field, problem="without sealing nothing is kept or removed")
        _row, summary = self.servers.find(owner_id, request.server)
        return summary

    def _examine(self, request: requests.CaptureRequest, server: virt.DomainSummary) -> tuple[examine.Seen, str]:
        seen = examine.examine(self.host, request, server=server.uuid)
        if request.characteristics is not None:
            sizes = {volume.target: volume.size_bytes for volume in seen.volumes}
            request.characteristics.check_volumes(sizes, owner=f"server {seen.server_name!r}")
        return seen, _template_name(request, seen.server_name)

    def _warnings(self, seen: examine.Seen, request: requests.CaptureRequest, new_bytes: int) -> tuple[str, ...]:
        warnings = []
        available = self.store.available_bytes()
        if available is not None and new_bytes > available:
            told = f"{units.format_bytes(new_bytes)} may be needed, {units.format_bytes(available)} are free"
            warnings.append(f"the store may be too small: {told}")
        if not request.is_sealed:
            warnings.append("without sealing, clones share the server's machine-id, SSH host keys and other identity")
        if request.keep:
            kept = ", ".join(request.keep)
            warnings.append(f"--keep: every server made from the template has {kept} of this one")
        if request.is_vtpm_kept:
            warnings.append(
                "--keep-vtpm: the template holds the keys of the server's TPM; only servers of your account can get them"
            )
        if seen.was is not power.PowerState.SHUT_OFF and request.is_forced:
            warnings.append("--force: if the guest does not shut down in time its power is cut")
        return tuple(warnings)


def _template_name(request: requests.CaptureRequest, server_name: str) -> str:
    """Raises: errors.InvalidName, errors.InvalidRequest."""
    if request.name is not None:
        return templates.check_name(request.name)
    try:
        return templates.check_name(default_name(server_name))
    except errors.InvalidName as error:
        problem = (
            f"no template can have the server's name {server_name!r} ({error.facts['rule']}); give one with --name"
        )
        raise errors.InvalidRequest(field="name", problem=problem) from error


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
