"""Bytes between a WebSocket and a socket of the host, for as long as they may pass.

    browser or command  <-- WebSocket -->  Relay  <-- socket -->  QEMU's VNC server, or a serial port

Both directions hold back who sends more than the other side takes. It ends when one side does, when nothing was said for long, and
when a look at intervals finds that it may not go on: the session was signed out, the key revoked, the role or the server lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import fastapi
from starlette import websockets

from estampe.model import terminal

_PIECE_BYTES: Final = 64 * 1024
_SETTLING_SECONDS: Final = 0.1  # between two looks for why the other end closed
_Look = Callable[[], Awaitable[terminal.Ending | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long it goes on."""

    look_seconds: float = 5.0  # between two looks whether it may go on
    settle_seconds: float = 1.0  # a server that is powered off ends its ports a moment before libvirt calls it off
    idle_seconds: float = 1800.0  # without a byte in either direction; a screen on which something moves is not idle


@dataclass(kw_only=True)
class Relay:
    """One of them. `look` tells why it may not go on; None: it may."""

    websocket: fastapi.WebSocket
    end: socket.socket
    look: _Look
    limits: Limits
    clock: Callable[[], float] = time.monotonic
    _last: float = field(default=0.0, init=False)

    async def run(self) -> None:
        """Until it ends; both sides are closed then."""
        self._last = self.clock()
        async with _stream(self.end) as (reader, writer):
            outwards = asyncio.create_task(self._outwards(reader))
            inwards = asyncio.create_task(self._inwards(writer))
            forbidden = asyncio.create_task(self._until_forbidden())
            try:
                await asyncio.wait((outwards, inwards, forbidden), return_when=asyncio.FIRST_COMPLETED)
                if inwards.done():
                    ending = None  # the other side left: there is nobody to tell
                elif forbidden.done():
                    ending = forbidden.result()
                else:
                    outwards.result()
                    ending = await self._why_closed()
            finally:
                for way in (outwards, inwards, forbidden):
                    way.cancel()
                await asyncio.gather(outwards, inwards, forbidden, return_exceptions=True)
        if ending is not None:
            await _close(self.websocket, ending)

    async def _why_closed(self) -> terminal.Ending:
        for _ in range(max(1, round(self.limits.settle_seconds / _SETTLING_SECONDS))):
            ending = await self.look()
            if ending is not None:
                return ending
            await asyncio.sleep(_SETTLING_SECONDS)
        return terminal.Ending.CLOSED

    async def _outwards(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(_PIECE_BYTES):
                self._last = self.clock()
                await self.websocket.send_bytes(piece)

    async def _inwards(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, websockets.WebSocketDisconnect):
            while True:
                message = await self.websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                self._last = self.clock()
                writer.write(message.get("bytes") or (message.get("text") or "").encode())
                await writer.drain()

    async def _until_forbidden(self) -> terminal.Ending:
        while True:
            await asyncio.sleep(self.limits.look_seconds)
            if self.clock() - self._last >= self.limits.idle_seconds:
                return terminal.Ending.IDLE
            ending = await self.look()
            if ending is not None:
                return ending


@contextlib.asynccontextmanager
async def _stream(end: socket.socket) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    end.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=end)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _close(websocket: fastapi.WebSocket, ending: terminal.Ending) -> None:
    """Say why, unless the other side has gone in the same moment."""
    with contextlib.suppress(RuntimeError, websockets.WebSocketDisconnect):
        await websocket.close(ending, ending.reason)
