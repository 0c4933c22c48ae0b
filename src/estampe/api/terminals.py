"""Routes of a server's screen and serial console: a ticket first, then a WebSocket."""

from __future__ import annotations

import collections
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final, cast

import fastapi
from starlette import concurrency

from estampe import errors
from estampe.api import access_table, gate, metrics, problems, relay, tickets
from estampe.api import dependencies as given
from estampe.api import services as ports
from estampe.model import access
from estampe.model import terminal as terminals
from estampe.schemas import terminal, wire

router = fastapi.APIRouter(prefix="/servers", tags=["servers"], route_class=gate.Route)
MOST_OPEN: Final = 16  # of one account
_OPENING: Final = {terminals.Kind.SCREEN: "open_screen", terminals.Kind.SERIAL: "open_serial_console"}
_ERRORS: Final = (errors.ServerNotFound, errors.ServerStateForbids)


@dataclass
class Terminals:
    """Those of one application: the tickets that wait, and how many are open of each account. Counted on its event loop only."""

    tickets: tickets.Tickets = field(default_factory=tickets.Tickets)
    limits: relay.Limits = field(default_factory=relay.Limits)
    _open: collections.Counter[uuid.UUID] = field(default_factory=collections.Counter)

    @contextlib.asynccontextmanager
    async def counted(self, actor: access.Actor) -> AsyncIterator[None]:
        """One more, while this lasts. Raises: errors.TooManyTerminals."""
        if self._open[actor.account_id] >= MOST_OPEN:
            raise errors.TooManyTerminals(account=actor.account.name, limit=MOST_OPEN)
        self._open[actor.account_id] += 1
        try:
            yield
        finally:
            self._open[actor.account_id] -= 1
            self._open += collections.Counter()  # drops those at nought


@router.post("/{reference}/screen", responses=problems.answers(*_ERRORS, errors.NoScreen))
def create_screen_ticket(
    request: fastapi.Request, services: given.Services, actor: given.Actor, reference: given.Reference
) -> terminal.Ticket:
    """A ticket for the server's screen: a WebSocket at the same path takes it once, as a subprotocol, and speaks RFB (VNC)."""
    return _ticket(request, services, actor, reference, terminals.Kind.SCREEN)


@router.post("/{reference}/serial", responses=problems.answers(*_ERRORS, errors.NoSerialConsole))
def create_serial_ticket(
    request: fastapi.Request,
    services: given.Services,
    actor: given.Actor,
    reference: given.Reference,
    asked: terminal.SerialRequest,
) -> terminal.Ticket:
    """A ticket for the server's serial console: a WebSocket at the same path takes it once, as a subprotocol, and speaks bytes."""
    return _ticket(request, services, actor, reference, terminals.Kind.SERIAL, is_taken_over=asked.is_taken_over)


@gate.socket(router, "/{reference}/screen")
def open_screen(websocket: fastapi.WebSocket) -> contextlib.AbstractAsyncContextManager[gate.Session]:
    """The screen."""
    return _opened(websocket, terminals.Kind.SCREEN)


@gate.socket(router, "/{reference}/serial")
def open_serial_console(websocket: fastapi.WebSocket) -> contextlib.AbstractAsyncContextManager[gate.Session]:
    """The serial console."""
    return _opened(websocket, terminals.Kind.SERIAL)


def _ticket(
    request: fastapi.Request,
    services: ports.Services,
    actor: access.Actor,
    reference: str,
    kind: terminals.Kind,
    *,
    is_taken_over: bool = False,
) -> terminal.Ticket:
    """What would be wrong with opening it is told here: of a WebSocket that was refused, pages learn nothing."""
    access.check(access_table.RULES[_OPENING[kind]], actor)
    server_id = services.terminals.check(actor.account_id, reference, kind)
    errand = tickets.Errand(actor=actor, server_id=server_id, kind=kind, is_taken_over=is_taken_over)
    issued = _of(request.app).tickets.issue(errand)
    return terminal.Ticket(ticket=issued, kind=kind, expires_in_seconds=tickets.SECONDS)


@contextlib.asynccontextmanager
async def _opened(websocket: fastapi.WebSocket, kind: terminals.Kind) -> AsyncIterator[gate.Session]:
    services, actor, known = _services(websocket), gate.actor_of(websocket), _of(websocket.app)
    reference = _reference(websocket)
    server_id = await concurrency.run_in_threadpool(services.terminals.check, actor.account_id, reference, kind)
    errand = known.tickets.redeem(
        terminals.ticket_in(websocket.scope["subprotocols"]), actor=actor, server_id=server_id, kind=kind
    )
    async with known.counted(actor):
        end = await concurrency.run_in_threadpool(
            services.terminals.open, actor.account_id, server_id, kind, is_taken_over=errand.is_taken_over
        )

        async def look() -> terminals.Ending | None:
            return await _ending(websocket, server_id)

        meter: metrics.Metrics = websocket.app.state.metrics
        with end, meter.open_terminal(kind):
            yield relay.Relay(websocket=websocket, end=end, look=look, limits=known.limits).run


async def _ending(websocket: fastapi.WebSocket, server_id: uuid.UUID) -> terminals.Ending | None:
    """Why it may not go on."""
    if not await gate.is_still_admitted(websocket):
        return terminals.Ending.ACCESS_ENDED
    look, owner_id = _services(websocket).terminals.power_state, gate.actor_of(websocket).account_id
    try:
        state = await concurrency.run_in_threadpool(look, owner_id, server_id)
    except errors.ServerNotFound:
        return terminals.Ending.SERVER_OFF
    except errors.Unavailable:
        return None  # what cannot be asked now can be at the next look
    return None if state.is_active else terminals.Ending.SERVER_OFF


def _of(app: fastapi.FastAPI) -> Terminals:
    return cast("Terminals", app.state.terminals)


def _services(websocket: fastapi.WebSocket) -> ports.Services:
    return cast("ports.Services", websocket.app.state.services)


def _reference(websocket: fastapi.WebSocket) -> str:
    """As `given.Reference`, by the rules of other routes. Raises: errors.ServerNotFound."""
    reference = str(websocket.path_params["reference"])
    try:
        if len(reference) <= wire.REFERENCE_CHARACTERS:
            return wire.check_line(reference)
    except ValueError:
        pass
    raise errors.ServerNotFound(server=ascii(reference)[1 : 1 + wire.REFERENCE_CHARACTERS])
