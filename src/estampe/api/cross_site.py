"""Whether a change that a browser asks for was meant: cookies go along with requests that other sites make, too.

    Sec-Fetch-Site, Origin   where the request comes from, as the browser says
    CSRF token               what only our own pages could read; in a header, or a field of a form

Who shows an API key, or comes by the unix socket, is asked for none of it: no browser adds those by itself.
"""

from __future__ import annotations

from typing import Final
from urllib import parse

import fastapi

from estampe import errors
from estampe.api import cookies
from estampe.model import origin, session

HEADER: Final = "X-CSRF-Token"
FIELD: Final = "csrf_token"
_MOST_FIELDS: Final = 200


def is_change(request: fastapi.Request) -> bool:
    """Whether the method may change something."""
    return request.method not in origin.SAFE_METHODS


def check_origin(request: fastapi.Request) -> None:
    """What the browser says of where the request comes from, if it says so. Raises: errors.CrossSiteRefused."""
    site, said = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    origin.check(site=site, origin=said, own=_own_origin(request))


async def check_token(request: fastapi.Request) -> None:
    """The CSRF token, which is the session's that was shown. Raises: errors.CrossSiteRefused."""
    shown = request.headers.get(HEADER) or await _field(request)
    secret = session.parse(cookies.session_of(request) or "")
    if shown is None:
        raise errors.CrossSiteRefused(
            problem=f"it has no CSRF token (header {HEADER} or field {FIELD}; `GET /v1/session` tells it)"
        )
    if secret is None or not session.proves(shown, secret):
        raise errors.CrossSiteRefused(problem="its CSRF token is not the session's; load the page again")


def _own_origin(request: fastapi.Request) -> str:
    public: str | None = request.app.state.public_origin
    return public or f"{request.url.scheme}://{request.headers.get('host', '')}"


async def _field(request: fastapi.Request) -> str | None:
    """Of a form that a page of ours has sent. The body is kept by the request: the endpoint reads it again."""
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return None
    try:
        fields = parse.parse_qs((await request.body()).decode(), max_num_fields=_MOST_FIELDS)
    except ValueError:
        return None
    found = fields.get(FIELD, [])
    return found[0] if len(found) == 1 else None
