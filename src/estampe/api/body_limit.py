"""An upper bound on request bodies: the server itself reads whatever is sent into memory."""

from __future__ import annotations

from typing import Final

from starlette import types

from estampe import errors
from estampe.api import problems

MAX_BODY_BYTES: Final = 4 * 1024 * 1024  # four times the largest legal body: user data and keys, JSON-escaped


class BodyLimit:
    """ASGI middleware that refuses longer bodies, whether their length is announced or found out."""

    def __init__(self, app: types.ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """Pass the request on with a counting `receive`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _announced_bytes(scope) > MAX_BODY_BYTES:
            await _refuse(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            await _refuse(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)


async def _read(receive: types.Receive) -> list[types.Message] | None:
    """The body's messages, or None where they hold too much."""
    messages, size = [], 0
    while True:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            return None
        if message["type"] != "http.request" or not message.get("more_body", False):
            return messages


def _replay(messages: list[types.Message], receive: types.Receive) -> types.Receive:
    waiting = iter(messages)

    async def replay() -> types.Message:
        for message in waiting:
            return message
        return await receive()  # a disconnect

    return replay


def _announced_bytes(scope: types.Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


async def _refuse(scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
    error = errors.InvalidRequest(field="body", problem=f"must not be longer than {MAX_BODY_BYTES} bytes")
    response = problems.respond(problems.describe(error), {"connection": "close"})
    await response(scope, receive, send)
