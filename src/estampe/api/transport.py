"""Which way a request came in: by the unix socket, where the file's mode says who may, or by TCP, where nobody has yet."""

from __future__ import annotations

import enum
from typing import Final

from starlette import types

_KEY: Final = "estampe.transport"


class Transport(enum.Enum):
    """A way in."""

    UNIX = "unix"
    TCP = "tcp"


class Marked:
    """The application as it is seen through one way in."""

    def __init__(self, app: types.ASGIApp, transport: Transport) -> None:
        self._app = app
        self._transport = transport

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """Pass the request on with its mark."""
        await self._app({**scope, _KEY: self._transport}, receive, send)


def of(scope: types.Scope) -> Transport:
    """The way a request came; one without a mark is trusted least."""
    found = scope.get(_KEY, Transport.TCP)
    return found if isinstance(found, Transport) else Transport.TCP
