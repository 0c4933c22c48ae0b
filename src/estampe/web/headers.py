"""What every answer of the console tells the browser: what a page may do, and that nobody keeps it."""

from __future__ import annotations

import uuid
from typing import Final

from starlette import datastructures, types

from estampe import correlation

REQUEST_ID: Final = "X-Request-Id"
# Nothing but our own files: no inline script or style, no frame, no other host. `data:` is for images drawn in the style sheet.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_FIXED: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: with it a browser sends `Origin: null` with our own forms (Fetch, "append a request Origin header"),
    # which the gate refuses. Other hosts are told nothing by this one either.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Secured:
    """ASGI middleware: headers, and an id of the request, which goes to the API and into the log."""

    def __init__(self, app: types.ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """Answer with them."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid.uuid4())

        async def send_with_headers(message: types.Message) -> None:
            if message["type"] == "http.response.start":
                told = datastructures.MutableHeaders(scope=message)
                for name, value in _FIXED.items():
                    told.setdefault(name, value)
                told.setdefault("Cache-Control", "no-store")
                told[REQUEST_ID] = request_id
            await send(message)

        with correlation.bound(request_id=request_id):
            await self._app(scope, receive, send_with_headers)
