"""Capture as a durable workflow: the server gets its power state back whatever happens in between.

examine ─▶ reserve ─▶ ┌ stop ─▶ copy ─▶ restore power ┐ ─▶ finish ─▶ store manifest ─▶ publish ─▶ clean up
           └─ forget  └─ restore power, on any failure┘               └─ delete it            (undo, backwards)
"""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from estampe import errors
from estampe.capture import copying, examine, finish, offline, volume, workspace
from estampe.capture import request as requests
from estampe.db import servers as server_rows
from estampe.db import templates as template_rows
from estampe.guest import base as guest
from estampe.jobs import runner
from estampe.model import account, chunk, manifest, record
from estampe.model import configuration as configurations
from estampe.model import guest as guests
from estampe.model import template as templates
from estampe.store import manifests
from estampe.virt import base as virt


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureWorkflow:
    """The workflow's body with all that its steps work on."""

    host: virt.Host
    templates: template_rows.Templates
    servers: server_rows.Servers
    stopper: offline.Offline
    copier: copying.Copying
    finisher: finish.Finisher
    work_directory: Path
    socket_directory: Path

    def __call__(self, work: runner.Work) -> dict[str, Any]:
        """Capture what the operation's request asks for; the result names the template and its figures."""
        request = record.load(requests.CaptureRequest, work.operation.request["capture"])
        template_id = uuid.UUID(work.operation.request["template_id"])
        steps, place = work.steps, self._place(work)
        seen = record.load(examine.Seen, steps.run("examine", lambda: record.dump(self._examine(work, request))))
        work.undo.add("clean up", place.remove)
        work.undo.add("forget template", lambda: self._forget(template_id))
        template = steps.run("reserve", lambda: self._reserve(work, request, seen, template_id))
        with work.undo.nested() as offline_undo:
            offline_undo.add("restore power", lambda: self._restore_power(work, seen))
            stopped_at = steps.run("stop", lambda: self._stop(work, request, seen))
            copied = record.load(copying.Total, steps.run("copy", lambda: self._copy(work, seen)))
            restored_at = steps.run("restore power", lambda: self._restore_power(work, seen))
        finished = record.load(_Finished, steps.run("finish", lambda: record.dump(self._finish(work, request, seen))))
        work.undo.add("delete manifest", lambda: self._delete_manifest(template_id))
        sizes = steps.run("store manifest", lambda: self._store_manifest(work, seen, template, copied, finished))
        new_bytes = copied.new_bytes + finished.new_bytes
        # A template that can be listed, and so deployed, is never taken back: from its row's commit on, which a kill may
        # part from this step's record, a cancel comes too late.
        steps.run(
            "publish",
            lambda: self._publish(template_id, sizes, new_bytes, finished),
            is_done=lambda: self._is_published(template_id),
        )
        work.undo.keep()
        steps.run("clean up", place.remove)
        return {
            "template_id": str(template_id),
            "template": f"{template['name']}@{template['version']}",
            "server": seen.server_name,
            "offline_seconds": max(0.0, restored_at - stopped_at) if seen.was.is_active else 0.0,
            "read_bytes": copied.read_bytes,
            "new_bytes": new_bytes,
            "is_sealed": finished.told.sealing.is_sealed,
            "why_not_sealed": finished.told.sealing.why_not,
            **sizes,
        }

    def abandon(self, work: runner.Work, outcomes: Mapping[str, Any]) -> None:
        """What undoes what another generation of this workflow has done and not undone, by what its steps recorded."""
        template_id = uuid.UUID(work.operation.request["template_id"])
        work.undo.add("clean up", self._place(work).remove)
        work.undo.add("forget template", lambda: self._forget(template_id))
        work.undo.add("delete manifest", lambda: self._delete_manifest(template_id))
        if "examine" in outcomes and not outcomes.keys() & {"restore power", "undo restore power"}:
            work.undo.add("restore power", lambda: self._restore_if_stopped(work, outcomes))

    def _restore_if_stopped(self, work: runner.Work, outcomes: Mapping[str, Any]) -> None:
        """Whoever else has shut the server down wants it off."""
        if "stop" in outcomes or self._place(work).shutdown_marker.exists():
            self._restore_power(work, record.load(examine.Seen, outcomes["examine"]))

    def _place(self, work: runner.Work) -> workspace.Workspace:
        return workspace.Workspace.of(
            work.operation.id, work_directory=self.work_directory, socket_directory=self.socket_directory
        )

    # --- steps --------------------------------------------------------------------------------------------------------

    def _examine(self, work: runner.Work, request: requests.CaptureRequest) -> examine.Seen:
        work.progress.phase("planning")
        return examine.examine(self.host, request, server=work.operation.request["domain_uuid"])

    def _reserve(
        self, work: runner.Work, request: requests.CaptureRequest, seen: examine.Seen, template_id: uuid.UUID
    ) -> dict[str, Any]:
        owner, domain = work.operation.owner_id, uuid.UUID(seen.domain_uuid)
        server = self.servers.ensure(owner_id=account.DEFAULT_ACCOUNT_ID, domain_uuid=domain, name=seen.server_name)
        reserved = self.templates.reserve(
            id=template_id,
            owner_id=owner,
            name=work.operation.request["template_name"],
            note=request.note,
            tags=request.tags,
            server_id=server.id,
            server_name=seen.server_name,
            created_at=work.operation.created_at,
            characteristics=request.characteristics,
        )
        return {"id": str(reserved.id), "name": reserved.name, "version": reserved.version}

    def _stop(self, work: runner.Work, request: requests.CaptureRequest, seen: examine.Seen) -> float:
        """Returns when (seconds since the epoch) the guest was asked to go."""
        asked_at = time.time()
        if seen.was.is_active:
            work.progress.phase("shutting down the server")
            self.stopper.stop(request, seen, self._place(work), check_cancelled=work.progress.check_cancelled)
        return asked_at

    def _copy(self, work: runner.Work, seen: examine.Seen) -> Any:
        return record.dump(self.copier.copy(seen, self._place(work), work.progress))

    def _restore_power(self, work: runner.Work, seen: examine.Seen) -> float:
        """Returns when (seconds since the epoch) the server was on its way up again."""
        if seen.was.is_active:
            work.progress.phase("giving the server its power state back")
        self.stopper.restore(
            seen,
            self._place(work),
            check_closing=work.progress.check_closing,
            tell=lambda why: work.progress.phase(f"waiting to give the server its power state back: {why}"),
        )
        return time.time()

    def _finish(self, work: runner.Work, request: requests.CaptureRequest, seen: examine.Seen) -> _Finished:
        if not request.is_sealed:
            return _Finished(told=guest.Finished(guest=None, sealing=finish.not_sealed("sealing was not asked for")))
        place, check_cancelled = self._place(work), work.progress.check_cancelled
        sectors = {each.target: each.sector_size_bytes for each in seen.configuration.volumes}
        copies = [
            place.copy_of(each.target, each.size_bytes, sector_size_bytes=sectors[each.target]) for each in seen.volumes
        ]
        place.make()  # again: a power cut since the copy has emptied /run, where the sockets are
        work.progress.phase("inspecting, sealing and trimming the copy")
        told = self.finisher.run(
            copies,
            is_uefi=seen.configuration.firmware is configurations.Firmware.UEFI,
            wish=guests.SealingWish(keep=request.keep, remove=request.remove),
            workspace=place.directory,
            sockets=place.sockets,
            check_cancelled=check_cancelled,
        )
        work.progress.phase("storing what was found and what sealing changed")
        absorbed = volume.Copied()
        with self.copier.store.writer() as writer:
            inventory = self.copier.store_inventory(told.inventory, writer) if told.inventory else None
            copier = self.copier.copier(writer, advance=work.progress.advance, check_cancelled=check_cancelled)
            for copy in copies if told.is_overlay_usable else ():
                absorbed += finish.absorb(copier, copy, workspace=place.directory, sockets=place.sockets)
            writer.flush()
        told = dataclasses.replace(told, inventory=None)  # megabytes that a step's record need not hold
        return _Finished(told=told, inventory=inventory, new_bytes=absorbed.new_bytes)

    def _store_manifest(
        self,
        work: runner.Work,
        seen: examine.Seen,
        template: dict[str, Any],
        copied: copying.Total,
        finished: _Finished,
    ) -> dict[str, Any]:
        work.progress.phase("storing the manifest")
        made = manifest.Manifest(
            template_id=uuid.UUID(template["id"]),
            owner_id=work.operation.owner_id,
            name=template["name"],
            version=template["version"],
            created_at=work.operation.created_at,
            chunk_size_bytes=self.copier.store.chunk_size_bytes,
            configuration=seen.configuration,
            nvram=copied.nvram,
            vtpm=copied.vtpm,
            guest=finished.told.guest,
            sealing=finished.told.sealing,
            layout=finished.told.layout,
            inventory=finished.inventory,
            volumes=tuple(self._manifest_volume(work, each, finished) for each in seen.volumes),
        )
        manifests.put(self.copier.store, made)
        return {
            "logical_bytes": sum(each.size_bytes for each in made.volumes),
            "data_bytes": sum(len(each.table) * made.chunk_size_bytes for each in made.volumes),
        }

    def _manifest_volume(
        self, work: runner.Work, seen: virt.DomainVolume, finished: _Finished
    ) -> manifest.ManifestVolume:
        copy = self._place(work).copy_of(seen.target, seen.size_bytes)
        path = copy.finished_table if finished.told.is_overlay_usable else copy.table
        count = chunk.chunk_count(seen.size_bytes, self.copier.store.chunk_size_bytes)
        with chunk.TableFile(path, count) as file:
            return manifest.ManifestVolume(target=seen.target, size_bytes=seen.size_bytes, table=file.table())

    def _publish(self, template_id: uuid.UUID, sizes: dict[str, Any], new_bytes: int, finished: _Finished) -> None:
        self.templates.publish(
            template_id,
            logical_bytes=sizes["logical_bytes"],
            data_bytes=sizes["data_bytes"],
            new_bytes=new_bytes,
            is_sealed=finished.told.sealing.is_sealed,
            guest_product=finished.told.guest.product if finished.told.guest else None,
        )

    def _is_published(self, template_id: uuid.UUID) -> bool:
        try:
            return self.templates.get(template_id).state is templates.State.ACTIVE
        except errors.TemplateNotFound:
            return False

    def _delete_manifest(self, template_id: uuid.UUID) -> None:
        """That of a template which nobody could see yet."""
        if not self._is_published(template_id):
            self.copier.store.delete_manifest(template_id)

    def _forget(self, template_id: uuid.UUID) -> None:
        """The reserved row, if it was made and not published."""
        if self._is_published(template_id):
            return
        try:
            self.templates.begin_delete(template_id)
        except errors.TemplateNotFound:
            return
        self.templates.remove(template_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finished:
    """What finishing the copy found, did and added; recorded by its step."""

    told: guest.Finished
    inventory: manifest.Blob | None = None
    new_bytes: int = 0
