"""The way in by TCP: where to listen, and the certificate that proves who answers."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from starlette import types
from uvicorn.middleware import proxy_headers

from estampe import errors

_BACKLOG: Final = 128
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An address, with TLS unless it is this host's own."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    proxies: tuple[str, ...] = ()  # addresses and networks of those that pass requests on, and say for whom


def parse(listen: str, *, certificate: Path | None, key: Path | None, proxies: tuple[str, ...] = ()) -> Endpoint:
    """The endpoint in `listen`: `host:port`, or `[address]:port` of IPv6. Raises: errors.InvalidSetting."""
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 2**16:
        raise errors.InvalidSetting(
            setting="listen", problem=f"{listen!r} is not host:port, as 192.0.2.1:8443 or [::1]:8443"
        )
    if (certificate is None) != (key is None):
        raise errors.InvalidSetting(
            setting="tls_certificate", problem="a certificate needs its key, and a key its certificate"
        )
    if certificate is None and not _is_loopback(host):
        problem = (
            f"{host} can be reached from other hosts: set tls_certificate and tls_key, or listen on 127.0.0.1 or ::1"
        )
        raise errors.InvalidSetting(setting="listen", problem=problem)
    return Endpoint(
        host=host, port=int(port), certificate=certificate, key=key, proxies=tuple(map(_check_proxy, proxies))
    )


def _check_proxy(proxy: str) -> str:
    """Uvicorn would take what is no address for the name of a socket, and trust nobody. Raises: errors.InvalidSetting."""
    try:
        ipaddress.ip_network(proxy)
    except ValueError as error:
        problem = f"{proxy!r} is not an address or a network, as 127.0.0.1 or 192.0.2.0/24"
        raise errors.InvalidSetting(setting="trusted_proxies", problem=problem) from error
    return proxy


def behind(app: types.ASGIApp, endpoint: Endpoint) -> types.ASGIApp:
    """`app`, told of requests that a trusted proxy passes on whose they are (X-Forwarded-For, X-Forwarded-Proto)."""
    if not endpoint.proxies:
        return app
    told = proxy_headers.ProxyHeadersMiddleware(cast("Any", app), trusted_hosts=list(endpoint.proxies))
    return cast("types.ASGIApp", told)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name: what it resolves to is not ours to say


def bind(endpoint: Endpoint) -> socket.socket:
    """A listening socket. Raises: errors.SocketInUse."""
    where = f"{endpoint.host}:{endpoint.port}"
    with contextlib.ExitStack() as opening:
        try:
            family, kind, protocol, _name, address = socket.getaddrinfo(
                endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            bound = opening.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(_BACKLOG)
        except OSError as error:
            raise errors.SocketInUse(socket=where, detail=error.strerror or str(error)) from error
        opening.pop_all()
        return bound


class Certificate:
    """The certificate in use. It can be renewed while the daemon serves: new connections get the new one.

    Renewing puts another context in the place of the present one. Loading into a context that is in use would leave it
    with the new certificate and no key for a moment, and connections of that moment would be refused.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._current = self._load()
        self.context = self._load()  # what listens; each handshake is handed on to the current one
        self.context.sni_callback = self._hand_on  # also called where no name is asked for

    def _hand_on(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _load(self) -> ssl.SSLContext:
        """Raises: errors.InvalidSetting."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # A key with a pass phrase would ask at the terminal, which a daemon has none of.
            context.load_cert_chain(self._certificate, self._key, password=lambda: "")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise errors.InvalidSetting(
                setting="tls_certificate", problem=f"{self._certificate} with key {self._key} cannot be used: {error}"
            ) from error
        return context

    def renew(self) -> None:
        """Read the files again; where they cannot be used the present ones stay, and the log says why."""
        try:
            self._current = self._load()
        except errors.InvalidSetting as error:
            _log.error("the certificate was not renewed: %s", error)
        else:
            _log.info("the certificate was renewed from %s", self._certificate)
