"""Who is at the other end of a connection: the user of a process (unix socket), or an address (TCP)."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from typing import Any, Final

from starlette import types
from uvicorn.protocols.http import h11_impl
from uvicorn.protocols.websockets import websockets_sansio_impl

from estampe.model import access

_SCOPE_KEY: Final = "estampe.peer_uid"
_UCRED: Final = struct.Struct("=iII")  # pid, uid, gid: unix(7), SO_PEERCRED


class Protocol(h11_impl.H11Protocol):
    """Uvicorn's HTTP/1.1 that tells the application which user a unix connection comes from.

    The kernel keeps who called connect(2); it cannot be forged, and does not change when the socket is passed on.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the parent's
        """A caller is there."""
        super().connection_made(transport)
        uid = _peer_uid(transport.get_extra_info("socket"))
        if uid is not None:
            self.app = come_from(self.app, uid)


class SocketProtocol(websockets_sansio_impl.WebSocketsSansIOProtocol):
    """Uvicorn's WebSocket, which takes a connection over from `Protocol`, and tells the same."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A caller is there."""
        super().connection_made(transport)
        self.conn.debug = False  # it would log every header: keys, cookies, tickets
        uid = _peer_uid(transport.get_extra_info("socket"))
        if uid is not None:
            self.app = come_from(self.app, uid)


def come_from(app: types.ASGIApp, uid: int) -> types.ASGIApp:
    """`app`, for requests of the user `uid` on the unix socket."""

    async def with_peer(scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        scope[_SCOPE_KEY] = uid
        await app(scope, receive, send)

    return with_peer


def uid_of(scope: Mapping[str, Any]) -> int | None:
    """The user at the other end of the unix socket; None: the request came another way."""
    uid: int | None = scope.get(_SCOPE_KEY)
    return uid


def address_of(scope: Mapping[str, Any]) -> str:
    """Where a request comes from, for the audit log and the count of failed sign-ins."""
    if uid_of(scope) is not None:
        return access.UNIX
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _peer_uid(connection: Any) -> int | None:
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    _pid, uid, _gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)
