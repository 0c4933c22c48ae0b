"""Deploy as a durable workflow: every effect has its undo registered before it happens.

resolve ─▶ adapt [<server>] ... ─▶ create volumes ─▶ hydrate <target> ... ─▶ apply <server> ... ─▶ configure ─▶ define ─▶ start ─▶ confirm
           └─ delete volumes, and all that the operation works with                            └─ remove    └─ undefine └─ power off
                                                                                                                (undo, backwards)
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from estampe import errors
from estampe.block import base as block
from estampe.block import file, nbd
from estampe.db import servers as server_rows
from estampe.db import templates as template_rows
from estampe.deploy import adapting, confirm, definition, hydrate, in_place, origin, resolve, seed, volumes
from estampe.deploy import request as requests
from estampe.deploy import resolved as decisions
from estampe.deploy import wish as wishes
from estampe.guest import base as guest
from estampe.jobs import attempts, dispatch, runner
from estampe.model import configuration, final, manifest, record
from estampe.model import server as servers
from estampe.store import base as stores
from estampe.store import chunks as store_chunks
from estampe.store import manifests
from estampe.virt import base as virt
from estampe.virt import qemu_nbd

_STAYS: Final = "it stays with all it uses; remove it with `estampe server delete --delete-volumes --force`"


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
    adapter: adapting.Adapting
    pool_locks: volumes.PoolLocks = field(default_factory=volumes.PoolLocks)

    def __call__(self, work: runner.Work) -> dict[str, Any]:
        """Deploy what the operation's request asks for; the result names the servers and what is known of them."""
        request = record.load(requests.DeployRequest, work.operation.request["deploy"])
        recorded_decisions = work.steps.run(
            "resolve", lambda: record.dump(self._resolve(work, request).with_wishes(wishes.without_secrets))
        )
        resolved = record.load(decisions.Resolved, recorded_decisions)
        resolved = resolved.with_wishes(functools.partial(wishes.with_secrets, request=request))
        work.undo.add("delete volumes", lambda: self._delete_volumes(work, resolved))
        told = self._adapt_all(work, resolved)
        recorded = work.steps.run("create volumes", lambda: self._create_volumes(work, resolved))
        made = {name: record.load(virt.PoolVolume, volume) for name, volume in recorded.items()}
        for volume in resolved.servers[0].volumes:
            if volume.is_new:
                continue
            work.steps.run(
                f"hydrate {volume.target}", functools.partial(self._hydrate, work, resolved, volume.target, made)
            )
        for launch in resolved.launches:
            for name in launch.servers:
                work.steps.run(f"apply {name}", functools.partial(self._apply, work, resolved, launch, name, made))
        work.undo.add("remove configuration", lambda: self._remove_configuration(resolved))
        work.steps.run("configure", lambda: self._configure(work, resolved))
        work.undo.add("undefine", lambda: self._undefine(resolved))
        reports = {server.name: resolved.report(server, told.get(server.name, ())) for server in resolved.servers}
        work.steps.run("define", lambda: self._define(work, resolved, made, reports))
        found: list[dict[str, Any]] = []
        if request.is_started:
            work.undo.add("power off", lambda: self._power_off(resolved))
            work.steps.run("start", lambda: self._start(work, resolved))
            found = work.steps.run("confirm", lambda: self._confirm(work, resolved))
        work.undo.keep()
        work.steps.run("clean up", lambda: self._clean_up(work))
        return _result(resolved, found, reports)

    def _adapt_all(self, work: runner.Work, resolved: decisions.Resolved) -> dict[str, tuple[final.Change, ...]]:
        """What each launch has told of its configuration, by server."""
        told: dict[str, tuple[final.Change, ...]] = {}
        for launch in resolved.launches:
            step = "adapt" if launch.name is None else f"adapt {launch.name}"
            outcome = work.steps.run(step, functools.partial(self._adapt, work, resolved, launch))
            told.update(record.load(guest.Adapted, outcome).changes)
        return told

    def _adapt(self, work: runner.Work, resolved: decisions.Resolved, launch: decisions.Launch) -> Any:
        work.progress.phase("adapting volumes" if launch.name is None else f"adapting the volumes of {launch.name}")
        return record.dump(
            self.adapter.adapt(
                self._manifest(resolved.template_id),
                resolved.servers[0].volumes,
                launch.adaptation,
                place=self._adapted(work, launch),
                check_cancelled=work.progress.check_cancelled,
                tell=lambda what: work.progress.phase(f"adapting volumes: {what}"),
            )
        )

    def _adapted(self, work: runner.Work, launch: decisions.Launch) -> adapting.Place:
        directory = self._workspace(work) / "adapted" / (launch.name or "all")
        return adapting.Place(directory=directory, sockets=self._sockets(work))

    def _apply(
        self,
        work: runner.Work,
        resolved: decisions.Resolved,
        launch: decisions.Launch,
        name: str,
        made: dict[str, virt.PoolVolume],
    ) -> None:
        work.progress.phase(f"applying what was adapted to {name}")
        server = next(server for server in resolved.servers if server.name == name)
        place = self._adapted(work, launch)
        for volume in server.volumes:
            place.sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.ExitStack() as stack:
                self.adapter.apply(
                    place.layers(volume.target, name, launch.adaptation),
                    self._writer(stack, made[volume.volume_name], place.sockets),
                    sockets=place.sockets,
                    advance=work.progress.advance,
                    check_cancelled=work.progress.check_cancelled,
                )

    def _manifest(self, template_id: uuid.UUID) -> manifest.Manifest:
        return manifests.get(self.store, template_id)

    def _resolve(self, work: runner.Work, request: requests.DeployRequest) -> decisions.Resolved:
        work.progress.phase("planning")
        owner_id = work.operation.owner_id
        seen = origin.get(self.templates, owner_id, request.template)
        resolved = self.resolver.resolve(
            request,
            self._manifest(seen.template.id),
            template=seen.reference,
            at=dispatch.utc_now(),
            needs=seen.template.characteristics,
            is_own=seen.is_own,
        )
        return origin.told(self.templates, owner_id, seen, resolved)

    def _create_volumes(self, work: runner.Work, resolved: decisions.Resolved) -> dict[str, Any]:
        work.progress.phase("creating volumes")
        return {
            volume.volume_name: record.dump(self._volumes(work, resolved).ensure(volume))
            for server in resolved.servers
            for volume in server.volumes
        }

    def _volumes(self, work: runner.Work, resolved: decisions.Resolved) -> volumes.Volumes:
        return volumes.Volumes(
            host=self.host, pool=resolved.pool, claims=self._workspace(work) / "claims", locks=self.pool_locks
        )

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
        names = [
            volume.volume_name for server in resolved.servers for volume in server.volumes if volume.target == target
        ]
        hydrator = hydrate.Hydrator(
            chunks=self.chunks,
            chunk_size_bytes=found.chunk_size_bytes,
            threads=self.threads,
            advance=work.progress.advance,
            check_cancelled=work.progress.check_cancelled,
            begin=lambda what, total_bytes: work.progress.phase(f"{what} {target}", total_bytes),
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
        writer = stack.enter_context(in_place.open_writer(layer))
        if writer is not None:
            return writer
        export = stack.enter_context(
            qemu_nbd.export([layer], socket_dir=sockets, is_read_only=False, connections=self.threads)
        )
        return stack.enter_context(
            nbd.NbdVolume(
                Path(export.socket_path),
                connections=self.threads,
                is_writable=True,
                is_zeroed=True,
                where=f"volume {volume.name} of the storage pool {volume.pool}",
            )
        )

    def _configure(self, work: runner.Work, resolved: decisions.Resolved) -> None:
        work.progress.phase("configuring")
        found = self._manifest(resolved.template_id)
        nvram = store_chunks.get_blob(self.chunks, found.nvram) if found.nvram else None
        for server in resolved.servers:
            if server.nvram_name and nvram is not None:
                self.host.write_nvram(self.host.nvram_path(server.nvram_name), nvram)
            if server.has_tpm_state and found.vtpm is not None:
                state = store_chunks.get_blob(self.chunks, found.vtpm.state)
                self.host.write_tpm_state(str(server.uuid), found.vtpm.version, state)
            if server.seed_name:
                self.seeds.write(server, resolved.means)

    def _define(
        self,
        work: runner.Work,
        resolved: decisions.Resolved,
        made: dict[str, virt.PoolVolume],
        reports: dict[str, tuple[final.Change, ...]],
    ) -> None:
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
                    template_name=resolved.template if resolved.template_scope else None,
                    template_scope=resolved.template_scope,
                    created_at=resolved.decided_at,
                    cpus=resolved.cpus,
                    memory_bytes=resolved.memory_bytes,
                    volume_bytes=sum(volume.size_bytes for volume in server.volumes),
                    report=reports[server.name],
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
        """Undo what another generation of this workflow has done, by what its steps recorded; never what was complete."""
        if "resolve" not in outcomes:
            return
        resolved = record.load(decisions.Resolved, outcomes["resolve"])
        if _is_complete(work, outcomes):
            self._clean_up(work)
            names = ", ".join(server.name for server in resolved.servers)
            raise errors.NotInFull(what="undoing", problems=f"the deploy was complete, and its servers stay: {names}")
        with attempts.Attempts("undoing") as undoing:
            for part in (self._power_off, self._undefine, self._remove_configuration):
                with undoing.of(resolved.template):
                    part(resolved)
            with undoing.of(resolved.template):
                self._delete_volumes(work, resolved)

    # --- undo: each copes with "not made", and goes on past what fails; a server that stays keeps what it uses -------------

    def _delete_volumes(self, work: runner.Work, resolved: decisions.Resolved) -> None:
        shutil.rmtree(self._sockets(work), ignore_errors=True)
        kept: set[str] = set()
        with attempts.Attempts("deleting volumes") as deleting:
            for server in resolved.servers:
                with deleting.of(server.name):
                    kept |= {volume.volume_name for volume in server.volumes}
                    self._check_is_gone(server)
                    kept -= {volume.volume_name for volume in server.volumes}
            self._volumes(work, resolved).remove_all(deleting, kept=kept)
        self._clean_up(work)

    def _clean_up(self, work: runner.Work) -> None:
        for directory in (self._workspace(work), self._sockets(work)):
            shutil.rmtree(directory, ignore_errors=True)

    def _remove_configuration(self, resolved: decisions.Resolved) -> None:
        with attempts.Attempts("removing configuration") as removing:
            for server in resolved.servers:
                with removing.of(server.name):
                    self._check_is_gone(server)
                    if server.nvram_name:
                        self.host.delete_nvram(self.host.nvram_path(server.nvram_name))
                    if server.has_tpm_state:
                        self.host.delete_tpm_state(str(server.uuid))
                    if server.seed_name:
                        self.seeds.remove(server.seed_name)

    def _undefine(self, resolved: decisions.Resolved) -> None:
        with attempts.Attempts("undefining") as undefining:
            for server in resolved.servers:
                with undefining.of(server.name):
                    self._check_is_off(server)
                    self.host.undefine(str(server.uuid))
                    row = self.servers.find_by_domain(server.uuid)
                    if row is not None:
                        self.servers.remove(row.id)

    def _power_off(self, resolved: decisions.Resolved) -> None:
        with attempts.Attempts("powering off") as powering_off:
            for server in resolved.servers:
                with powering_off.of(server.name), contextlib.suppress(errors.ServerNotFound):
                    self.host.power_off(str(server.uuid))

    def _check_is_off(self, server: decisions.ResolvedServer) -> None:
        """Raises: errors.ServerStateForbids."""
        with contextlib.suppress(errors.ServerNotFound):
            state = self.host.power_state(str(server.uuid))
            if state.is_active:
                raise errors.ServerStateForbids(server=server.name, state=state, advice=_STAYS)

    def _check_is_gone(self, server: decisions.ResolvedServer) -> None:
        """Raises: errors.ServerStateForbids where the server is still defined: without its parts it could not even be looked at."""
        with contextlib.suppress(errors.ServerNotFound):
            state = self.host.power_state(str(server.uuid))
            raise errors.ServerStateForbids(server=server.name, state=state, advice=_STAYS)


def _is_complete(work: runner.Work, outcomes: Mapping[str, Any]) -> bool:
    """Whether the body was past its point of no return (`undo.keep`) when it was cut off: nothing came behind it that can fail."""
    request = record.load(requests.DeployRequest, work.operation.request["deploy"])
    last = "confirm" if request.is_started else "define"
    return "clean up" in outcomes or last in outcomes


def _result(
    resolved: decisions.Resolved, found: list[dict[str, Any]], reports: dict[str, tuple[final.Change, ...]]
) -> dict[str, Any]:
    answers = {answer["name"]: answer for answer in found}
    return {
        "template_id": str(resolved.template_id),
        "template": resolved.template,
        "servers": [
            {
                "id": str(server.uuid),
                "name": server.name,
                "hostname": server.hostname,
                "report": [record.dump(change) for change in reports[server.name]],
                **answers.get(server.name, {}),
            }
            for server in resolved.servers
        ],
        "changes": [record.dump(change) for change in resolved.changes],
        "settings": [record.dump(setting) for setting in resolved.settings],
        "warnings": list(resolved.warnings),
    }
