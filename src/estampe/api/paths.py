"""The paths of the API, apart from what stands behind them."""

from __future__ import annotations

import re
from typing import Final

import fastapi
from starlette import types

PREFIX: Final = "/v1"


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
