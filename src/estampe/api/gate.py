"""The gate: every request passes it, and nothing else decides who may do what, or writes the audit log.

    who is it (Identity) ─▶ did they mean it (cross_site: browsers) ─▶ may they (access_table) ─▶ endpoint ─▶ what came of it
                                                                                               (audit, for changes)

It stands around the whole endpoint, before the body is parsed: a caller without access learns nothing, not even what is
wrong with a request. Whether a *thing* may be seen is the services' to say, by the account's id: what is not the account's is
not found, in the same words as what does not exist.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

import anyio
import fastapi
from fastapi import exceptions, routing
from starlette import concurrency, requests
from starlette import exceptions as starlette_exceptions
from starlette import routing as starlette_routing

from estampe import correlation, errors
from estampe.api import access_table, cookies, cross_site, paths, peer, turns
from estampe.api import services as ports
from estampe.model import access, account, audit, terminal
from estampe.schemas import problem

ACCOUNT_HEADER: Final = "Estampe-Account"
NOBODY: Final = "nobody"
_NAME_CHARACTERS: Final = 128
_log = logging.getLogger(__name__)
_Endpoint = Callable[[fastapi.Request], Coroutine[Any, Any, fastapi.Response]]
Session = Callable[[], Awaitable[None]]  # what goes on over an open WebSocket, to its end
_Opener = Callable[[fastapi.WebSocket], contextlib.AbstractAsyncContextManager[Session]]
_guarded: Final[set[Callable[..., Any]]] = set()  # endpoints that `socket` has made


@dataclass(kw_only=True)
class Trail:
    """What the audit log will say of this request; an endpoint that knows better than its path says so here."""

    actor: str = NOBODY
    account: account.Account | None = None
    subject: str = ""


class Route(routing.APIRoute):
    """A route behind the gate. Every router is made of these: `APIRouter(route_class=gate.Route)`."""

    def get_route_handler(self) -> _Endpoint:
        """The endpoint with the gate around it."""
        endpoint, action = super().get_route_handler(), self.name

        async def guarded(request: fastapi.Request) -> fastapi.Response:
            return await _pass(request, action, endpoint)

        return guarded


def socket(router: fastapi.APIRouter, path: str) -> Callable[[_Opener], _Opener]:
    """A WebSocket of the router behind the gate. What it opens is open when it is accepted, and closed when its session has ended.

    Until it is accepted an error is answered as on other routes. Two entries of the audit log tell of it: that it was opened (or
    refused), and that it was closed.
    """

    def keep(opener: _Opener) -> _Opener:
        async def guarded(websocket: fastapi.WebSocket) -> None:
            await _pass_socket(websocket, opener.__name__, opener)

        _guarded.add(guarded)
        router.add_api_websocket_route(path, guarded, name=opener.__name__)
        return opener

    return keep


def check(routes: Iterable[starlette_routing.BaseRoute]) -> None:
    """Every route is behind the gate, has a rule, and a name of its own. Raises: errors.EstampeError (a defect)."""
    found = list(routes)
    names = [str(getattr(route, "name", route)) for route in found]
    stray = [name for route, name in zip(found, names, strict=True) if not _is_behind(route)]
    if stray:
        raise errors.EstampeError(detail=f"routes that are not behind the gate (route_class): {', '.join(stray)}")
    if lacking := sorted(set(names) - set(access_table.RULES)):
        raise errors.EstampeError(detail=f"routes without a rule in api.access_table: {', '.join(lacking)}")
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise errors.EstampeError(detail=f"routes that share a name: {', '.join(double)}")


def _is_behind(route: starlette_routing.BaseRoute) -> bool:
    if isinstance(route, starlette_routing.WebSocketRoute):
        return route.endpoint in _guarded
    return isinstance(route, Route)


def trail_of(request: fastapi.Request) -> Trail:
    """Of a request that is past the gate."""
    return cast("Trail", request.state.trail)


def actor_of(request: requests.HTTPConnection) -> access.Actor:
    """Who asks; only for routes that are not open to nobody."""
    return cast("access.Actor", request.state.actor)


async def is_still_admitted(request: requests.HTTPConnection) -> bool:
    """Whether who was let in would be now, as the same and with no less: keys are revoked and sessions end while a stream or a WebSocket goes on.

    Where that cannot be said, no: who asks again is told what is wrong.
    """
    before, rule = actor_of(request), access_table.RULES[request.scope["route"].name]
    try:
        now = await _admit(request, rule, Trail())
    except errors.EstampeError:
        return False
    return (now.account_id, now.is_cloud_operator) == (before.account_id, before.is_cloud_operator)


@contextlib.contextmanager
def naming(trail: Trail) -> Iterator[None]:
    """Where the OpenID provider vouches for somebody who is not known here, the audit log says whom: it may be a user to link."""
    try:
        yield
    except errors.OidcPersonUnknown as error:
        trail.subject = f"{error.facts['name']} ({error.facts['subject']})"
        raise


async def _pass(request: fastapi.Request, action: str, endpoint: _Endpoint) -> fastapi.Response:
    rule = access_table.RULES[action]
    trail = _trail(request)
    try:
        if not rule.is_open:
            request.state.actor = await _admit(request, rule, trail)
        elif cross_site.is_change(request):
            cross_site.check_origin(request)  # else a page could sign its visitor in as somebody else
        response = await endpoint(request)
    except Exception as error:
        await _record(request, rule, action, trail, error)
        raise
    await _record(request, rule, action, trail, None)
    return response


async def _pass_socket(websocket: fastapi.WebSocket, action: str, opener: _Opener) -> None:
    rule = access_table.RULES[action]
    trail = _trail(websocket)
    async with contextlib.AsyncExitStack() as opened:
        try:
            websocket.state.actor = await _admit(websocket, rule, trail)
            session = await opened.enter_async_context(opener(websocket))
        except Exception as error:
            await _record(websocket, rule, action, trail, error)
            raise
        await _record(websocket, rule, action, trail, None)
        try:
            await websocket.accept(terminal.SUBPROTOCOL)
            await session()
        finally:
            # A daemon that stops cancels what is open: that it ended is kept all the same.
            with anyio.CancelScope(shield=True):
                await _record(websocket, rule, action.replace("open_", "close_", 1), trail, None)


def _trail(request: requests.HTTPConnection) -> Trail:
    trail = Trail(subject=" ".join(paths.decoded(str(value)) for value in request.path_params.values()))
    request.state.trail = trail
    return trail


async def _admit(request: requests.HTTPConnection, rule: access.Rule, trail: Trail) -> access.Actor:
    """Raises: errors.NotSignedIn, errors.AccountNotFound, errors.Denied."""
    services = cast("ports.Services", request.app.state.services)
    shown = _credentials(request)
    in_turn = await turns.get_turns(request)
    actor = await in_turn.run(lambda: services.identity.identify(shown))
    trail.actor, trail.account = actor.name, actor.account
    if isinstance(request, fastapi.WebSocket):
        cross_site.check_socket(request, is_browser=actor.session_id is not None)
    elif isinstance(request, fastapi.Request) and actor.session_id is not None and cross_site.is_change(request):
        cross_site.check_origin(request)
        await cross_site.check_token(request)
    access.check(rule, actor)
    return actor


def _credentials(request: requests.HTTPConnection) -> access.Credentials:
    """Raises: errors.ApiKeyRefused, errors.AccountNotFound where a header cannot be right."""
    chosen = request.headers.get(ACCOUNT_HEADER)
    if chosen is not None and not (chosen.isascii() and chosen.isprintable() and 0 < len(chosen) <= _NAME_CHARACTERS):
        raise errors.AccountNotFound(account=ascii(chosen)[1:-1][:_NAME_CHARACTERS])
    return access.Credentials(
        peer_uid=peer.uid_of(request.scope), bearer=_bearer(request), session=cookies.session_of(request),
        account=chosen, address=peer.address_of(request.scope),
    )  # fmt: skip


def _bearer(request: requests.HTTPConnection) -> str | None:
    """The key that was shown. What is no bearer token is refused, not passed over: the caller means to be somebody."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise errors.ApiKeyRefused
    return token.strip()


async def _record(
    request: requests.HTTPConnection, rule: access.Rule, action: str, trail: Trail, error: Exception | None
) -> None:
    """Before the answer is sent: who has it can rely on the entry.

    Not recorded is what nobody can be named for: a request without valid credentials (or with a locked name) would let
    anybody fill the disk. Failed sign-ins are: their rate is limited.
    """
    is_unknown = trail.actor == NOBODY and not rule.is_open
    if not rule.is_change or is_unknown or isinstance(error, errors.SignInLocked):
        return
    services = cast("ports.Services", request.app.state.services)
    code, status = _outcome(error)
    outcome = audit.Outcome.DONE if code is None else audit.Outcome.REFUSED if status < 500 else audit.Outcome.FAILED

    def write() -> None:
        services.audit.record(
            actor=trail.actor, account=trail.account, action=action, subject=trail.subject,
            address=peer.address_of(request.scope), outcome=outcome, code=code,
            request_id=correlation.request_id(),
        )  # fmt: skip

    try:
        await concurrency.run_in_threadpool(write)
    except Exception:  # noqa: BLE001 - the edge of a request
        # The change has happened, and saying otherwise would be wrong: the log of the daemon gets the entry instead.
        _log.exception("no audit entry: %s %s %r: %s (%s)", trail.actor, action, trail.subject, outcome, code)


def _outcome(error: Exception | None) -> tuple[str | None, int]:
    """Code and status of what left the endpoint."""
    if error is None:
        return None, 200
    if isinstance(error, errors.EstampeError):
        return error.code, problem.status_of(type(error))
    if isinstance(error, exceptions.RequestValidationError):
        return errors.InvalidRequest.code, 400
    if isinstance(error, starlette_exceptions.HTTPException):
        return errors.InvalidRequest.code, error.status_code
    return errors.EstampeError.code, 500
