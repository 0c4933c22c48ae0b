"""Deploy as a durable workflow: every effect has its undo registered before it happens.

resolve ─▶ create volumes ─▶ hydrate <target> ... ─▶ configure ─▶ define ─▶ start ─▶ confirm
           └─ delete them                            └─ remove    └─ undefine └─ power off      (undo, backwards)
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from estampe import errors
from estampe.block import base as block
from estampe.block import file, nbd
from estampe.db import servers as server_rows
from estampe.db import templates as template_rows
from estampe.deploy import confirm, definition, hydrate, resolve, seed, volumes
from estampe.deploy import request as requests
from estampe.deploy import resolved as decisions
from estampe.jobs import dispatch, runner
from estampe.model import configuration, manifest, record
from estampe.model import server as servers
from estampe.model import template as templates
from estampe.store import base as stores
from estampe.store import chunks as store_chunks
from estampe.store import manifests
from estampe.virt import base as virt
from estampe.virt import qemu_nbd


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployWorkflow:
    """The workflow's body with all that its steps work on."""

    host: virt.Host
    store: stores.Store
    chunks: store_chunks.Chunks
    resolver: resolve.Resolver
    templates: template_rows.Templates
    servers: server_rows.Servers
    seeds: seed.Seeds
    work_directory: Path
    sockets: Path
    threads: int
    confirmer: confirm.Confirmer

    def __call__(self, work: runner.Work) -> dict[str, Any]:
        """Deploy what the operation's request asks for; the result names the servers and what is known of them."""
        request = record.load(requests.DeployRequest, work.operation.request["deploy"])
        resolved = record.load(
            decisions.Resolved, work.steps.run("resolve", lambda: record.dump(self._resolve(work, request)))
        )
        work.undo.add("delete volumes", lambda: self._delete_volumes(work, resolved))
        recorded = work.steps.run("create volumes", lambda: self._create_volumes(work, resolved))
        made = {name: record.load(virt.PoolVolume, volume) for name, volume in recorded.items()}
        for volume in resolved.servers[0].volumes:
            work.steps.run(
                f"hydrate {volume.target}", functools.partial(self._hydrate, work, resolved, volume.target, made)
            )
        work.undo.add("remove configuration", lambda: self._remove_configuration(resolved))
        work.steps.run("configure", lambda: self._configure(work, request, resolved))
        work.undo.add("undefine", lambda: self._undefine(resolved))
        work.steps.run("define", lambda: self._define(work, resolved, made))
        found: list[dict[str, Any]] = []
        if request.is_started:
            work.undo.add("power off", lambda: self._power_off(resolved))
            work.steps.run("start", lambda: self._start(work, resolved))
            found = work.steps.run("confirm", lambda: self._confirm(work, resolved))
        work.undo.keep()
        work.steps.run("clean up", lambda: self._clean_up(work))
        return _result(resolved, found)

    def _manifest(self, template_id: uuid.UUID) -> manifest.Manifest:
        return manifests.get(self.store, template_id)

    def _resolve(self, work: runner.Work, request: requests.DeployRequest) -> decisions.Resolved:
        work.progress.phase("planning")
        template = self.templates.resolve(work.operation.owner_id, request.template)
        if template.state is not templates.State.ACTIVE:
            raise errors.TemplateNotFound(template=request.template)
        reference = f"{template.name}@{template.version}"
        return self.resolver.resolve(request, self._manifest(template.id), template=reference, at=dispatch.utc_now())

    def _create_volumes(self, work: runner.Work, resolved: decisions.Resolved) -> dict[str, Any]:
        work.progress.phase("creating volumes")
        return {
            volume.volume_name: record.dump(self._volumes(work, resolved).ensure(volume))
            for server in resolved.servers
            for volume in server.volumes
        }

    def _volumes(self, work: runner.Work, resolved: decisions.Resolved) -> volumes.Volumes:
        return volumes.Volumes(host=self.host, pool=resolved.pool, claims=self._workspace(work) / "claims")

    def _workspace(self, work: runner.Work) -> Path:
        return self.work_directory / str(work.operation.id)

    def _sockets(self, work: runner.Work) -> Path:
        # Of this operation alone, so that what a killed daemon leaves there goes with it; short, as in capture.workspace.
        return self.sockets / str(work.operation.id)[:13]

    def _hydrate(
        self, work: runner.Work, resolved: decisions.Resolved, target: str, made: dict[str, virt.PoolVolume]
    ) -> None:
        found = self._manifest(resolved.template_id)
        source = next(volume for volume in found.volumes if volume.target == target)
        plain_bytes = len(source.table) * found.chunk_size_bytes
        work.progress.phase(f"restoring {target}", plain_bytes * len(resolved.servers))
        names = [
            volume.volume_name for server in resolved.servers for volume in server.volumes if volume.target == target
        ]
        hydrator = hydrate.Hydrator(
            chunks=self.chunks,
            chunk_size_bytes=found.chunk_size_bytes,
            threads=self.threads,
            advance=work.progress.advance,
            check_cancelled=work.progress.check_cancelled,
        )
        sockets = self._sockets(work)
        sockets.mkdir(mode=0o700, exist_ok=True)
        with contextlib.ExitStack() as stack:
            writers = [self._writer(stack, made[name], sockets) for name in names]
            hydrator.hydrate(source.table, writers, size_bytes=source.size_bytes)

    def _writer(self, stack: contextlib.ExitStack, volume: virt.PoolVolume, sockets: Path) -> block.VolumeWriter:
        if volume.format is configuration.VolumeFormat.RAW:
            return stack.enter_context(file.FileWriter(volume.path, is_zeroed=not volume.is_block_device))
        layer = virt.Layer(path=volume.path, format=volume.format, is_block_device=volume.is_block_device)
        export = stack.enter_context(
            qemu_nbd.export([layer], socket_dir=sockets, is_read_only=False, connections=self.threads)
        )
        return stack.enter_context(
            nbd.NbdVolume(Path(export.socket_path), connections=self.threads, is_writable=True, is_zeroed=True)
        )

    def _configure(self, work: runner.Work, request: requests.DeployRequest, resolved: decisions.Resolved) -> None:
        work.progress.phase("configuring")
        found = self._manifest(resolved.template_id)
        nvram = store_chunks.get_blob(self.chunks, found.nvram) if found.nvram else None
        for server in resolved.servers:
            if server.nvram_name and nvram is not None:
                self.host.write_nvram(self.host.nvram_path(server.nvram_name), nvram)
            if server.seed_name:
                self.seeds.write(server, request)

    def _define(self, work: runner.Work, resolved: decisions.Resolved, made: dict[str, virt.PoolVolume]) -> None:
        found = self._manifest(resolved.template_id)
        for server in resolved.servers:
            paths = {volume.target: made[volume.volume_name] for volume in server.volumes}
            seed_path = str(self.seeds.path(server.seed_name)) if server.seed_name else None
            xml, _changes = definition.rebuild(self.host, resolved, server, found, paths=paths, seed_path=seed_path)
            self.host.define(xml)
            self.servers.add(
                servers.Server(
                    id=server.uuid,
                    owner_id=work.operation.owner_id,
                    domain_uuid=server.uuid,
                    name=server.name,
                    template_id=resolved.template_id,
                    created_at=resolved.decided_at,
                    cpus=resolved.cpus,
                    memory_bytes=resolved.memory_bytes,
                    volume_bytes=sum(volume.size_bytes for volume in server.volumes),
                )
            )

    def _start(self, work: runner.Work, resolved: decisions.Resolved) -> None:
        work.progress.phase("starting")
        for server in resolved.servers:
            work.progress.check_cancelled()
            self.host.start(str(server.uuid))

    def _confirm(self, work: runner.Work, resolved: decisions.Resolved) -> list[dict[str, Any]]:
        work.progress.phase("confirming from inside the guest")
        return [record.dump(found) for found in self.confirmer.confirm(resolved, work.progress.check_cancelled)]

    def abandon(self, work: runner.Work, outcomes: Mapping[str, Any]) -> None:
        """Undo what another generation of this workflow has done, by what its first step recorded."""
        if "resolve" not in outcomes:
            return
        resolved = record.load(decisions.Resolved, outcomes["resolve"])
        self._power_off(resolved)
        self._undefine(resolved)
        self._remove_configuration(resolved)
        self._delete_volumes(work, resolved)

    # --- undo: each copes with "not made" -----------------------------------------------------------------------------

    def _delete_volumes(self, work: runner.Work, resolved: decisions.Resolved) -> None:
        self._volumes(work, resolved).remove_all()
        self._clean_up(work)

    def _clean_up(self, work: runner.Work) -> None:
        for directory in (self._workspace(work), self._sockets(work)):
            shutil.rmtree(directory, ignore_errors=True)

    def _remove_configuration(self, resolved: decisions.Resolved) -> None:
        for server in resolved.servers:
            if server.nvram_name:
                self.host.delete_nvram(self.host.nvram_path(server.nvram_name))
            if server.seed_name:
                self.seeds.remove(server.seed_name)

    def _undefine(self, resolved: decisions.Resolved) -> None:
        for server in resolved.servers:
            self.host.undefine(str(server.uuid))
            row = self.servers.find_by_domain(server.uuid)
            if row is not None:
                self.servers.remove(row.id)

    def _power_off(self, resolved: decisions.Resolved) -> None:
        for server in resolved.servers:
            with contextlib.suppress(errors.ServerNotFound):
                self.host.power_off(str(server.uuid))


def _result(resolved: decisions.Resolved, found: list[dict[str, Any]]) -> dict[str, Any]:
    answers = {answer["name"]: answer for answer in found}
    return {
        "template_id": str(resolved.template_id),
        "template": resolved.template,
        "servers": [
            {"id": str(server.uuid), "name": server.name, "hostname": server.hostname, **answers.get(server.name, {})}
            for server in resolved.servers
        ],
        "changes": [record.dump(change) for change in resolved.changes],
    }
