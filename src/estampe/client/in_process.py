"""The asynchronous client for a face that lives in the daemon's process: it calls the API as any other, without a connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, TypeVar

import httpx

from estampe import errors
from estampe.client import client, exchange, transport
from estampe.client.call import Listing

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
# What the API may learn of the person's own connection: where from, and whether by HTTPS. Not the user of a unix socket
# (`estampe.peer_uid`): who only passes pages on, as `ssh -L` does, must not lend a browser the rights of root.
_OF_THE_CONNECTION: Final = ("client", "scheme", "server")

_Page = TypeVar("_Page")


class InProcessClient(client.Routes, transport.Awaiting):
    """For one request of a person: `scope` is that request's, `headers` go to the API with every call.

    `cookies` are the Set-Cookie headers that the API has answered, to be passed on.
    """

    def __init__(self, api: Application, *, scope: Scope, headers: Mapping[str, str]) -> None:
        self.cookies: list[str] = []
        connection = {name: scope[name] for name in _OF_THE_CONNECTION if name in scope}
        daemon = exchange.Daemon()  # the host of the address is nobody's: a Host among `headers` is what the API sees
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=_connected(api, connection)),
            base_url=daemon.base_url,
            headers=dict(headers),
            event_hooks={"response": [self._keep_cookies]},
            trust_env=False,
        )
        super().__init__(daemon, request_seconds=transport.REQUEST_SECONDS, http=http)

    def add_header(self, name: str, value: str) -> None:
        """Of every call from now on."""
        self._http.headers[name] = value

    async def page(self, listing: Listing[_Page, Any], after: str | None) -> _Page:
        """One page of a list, behind that cursor."""
        return await self.do(listing.page(after))

    async def pass_on(self, path: str, query: str) -> httpx.Response:
        """The answer to a GET that a browser was sent to, as it is."""
        return await self._http.get(httpx.URL(f"{self._daemon.base_url}{path}").copy_with(query=query.encode()))

    def error_of(self, answer: httpx.Response) -> errors.EstampeError:
        """What an answer says that is no good one."""
        return self._daemon.answered(answer.status_code, answer.content)

    async def _keep_cookies(self, response: httpx.Response) -> None:
        self.cookies.extend(response.headers.get_list("set-cookie"))


def _connected(api: Application, connection: Scope) -> Application:
    async def app(scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        await api({**scope, **connection}, receive, send)

    return app
