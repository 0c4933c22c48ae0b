"""An installation on a fake host, with its store in memory and an engine that is cut off where a test says."""

import contextlib
import dataclasses
import datetime
import json
import random
import shutil
import uuid
from pathlib import Path

from estampe import config, wiring
from estampe.capture import request as capture_request
from estampe.db import database
from estampe.deploy import request as deploy_request
from estampe.guest import base as guest
from estampe.jobs import memory as memory_engine
from estampe.model import account, configuration, final, manifest, operation
from estampe.store import chunks, manifests
from estampe.store import memory as memory_store
from estampe.virt import base as virt
from estampe.virt import fake

OWNER = account.DEFAULT_ACCOUNT_ID
CHUNK = 64 * 1024
SIZE = 20 * CHUNK + 512


class FakeAdapter:
    """See deploy.adapting.Adapting: an overlay is a file that says what is to be written where; each volume gets a mark."""

    def __init__(self) -> None:
        self.adaptations = []
        self.failure: Exception | None = None

    def adapt(self, found, volumes, adaptation, *, place, check_cancelled, tell):
        tell("at it")
        check_cancelled()
        if self.failure is not None:
            raise self.failure
        self.adaptations.append(adaptation)
        place.directory.mkdir(parents=True, exist_ok=True)
        for volume in volumes:
            place.overlay(volume.target).write_text(json.dumps([volume.size_bytes - 16, f"made for {volume.target}"]))
            for each in adaptation.configurations:
                own = place.own(volume.target, each.server)
                own.write_text(json.dumps([volume.size_bytes - 32, f"own of {each.wish.hostname}"]))
        return guest.Adapted(
            changes={
                each.server: (final.Change(what="host name", means=final.Means.APPLIANCE, detail=each.wish.hostname),)
                for each in adaptation.configurations
            }
        )

    def apply(self, layers, writer, *, sockets, advance, check_cancelled):
        check_cancelled()
        for path in reversed(layers):
            offset, mark = json.loads(path.read_text())
            writer.write(offset, mark.encode())
        writer.flush()


class Site:
    """Everything wired; `kill_at` and `run` drive the engine, a killed daemon is started anew by `run` itself."""

    def __init__(self, directory: Path, migrated: Path | str, *, run_directory: Path, **settings) -> None:
        """`migrated` is a database with its tables: a file to copy, or the URL of one to use."""
        self.directory = directory
        self.now = 0.0
        self.today = datetime.datetime.now(datetime.UTC)
        self.settings = config.Settings(
            state_directory=directory / "state", run_directory=run_directory, default_pool="pool",
            default_network="lan", copy_threads=2, confirm_timeout_seconds=60, **settings,
        )  # fmt: skip
        self.host = fake.FakeHost(directory / "host")
        self.pool = self.host.add_pool("pool")
        self.host.add_network("lan")
        self.store = memory_store.MemoryStore(chunk_size_bytes=CHUNK)
        self.steps: list[str] = []
        self.engine = memory_engine.MemoryEngine(observer=self._observe)
        self.adapter = FakeAdapter()
        self.places = wiring.Places.make(self.settings)
        self._kill: tuple[str, str] | None = None
        if isinstance(migrated, Path):
            shutil.copyfile(migrated, self.places.database)
            migrated = f"sqlite:///{self.places.database}"
        self.db = database.Database.open(migrated)
        self._start_daemon()

    def _observe(self, _operation_id, step, event) -> None:
        if event == "begin":
            self.steps.append(step)

    def _start_daemon(self) -> None:
        adapters = wiring.Adapters(
            db=self.db, store=self.store, host=self.host, engine=self.engine, adapter=self.adapter
        )
        self.installation = wiring.wire(
            self.settings, self.places, adapters, closing=contextlib.ExitStack(),
            clock=lambda: self.now, wait=self._pass, now=lambda: self.today,
        )  # fmt: skip
        self.services = self.installation.services
        self.installation.launch()

    def _pass(self, seconds: float) -> None:
        self.now += seconds

    def close(self) -> None:
        self.host.close()
        self.db.close()

    def add_server(self, name: str = "web", *, is_running: bool = False, seed: int = 1, **guest) -> str:
        volume = self.host.create_volume("pool", f"{name}.raw", size_bytes=SIZE, format=configuration.VolumeFormat.RAW)
        with Path(volume.path).open("r+b") as stream:
            rng = random.Random(seed)
            for offset in (0, 3 * CHUNK + 7, SIZE - 100):
                stream.seek(offset)
                stream.write(rng.randbytes(min(CHUNK, SIZE - offset)))
        attached = virt.NewVolume(
            target="vda", bus="virtio", path=volume.path, format=volume.format, is_block_device=False, serial=None,
            boot_order=None,
        )  # fmt: skip
        server_uuid = self.host.add_server(name, volumes=[attached], guest=fake.fake_guest.FakeGuest(**guest))
        if is_running:
            self.host.start(server_uuid)
        return server_uuid

    def volume_bytes(self, name: str) -> bytes:
        found = self.host.find_volume("pool", name)
        assert found is not None, name
        return Path(found.path).read_bytes()

    def volumes(self) -> set[str]:
        return {path.name for path in self.pool.directory.iterdir()}

    def capture(self, server: str = "web", **wishes) -> operation.Operation:
        wishes = {"is_sealed": False, **wishes}
        return self.services.captures.start(OWNER, capture_request.CaptureRequest(server=server, **wishes))

    def give_inventory(self, template_id: uuid.UUID, data: bytes) -> None:
        """The template's manifest as if its capture had stored this inventory."""
        with self.store.writer() as writer:
            blob = chunks.put_blob(chunks.Chunks(self.store), writer, data)
            writer.flush()
        changed = dataclasses.replace(manifests.get(self.store, template_id), inventory=blob)
        self.store.delete_manifest(template_id)
        self.store.put_manifest(template_id, manifest.encode(changed))

    def deploy(self, template: str = "web", name: str = "new", **wishes) -> operation.Operation:
        return self.services.deployments.start(
            OWNER, deploy_request.DeployRequest(template=template, name=name, **wishes)
        )

    def restart(self) -> None:
        """The daemon ends and begins again; what is queued waits for `run`."""
        self.engine = self.engine.relaunch()
        self._start_daemon()

    def kill_at(self, step: str, event: str) -> None:
        self.engine.cut_off_at(step, event)

    def run(self) -> int:
        """Run all that is queued; returns how often the daemon had to be started anew."""
        restarts = 0
        while not self.engine.run_pending():
            self.restart()
            restarts += 1
        return restarts

    def outcome(self, started: operation.Operation) -> operation.Operation:
        return self.services.operations.get(OWNER, str(started.id))

    def succeed(self, started: operation.Operation) -> operation.Operation:
        self.run()
        ended = self.outcome(started)
        assert ended.state is operation.State.SUCCEEDED, ended.error
        return ended

    def leftovers(self) -> dict[str, object]:
        """What an ended operation must not leave; empty values when all is clean."""
        state, run = self.settings.state_directory, self.settings.run_directory
        return {
            "work": sorted(path.name for path in (state / "work").iterdir()),
            "sockets": sorted(path.name for path in (run / "operations").iterdir()),
            "locks": self.installation.rows.locks_held(""),
            "unfinished": self.installation.rows.list_unfinished(),
        }


CLEAN = {"work": [], "sockets": [], "locks": [], "unfinished": []}
