"""What surrounds every request: its id, its defects, its measurement."""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import Final

from starlette import types

from estampe import correlation, errors
from estampe.api import metrics, problems

HEADER: Final = "X-Request-Id"
_WELL_FORMED: Final = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_INTERNAL_ERROR: Final = 500
_log = logging.getLogger(__name__)


class RequestContext:
    """The outermost ASGI middleware.

    A caller's own request id is kept where it is 1 to 64 letters, digits and `.`, `_`, `:`, `-`: it goes into logs and
    headers. Anything else is replaced, not refused: an id is no reason to fail.
    """

    def __init__(self, app: types.ASGIApp, meter: metrics.Metrics) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """Answer, whatever happens inside."""
        if scope["type"] == "websocket":  # it may be open for hours: neither measured as a request, nor answered by one
            with correlation.bound(request_id=_given(scope) or str(uuid.uuid4())):
                await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given(scope) or str(uuid.uuid4())
        answer = _Answer(send, request_id)
        began = time.monotonic()
        with correlation.bound(request_id=request_id):
            try:
                await self._app(scope, receive, answer.send)
            except Exception as error:  # noqa: BLE001 - the edge of a request
                await self._on_defect(scope, receive, answer, error)
            finally:
                ended = answer.begun_at or time.monotonic()
                self._meter.answered(scope, answer.status or _INTERNAL_ERROR, ended - began)

    async def _on_defect(self, scope: types.Scope, receive: types.Receive, answer: _Answer, error: Exception) -> None:
        """A defect: the log gets everything, the caller an id to find it by and nothing of the inside."""
        _log.error("request %s (%s %s) met a defect", answer.request_id, scope["method"], scope["path"], exc_info=error)
        if answer.status is not None:
            raise error  # the server cuts the half answer off
        detail = f"Estampe met a defect; its log tells more under request {answer.request_id}"
        response = problems.respond(problems.describe(errors.EstampeError(detail=detail)))
        await response(scope, receive, answer.send)


class _Answer:
    """The way back: every answer carries the id, and its begin is noted."""

    def __init__(self, send: types.Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status: int | None = None
        self.begun_at: float | None = None

    async def send(self, message: types.Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.begun_at = message["status"], time.monotonic()
            header = (HEADER.lower().encode(), self.request_id.encode())
            message = {**message, "headers": [*message.get("headers", []), header]}
        await self._send(message)


def _given(scope: types.Scope) -> str | None:
    """The caller's own id, where it is one."""
    found = [value for name, value in scope["headers"] if name == HEADER.lower().encode()]
    return found[0].decode() if len(found) == 1 and _WELL_FORMED.fullmatch(found[0]) else None
