"""The daemon's HTTP servers, on its unix socket and by TCP: from ready to a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

import uvicorn
from starlette import datastructures, types

from estampe.api import listener, peer, tcp

GROUP: Final = "estampe"
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Application(Protocol):
    """What is served: the API, or the API with the console beside it. `state.stopping` is the API's."""

    state: datastructures.State

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """Answer one request."""


def serve(
    app: Application,
    *,
    socket_path: Path,
    group: str | None = GROUP,
    endpoint: tcp.Endpoint | None = None,
    stop_deadline_seconds: int = 10,
    on_ready: Callable[[Callable[[], None]], None] | None = None,
) -> None:
    """Serve `app` until SIGTERM, SIGINT or the stop function that `on_ready` is called with; then return.

    It answers on the unix socket and, where there is one, at the TCP `endpoint`; SIGHUP renews its certificate. Returns
    within `stop_deadline_seconds` and a second: requests that are still running by then are cut off (long polls and
    streams of events end at once). In a thread other than the main one only the stop function ends it, signals are not
    touched.

    Raises: errors.SocketInUse, errors.InvalidSetting.
    """
    with contextlib.ExitStack() as opened:
        bound = opened.enter_context(listener.listen(socket_path, group=group))
        life = _Life(app.state.stopping, on_ready, stop_deadline_seconds)
        life.add(app, bound)
        certificate = None
        if endpoint is not None:
            certificate = _certificate(endpoint)
            by_tcp = opened.enter_context(tcp.bind(endpoint))
            context = None if certificate is None else certificate.context
            life.add(tcp.behind(app, endpoint), by_tcp, context)
        with _heeding_signals(life.stop, None if certificate is None else certificate.renew):
            life.run()
    notify("STOPPING=1")


def _certificate(endpoint: tcp.Endpoint) -> tcp.Certificate | None:
    if endpoint.certificate is None or endpoint.key is None:
        return None
    return tcp.Certificate(endpoint.certificate, endpoint.key)


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)) where it asked to be told; nowhere else anything happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in {"/", "@"}:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
        told.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)


class _Life:
    """The servers of one application, from ready to stopped: one on each way in, all on one event loop."""

    def __init__(
        self,
        stopping: threading.Event,
        on_ready: Callable[[Callable[[], None]], None] | None,
        stop_deadline_seconds: int,
    ) -> None:
        self._stopping = stopping
        self._on_ready = on_ready
        self._stop_deadline_seconds = stop_deadline_seconds
        self._servers: list[tuple[_Server, socket.socket]] = []
        self._waited_for = 0

    def add(self, app: types.ASGIApp, bound: socket.socket, context: ssl.SSLContext | None = None) -> None:
        """Serve `app` at `bound`, with TLS where there is a context."""
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
            timeout_graceful_shutdown=self._stop_deadline_seconds,
            ssl_context_factory=None if context is None else lambda _config, _default: context,
        )
        self._servers.append((_Server(config, self), bound))
        self._waited_for += 1

    def note_started(self) -> None:
        """One server answers; with the last one the daemon is ready."""
        self._waited_for -= 1
        if not self._waited_for:
            notify("READY=1")
            if self._on_ready is not None:
                self._on_ready(self.stop)

    def note_stopping(self) -> None:
        """Long polls and streams of events end now."""
        self._stopping.set()

    def stop(self) -> None:
        """Ask all servers to stop; from any thread or signal handler, and again is fine."""
        for server, _bound in self._servers:
            server.should_exit = True

    def run(self) -> None:
        """Run to the end, in a thread of its own.

        The thread is a daemon thread, and so are then the threads of endpoints that it starts: one that still blocks after
        the deadline (in libvirt, say) would otherwise keep the process from ending. Signals stay ours, too: in the main
        thread Uvicorn (0.54, `Server.capture_signals`) raises them once more when it is done, which ends the process.
        """
        failures: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(self._serve_all())
            except BaseException as error:  # noqa: BLE001 - the edge of a thread: raised again below
                failures.append(error)

        thread = threading.Thread(target=run, name="api", daemon=True)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]

    async def _serve_all(self) -> None:
        """All until the last one has stopped; one that fails takes the others with it."""
        serving = [asyncio.create_task(self._serve(server, bound)) for server, bound in self._servers]
        await asyncio.gather(*serving)

    async def _serve(self, server: _Server, bound: socket.socket) -> None:
        try:
            await server.serve(sockets=[bound])
        finally:
            self.stop()


class _Server(uvicorn.Server):
    """Uvicorn that tells when it is ready, and when it begins to stop."""

    def __init__(self, config: uvicorn.Config, life: _Life) -> None:
        super().__init__(config)
        self._life = life

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        self._life.note_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop taking requests and let the running ones end."""
        self._life.note_stopping()
        await super().shutdown(sockets)


@contextlib.contextmanager
def _heeding_signals(stop: Callable[[], None], renew: Callable[[], None] | None) -> Iterator[None]:
    """Call `stop` on SIGTERM and SIGINT, `renew` on SIGHUP; the handlers that were there come back afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heeded = dict.fromkeys(_SIGNALS, stop) | ({} if renew is None else {signal.SIGHUP: renew})
    before = {number: signal.signal(number, lambda *_, act=act: act()) for number, act in heeded.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
