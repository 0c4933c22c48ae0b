"""Sending calls: the blocking and the asynchronous way. What they do alike is in `exchange`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final, Self, TypeVar

import httpx
import pydantic

from estampe import errors
from estampe.client import exchange
from estampe.client.call import Call, Listing, Watch
from estampe.schemas import operation

REQUEST_SECONDS: Final = exchange.REQUEST_SECONDS
PAUSE_SECONDS: Final = 1.0
_Answer = TypeVar("_Answer")
_Page = TypeVar("_Page")
_Item = TypeVar("_Item")


class Blocking:
    """Sends calls and waits for their answers. Context manager; not for several threads."""

    def __init__(
        self, daemon: exchange.Daemon, *, request_seconds: float, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        self._daemon = daemon
        self._request_seconds = request_seconds
        self._pause_seconds = pause_seconds
        uds = None if daemon.socket is None else str(daemon.socket)
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=uds, verify=daemon.verification()),
            base_url=daemon.base_url,
            headers=daemon.headers(),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()

    def do(self, call: Call[_Answer]) -> _Answer:
        """The answer. Raises: errors.DaemonUnavailable, errors.SocketDenied, and whatever error the daemon answered."""
        arguments = exchange.arguments(call, request_seconds=self._request_seconds)
        repetitions = exchange.Repetitions(call)
        while True:
            try:
                self._daemon.probe()
                return self._daemon.result(call, self._http.request(**arguments))
            except httpx.HTTPError as error:
                repetitions.note(self._daemon.translated(error), error)
            except errors.DaemonUnavailable as error:
                repetitions.note(error, None)
            time.sleep(self._pause_seconds)

    def list(self, listing: Listing[_Page, _Item]) -> Iterator[_Item]:
        """All items, page by page."""
        left, after = listing.limit, None
        while True:
            page = self.do(listing.page(after))
            items = listing.items(page)[:left]
            yield from items
            left = None if left is None else left - len(items)
            after = listing.next(page)
            if after is None or left == 0:
                return

    def watch(self, watch: Watch) -> Iterator[operation.Operation]:
        """Each state to the operation's end. Raises as `do`."""
        following = exchange.Following(watch)
        while True:
            try:
                self._daemon.probe()
                with self._http.stream(**following.arguments()) as response:
                    if response.is_error:
                        raise self._daemon.answered(response.status_code, response.read())
                    for line in response.iter_lines():
                        state = following.feed(line)
                        if state is not None:
                            yield state
                        if following.has_ended:
                            return
                following.note(self._daemon.unavailable("the stream of events ended"))
            except httpx.HTTPError as error:
                following.note(self._daemon.translated(error))
            except errors.DaemonUnavailable as error:
                following.note(error)
            except pydantic.ValidationError as error:
                raise self._daemon.unavailable(f"its events of {watch.path} are not understood") from error
            time.sleep(self._pause_seconds)


class Awaiting:
    """`Blocking`, asynchronous. For any number of tasks of one event loop."""

    def __init__(
        self,
        daemon: exchange.Daemon,
        *,
        request_seconds: float,
        pause_seconds: float = PAUSE_SECONDS,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """`http` is what calls are sent by; None: what reaches the daemon at its socket or URL."""
        self._daemon = daemon
        self._request_seconds = request_seconds
        self._pause_seconds = pause_seconds
        self._http = _connecting(daemon) if http is None else http

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._http.aclose()

    async def do(self, call: Call[_Answer]) -> _Answer:
        """See `Blocking.do`."""
        arguments = exchange.arguments(call, request_seconds=self._request_seconds)
        repetitions = exchange.Repetitions(call)
        while True:
            try:
                await asyncio.to_thread(self._daemon.probe)
                return self._daemon.result(call, await self._http.request(**arguments))
            except httpx.HTTPError as error:
                repetitions.note(self._daemon.translated(error), error)
            except errors.DaemonUnavailable as error:
                repetitions.note(error, None)
            await asyncio.sleep(self._pause_seconds)

    async def list(self, listing: Listing[_Page, _Item]) -> AsyncIterator[_Item]:
        """See `Blocking.list`."""
        left, after = listing.limit, None
        while True:
            page = await self.do(listing.page(after))
            items = listing.items(page)[:left]
            for item in items:
                yield item
            left = None if left is None else left - len(items)
            after = listing.next(page)
            if after is None or left == 0:
                return

    async def watch(self, watch: Watch) -> AsyncIterator[operation.Operation]:
        """See `Blocking.watch`."""
        following = exchange.Following(watch)
        while True:
            try:
                await asyncio.to_thread(self._daemon.probe)
                async with self._http.stream(**following.arguments()) as response:
                    if response.is_error:
                        raise self._daemon.answered(response.status_code, await response.aread())
                    async for line in response.aiter_lines():
                        state = following.feed(line)
                        if state is not None:
                            yield state
                        if following.has_ended:
                            return
                following.note(self._daemon.unavailable("the stream of events ended"))
            except httpx.HTTPError as error:
                following.note(self._daemon.translated(error))
            except errors.DaemonUnavailable as error:
                following.note(error)
            except pydantic.ValidationError as error:
                raise self._daemon.unavailable(f"its events of {watch.path} are not understood") from error
            await asyncio.sleep(self._pause_seconds)


def _connecting(daemon: exchange.Daemon) -> httpx.AsyncClient:
    uds = None if daemon.socket is None else str(daemon.socket)
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=uds, verify=daemon.verification()),
        base_url=daemon.base_url,
        headers=daemon.headers(),
        trust_env=False,
    )
