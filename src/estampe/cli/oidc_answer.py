"""The way back from an OpenID provider to a command: one answer at a port of this host's loopback address (RFC 8252, section 7.3)."""

from __future__ import annotations

import contextlib
import hmac
import http.server
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib import parse

from estampe import errors

_PATH: Final = "/callback"
_PAGE: Final = b"Estampe has the answer. You may close this window and go back to the terminal.\n"
_CONNECTION_SECONDS: Final = 5.0  # browsers open connections that they never use


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the provider has to say."""

    code: str | None
    error: str | None
    issuer: str | None


class Listener:
    """Hears on a port. Whoever does not know the state is told nothing, and waited past."""

    def __init__(self, server: http.server.HTTPServer, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock

    @property
    def port(self) -> int:
        """The one it hears on."""
        return int(self._server.server_address[1])

    def wait(self, state: str, *, seconds: float) -> Answer:
        """The answer with that state. Raises: errors.DeadlineExceeded."""
        ends_at = self._clock() + seconds
        found: list[Answer] = []
        self._server.RequestHandlerClass = _handler(state, found)
        while not found:
            left = ends_at - self._clock()
            if left <= 0:
                raise errors.DeadlineExceeded(what="signing in at the OpenID provider", seconds=seconds)
            self._server.timeout = left
            self._server.handle_request()
        return found[0]


@contextlib.contextmanager
def listening(port: int) -> Iterator[Listener]:
    """Hear on `port` of 127.0.0.1 (0: any that is free). Raises: errors.SocketInUse."""
    try:
        server = http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler)
    except OSError as error:
        raise errors.SocketInUse(socket=f"127.0.0.1:{port}", detail=error.strerror or str(error)) from error
    with server:
        yield Listener(server)


def _handler(state: str, found: list[Answer]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = _CONNECTION_SECONDS

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            fields = dict(parse.parse_qsl(query))
            if path != _PATH or not hmac.compare_digest(fields.get("state", "").encode(), state.encode()):
                self.send_error(404)
                return
            found.append(Answer(code=fields.get("code"), error=fields.get("error"), issuer=fields.get("iss")))
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(_PAGE)))
            self.send_header("Referrer-Policy", "no-referrer")
            self.end_headers()
            self.wfile.write(_PAGE)

        def log_message(self, *_: Any) -> None:
            """Nothing: the address holds the code."""

    return Handler
