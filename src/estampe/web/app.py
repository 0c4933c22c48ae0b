"""The console beside the API, on the same listener: `/v1` is the API's, everything else is a page.

    browser ─▶ Site ─┬─▶ /v1/...   the API
                     └─▶ the rest  Console ─▶ page ─▶ client.in_process ─▶ the API, with the browser's own cookie and token

So access is decided in one place, the gate: nothing here knows who may do what, and nothing here can do what the API does not
let this person do.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, Final

from starlette import applications, routing, types

from estampe.client import in_process
from estampe.web import assets, headers, openid, page, pages, static

_API: Final = "/v1"


def create(api: Any, *, public_origin: str | None = None, clock: Callable[[], datetime.datetime] = page.in_utc) -> Site:
    """`api` with the console beside it. `public_origin` is where browsers reach them; None: where each request says it is."""
    files = assets.Assets.load()
    shell = page.Shell(api=api, assets=files, public_origin=public_origin, sections=pages.sections(), clock=clock)
    routes = [static.route(files), *openid.routes(shell)]
    for each in pages.ALL:
        routes += each.routes(shell)
    routes.append(routing.Route("/{path:path}", shell.endpoint(page.missing, is_open=True)))
    return Site(api, headers.Secured(applications.Starlette(routes=routes)))


class Site:
    """The one application that the daemon serves."""

    def __init__(self, api: Any, console: types.ASGIApp) -> None:
        self._api: in_process.Application = api
        self._console = console
        self.state = api.state  # what the server tells the application, as that it is about to stop

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """The API's answer, or a page."""
        is_page = scope["type"] == "http" and (not _is_api(scope["path"]) or openid.is_detour(scope))
        await (self._console if is_page else self._api)(scope, receive, send)


def _is_api(path: str) -> bool:
    return path == _API or path.startswith(f"{_API}/")
