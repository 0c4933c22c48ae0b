"""The cookies of browsers: what they are called, who sees them, and when they go.

`__Host-` in front (RFC 6265bis, section 4.1.3.2) has the browser refuse one that is not Secure, or that a neighbouring host has
set. Over plain HTTP, which there is only on the host itself, for development, no cookie can be called so.
"""

from __future__ import annotations

from typing import Final

import fastapi
from starlette import requests

from estampe.model import oidc, session

_SESSION: Final = "estampe-session"
_DETOUR: Final = "estampe-oidc"
_STATE_CHARACTERS: Final = 16  # of 43: enough to tell detours apart that tabs of one browser are on at once


def scheme(request: requests.HTTPConnection) -> str:
    """Of the page that asks: a WebSocket has one of its own."""
    return {"ws": "http", "wss": "https"}.get(request.url.scheme, request.url.scheme)


def is_secure(request: requests.HTTPConnection) -> bool:
    """Whether the browser speaks HTTPS, with us or with the proxy in front of us."""
    origin: str | None = request.app.state.public_origin
    return (origin or scheme(request)).startswith("https")


def session_of(request: requests.HTTPConnection) -> str | None:
    """The session that was shown."""
    return request.cookies.get(_name(request, _SESSION))


def browser_of(request: fastapi.Request, address: str) -> session.Browser:
    """Who asks for a session."""
    return session.Browser(address=address, agent=request.headers.get("user-agent", ""), shown=session_of(request))


def give_session(request: fastapi.Request, response: fastapi.Response, cookie: str) -> None:
    """Have the browser keep it until it is closed; the daemon ends it before."""
    _give(request, response, _name(request, _SESSION), cookie)


def forget_session(request: fastapi.Request, response: fastapi.Response) -> None:
    """Have the browser drop it."""
    _forget(request, response, _name(request, _SESSION))


def detour_of(request: fastapi.Request, state: str) -> str | None:
    """What the beginning of the detour to the OpenID provider has left in this browser."""
    return request.cookies.get(_detour(request, state))


def give_detour(request: fastapi.Request, response: fastapi.Response, *, state: str, binding: str) -> None:
    """Leave it there."""
    _give(request, response, _detour(request, state), binding, seconds=int(oidc.LIFE.total_seconds()))


def forget_detour(request: fastapi.Request, response: fastapi.Response, state: str) -> None:
    """Have the browser drop it."""
    _forget(request, response, _detour(request, state))


def _detour(request: fastapi.Request, state: str) -> str:
    return _name(request, f"{_DETOUR}-{state[:_STATE_CHARACTERS]}")


def _name(request: requests.HTTPConnection, name: str) -> str:
    return f"__Host-{name}" if is_secure(request) else name


def _give(
    request: fastapi.Request, response: fastapi.Response, name: str, value: str, *, seconds: int | None = None
) -> None:
    # Lax, not Strict: the way back from the provider, and links to our pages, come from other sites.
    response.set_cookie(
        name, value, max_age=seconds, path="/", secure=is_secure(request), httponly=True, samesite="lax"
    )


def _forget(request: fastapi.Request, response: fastapi.Response, name: str) -> None:
    response.delete_cookie(name, path="/", secure=is_secure(request), httponly=True, samesite="lax")
