"""A real server on a unix socket in a thread of the test, over fake services."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.unit.api import fakes

from estampe.api import app, server, tcp


@contextlib.contextmanager
def serving(world: fakes.World, socket_path: Path, *, endpoint: tcp.Endpoint | None = None) -> Iterator[None]:
    """Serve until the context is left."""
    ready = threading.Event()
    stops: list[Callable[[], None]] = []
    failures: list[Exception] = []

    def tell(stop: Callable[[], None]) -> None:
        stops.append(stop)
        ready.set()

    def run() -> None:
        try:
            api = app.create(world.services(), wait_slice_seconds=0.05)
            server.serve(api, socket_path=socket_path, endpoint=endpoint, stop_deadline_seconds=2, on_ready=tell)
        except Exception as error:  # noqa: BLE001 - raised in the test's thread
            failures.append(error)
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(30)
    if failures:
        raise failures[0]
    try:
        yield
    finally:
        stops[0]()
        thread.join(30)
        world.terminals.close()  # what the last test left open
        assert not thread.is_alive()
