"""The daemon of the benchmarks of the API: Estampe's own services, server, database and workflow engine, on a host in memory.

Its argument is JSON: `settings`, and the names of the `servers` that its host has, each with one small volume. It prints
`ready` when it answers, and ends with SIGTERM. `site_of_api` starts it.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
from collections.abc import Iterable
from pathlib import Path

from estampe import collector, config, log, wiring
from estampe.api import app as api_app
from estampe.api import server as api_server
from estampe.db import database
from estampe.jobs import dbos_engine
from estampe.model import configuration, operation
from estampe.store import allocator, local
from estampe.virt import base as virt
from estampe.virt import fake

VOLUME_BYTES = 1 << 20  # four chunks, of which two hold data
_WRITTEN = ((0, 4096), (3 << 18, 4096))  # (offset, length)


def install(settings: config.Settings, servers: Iterable[str]) -> wiring.Installation:
    """As `wiring.install`, with another host."""
    allocator.keep_freed_memory()
    places = wiring.Places.make(settings)
    url = None if settings.database_url is None else settings.database_url.get_secret_value()
    with contextlib.ExitStack() as opening:
        db = opening.enter_context(contextlib.closing(database.Database.open(url or f"sqlite:///{places.database}")))
        db.upgrade()
        host = fake.FakeHost(settings.state_directory / "host")
        opening.callback(host.close)
        host.add_pool(settings.default_pool)
        host.add_network(settings.default_network)
        for name in servers:
            add_server(host, settings.default_pool, name)
        engine = dbos_engine.DbosEngine(
            url or f"sqlite:///{places.jobs}", executor_id="bench", generation=wiring.GENERATION,
            concurrency={
                operation.Kind.CAPTURE: settings.concurrent_captures,
                operation.Kind.DEPLOY: settings.concurrent_deploys,
            },
        )  # fmt: skip
        adapters = wiring.Adapters(db=db, store=local.LocalStore.ensure(settings.store), host=host, engine=engine)
        return wiring.wire(settings, places, adapters, closing=opening.pop_all())


def add_server(host: fake.FakeHost, pool: str, name: str) -> None:
    """A server that is shut off; what is on its volume is its own."""
    volume = host.create_volume(pool, f"{name}.raw", size_bytes=VOLUME_BYTES, format=configuration.VolumeFormat.RAW)
    rng = random.Random(name)  # noqa: S311 - no secret
    with Path(volume.path).open("r+b") as stream:
        for offset, length in _WRITTEN:
            stream.seek(offset)
            stream.write(rng.randbytes(length))
    attached = virt.NewVolume(
        target="vda", bus="virtio", path=volume.path, format=volume.format, is_block_device=False, serial=None,
        boot_order=None,
    )  # fmt: skip
    host.add_server(name, volumes=[attached])


def main() -> None:
    given = json.loads(sys.argv[1])
    settings = config.load(**given["settings"])
    log.configure(settings.log_level, settings.log_format)
    with wiring.alone(settings):
        installation = install(settings, given["servers"])
        try:
            installation.launch()
            app = api_app.create(installation.services, meter=installation.meter, readers=installation.readers)
            collector.set_aside()
            api_server.serve(
                app, socket_path=settings.socket, group=None, on_ready=lambda _stop: print("ready", flush=True)
            )
        finally:
            installation.close()


if __name__ == "__main__":
    main()
