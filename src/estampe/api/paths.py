"""The paths of the API, apart from what stands behind them."""

from __future__ import annotations

import re
import urllib.parse
from typing import Final

import fastapi
from starlette import types

PREFIX: Final = "/v1"
_SLASH: Final = "%2F"


class EncodedSlashes:
    """ASGI middleware: a slash that was written `%2F` stays so in the path, and does not end a segment.

    Servers decode the whole path before routes are matched (ASGI, "HTTP Connection Scope"): `acme%2Fservers`, a template of a
    publisher, and `acme/servers`, the servers of a template, would be one. `decoded` is the way back.
    """

    def __init__(self, app: types.ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """The request, with its path split where it was split."""
        raw = scope.get("raw_path", b"").decode("ascii", "replace") if scope["type"] == "http" else ""
        if _SLASH in raw.upper():
            segments = (urllib.parse.unquote(segment).replace("/", _SLASH) for segment in raw.split("/"))
            scope = {**scope, "path": "/".join(segments)}
        await self._app(scope, receive, send)


def decoded(segment: str) -> str:
    """A segment with its slashes. What names templates holds no `%`, so no other name can be meant."""
    return segment.replace(_SLASH, "/")


def template(scope: types.Scope) -> str:
    """The path of the route that a request met, with `{reference}` for what differs; `none` where it met none."""
    path = getattr(scope.get("route"), "path_format", None)
    if path is None:
        return "none"
    # FastAPI (0.165) leaves out the prefix that a router was included with.
    return str(path if path.startswith(PREFIX) else PREFIX + path)


def methods(app: fastapi.FastAPI, path: str) -> list[str]:
    """The methods that the path knows, whatever stands for its references."""
    return sorted(
        method.upper()
        for described, known in app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", described), path)
        for method in known
    )
