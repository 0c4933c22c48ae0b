"""Open screens and serial consoles: what `Client.open_terminal` gives. websockets is loaded when one is opened."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final, Self

from estampe import errors
from estampe.client import exchange
from estampe.client.call import Opening
from estampe.model import terminal

if TYPE_CHECKING:
    from websockets.asyncio import client as asyncio_client
    from websockets.sync import client as sync_client

_NORMAL: Final = 1000  # RFC 6455, section 7.4.1


class _Ended:
    """How it ended, for both kinds."""

    def __init__(self, daemon: exchange.Daemon, opening: Opening) -> None:
        self._daemon, self._opening = daemon, opening
        self.ending: terminal.Ending | None = None  # None: it is open, or was closed here

    def _note(self, closed: Any) -> None:
        """A ConnectionClosed of websockets. Raises: errors.DaemonUnavailable, errors.TerminalForbidden, errors.TerminalClosed."""
        if closed.sent is not None and closed.sent.code == _NORMAL and not closed.rcvd_then_sent:
            return  # by us
        with contextlib.suppress(ValueError, AttributeError):  # another code, or none: the connection was lost
            self.ending = terminal.Ending(closed.rcvd.code)
        self._check()

    def _check(self) -> None:
        facts = {"kind": self._opening.kind.words, "server": self._opening.server}
        match self.ending:
            case terminal.Ending.SERVER_OFF:
                return
            case terminal.Ending.ACCESS_ENDED:
                raise errors.TerminalForbidden(**facts)
            case terminal.Ending.CLOSED | terminal.Ending.IDLE as ending:
                raise errors.TerminalClosed(**facts, reason=ending.reason)
            case _:
                raise self._daemon.unavailable("the connection ended")


class Terminal(_Ended):
    """An open screen or serial console. Context manager; one thread may read while another one sends."""

    def __init__(self, daemon: exchange.Daemon, opening: Opening, connection: sync_client.ClientConnection) -> None:
        super().__init__(daemon, opening)
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        """What the server says, to the end: it is off, or the terminal was closed here.

        Raises: errors.TerminalForbidden, errors.TerminalClosed, errors.DaemonUnavailable where it ends otherwise.
        """
        from websockets import exceptions

        try:
            while True:
                yield _bytes(self._connection.recv())
        except exceptions.ConnectionClosed as closed:
            self._note(closed)

    def send(self, data: bytes) -> None:
        """Type, or what else the protocol says. After the end it is lost; reading tells of that."""
        from websockets import exceptions

        with contextlib.suppress(exceptions.ConnectionClosed):
            self._connection.send(data)

    def close(self) -> None:
        """Again is fine, and from another thread."""
        self._connection.close()


class AsyncTerminal(_Ended):
    """`Terminal` for asyncio."""

    def __init__(self, daemon: exchange.Daemon, opening: Opening, connection: asyncio_client.ClientConnection) -> None:
        super().__init__(daemon, opening)
        self._connection = connection

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """See `Terminal.__iter__`."""
        from websockets import exceptions

        try:
            while True:
                yield _bytes(await self._connection.recv())
        except exceptions.ConnectionClosed as closed:
            self._note(closed)

    async def send(self, data: bytes) -> None:
        """See `Terminal.send`."""
        from websockets import exceptions

        with contextlib.suppress(exceptions.ConnectionClosed):
            await self._connection.send(data)

    async def close(self) -> None:
        """Again is fine."""
        await self._connection.close()


def connect(daemon: exchange.Daemon, opening: Opening, ticket: str) -> Terminal:
    """Raises: errors.DaemonUnavailable, and what the daemon answers."""
    from websockets.sync import client

    with _translated(daemon), contextlib.ExitStack() as opening_up:
        wanted = _arguments(daemon, opening, ticket)
        opened = client.connect(**wanted) if daemon.url else client.unix_connect(str(daemon.socket), **wanted)
        # Entered, as websockets 17.1 deprecates any other use; what closes it is `Terminal.close`.
        connection = opening_up.enter_context(opened)
        opening_up.pop_all()
    return Terminal(daemon, opening, connection)


async def connect_async(daemon: exchange.Daemon, opening: Opening, ticket: str) -> AsyncTerminal:
    """See `connect`."""
    from websockets.asyncio import client

    with _translated(daemon):
        async with contextlib.AsyncExitStack() as opening_up:
            wanted = _arguments(daemon, opening, ticket)
            opened = client.connect(**wanted) if daemon.url else client.unix_connect(str(daemon.socket), **wanted)
            connection = await opening_up.enter_async_context(opened)
            opening_up.pop_all()
    return AsyncTerminal(daemon, opening, connection)


def _arguments(daemon: exchange.Daemon, opening: Opening, ticket: str) -> dict[str, Any]:
    base = daemon.base_url.replace("http", "ws", 1)
    found: dict[str, Any] = {
        "uri": f"{base}{opening.ticket.path}",
        "subprotocols": terminal.offered(ticket),
        "additional_headers": daemon.headers(),
        "compression": None,  # a screen's pictures are compressed
        "open_timeout": exchange.REQUEST_SECONDS,
        "max_size": None,  # the daemon's pieces are small
    }
    if daemon.url is not None:
        found["proxy"] = None  # as for requests
    if base.startswith("wss") and daemon.ca is not None:
        found["ssl"] = daemon.verification()
    return found


@contextlib.contextmanager
def _translated(daemon: exchange.Daemon) -> Iterator[None]:
    from websockets import exceptions

    try:
        yield
    except exceptions.InvalidStatus as refused:
        raise daemon.answered(refused.response.status_code, bytes(refused.response.body or b"")) from refused
    except (OSError, exceptions.WebSocketException) as error:  # TimeoutError is an OSError
        raise daemon.unavailable(str(error) or "no answer in time") from error


def _bytes(message: str | bytes) -> bytes:
    return message.encode() if isinstance(message, str) else message
