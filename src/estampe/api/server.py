"""The daemon's HTTP server on its unix socket: from ready to a clean stop."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import fastapi
import uvicorn

from estampe.api import listener, peer

GROUP: Final = "estampe"
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def serve(
    app: fastapi.FastAPI,
    *,
    socket_path: Path,
    group: str | None = GROUP,
    stop_deadline_seconds: int = 10,
    on_ready: Callable[[Callable[[], None]], None] | None = None,
) -> None:
    """Serve `app` until SIGTERM, SIGINT or the stop function that `on_ready` is called with; then return.

    Returns within `stop_deadline_seconds` and a second: requests that are still running by then are cut off (long
    polls end at once). In a thread other than the main one only the stop function ends it, signals are not touched.

    Raises: errors.SocketInUse.
    """
    with listener.listen(socket_path, group=group) as bound:
        server = _Server(app, stop_deadline_seconds=stop_deadline_seconds, on_ready=on_ready)
        with _stopping_on_signals(server.stop):
            _run(server, bound)
    notify("STOPPING=1")


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)) where it asked to be told; nowhere else anything happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in {"/", "@"}:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
        told.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)


class _Server(uvicorn.Server):
    """Uvicorn that tells when it is ready, and tells the application when it begins to stop."""

    def __init__(
        self, app: fastapi.FastAPI, *, stop_deadline_seconds: int, on_ready: Callable[[Callable[[], None]], None] | None
    ) -> None:
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=peer.Protocol,
            ws="none",
            lifespan="off",
            log_config=None,  # the daemon's own logging stays
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=stop_deadline_seconds,
        )
        super().__init__(config)
        self._stopping: threading.Event = app.state.stopping
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        notify("READY=1")
        if self._on_ready is not None:
            self._on_ready(self.stop)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop taking requests and let the running ones end."""
        self._stopping.set()
        await super().shutdown(sockets)

    def stop(self) -> None:
        """Ask the server to stop; from any thread or signal handler, and again is fine."""
        self.should_exit = True


def _run(server: _Server, bound: socket.socket) -> None:
    """Run the server to its end, in a thread of its own.

    The thread is a daemon thread, and so are then the threads of endpoints that it starts: one that still blocks after
    the deadline (in libvirt, say) would otherwise keep the process from ending. Signals stay ours, too: in the main
    thread Uvicorn (0.54, `Server.capture_signals`) raises them once more when it is done, which ends the process.
    """
    failures: list[BaseException] = []

    def run() -> None:
        try:
            server.run(sockets=[bound])
        except BaseException as error:  # noqa: BLE001 - the edge of a thread: raised again below
            failures.append(error)

    thread = threading.Thread(target=run, name="api", daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


@contextlib.contextmanager
def _stopping_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on SIGTERM and SIGINT; the handlers that were there come back afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: stop()) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
