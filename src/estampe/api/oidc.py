"""Routes of signing in at an OpenID provider, for browsers and for commands."""

from __future__ import annotations

from typing import Annotated

import fastapi
from fastapi import responses

from estampe import errors
from estampe.api import cookies, gate, peer, problems
from estampe.api import dependencies as given
from estampe.model import oidc as model
from estampe.schemas import api_key, oidc

router = fastapi.APIRouter(prefix="/oidc", tags=["sign-in"], route_class=gate.Route)
_ANSWERED = problems.answers(
    errors.OidcAnswerRefused,
    errors.OidcPersonUnknown,
    errors.SignInRefused,
    errors.AccountAmbiguous,
    errors.OidcNotConfigured,
    errors.OidcUnavailable,
    errors.SignInLocked,
)
# The address of the way back holds the code: no page that follows shall be told it.
_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


@router.get(
    "/start",
    status_code=303,
    response_class=responses.RedirectResponse,
    responses=problems.answers(errors.OidcNotConfigured, errors.OidcUnavailable, errors.SignInLocked),
)
def start_oidc(
    http: fastapi.Request, services: given.Services, query: Annotated[oidc.StartQuery, fastapi.Query()]
) -> fastapi.Response:
    """Send the browser to the OpenID provider. It comes back to `/v1/oidc/callback`, and from there to `next`."""
    departure = services.oidc.depart(next=query.next, account_name=query.account, address=peer.address_of(http.scope))
    response = responses.RedirectResponse(departure.url, status_code=303, headers=_PRIVATE)
    cookies.give_detour(http, response, state=departure.state, binding=departure.binding)
    return response


@router.get("/callback", status_code=303, response_class=responses.RedirectResponse, responses=_ANSWERED)
def finish_oidc(
    http: fastapi.Request,
    services: given.Services,
    trail: given.Trail,
    query: Annotated[oidc.CallbackQuery, fastapi.Query()],
) -> fastapi.Response:
    """The way back from the provider: the browser gets a session, and goes on to where it wanted to."""
    answer = model.Answer(
        state=query.state, binding=cookies.detour_of(http, query.state) or "", code=query.code, error=query.error,
        issuer=query.iss,
    )  # fmt: skip
    browser = cookies.browser_of(http, peer.address_of(http.scope))
    with gate.naming(trail):
        arrival = services.oidc.arrive(answer, browser=browser)
    trail.actor, trail.account = arrival.opened.actor.name, arrival.opened.actor.account
    response = responses.RedirectResponse(arrival.next, status_code=303, headers=_PRIVATE)
    cookies.forget_detour(http, response, query.state)
    cookies.give_session(http, response, arrival.opened.cookie)
    return response


@router.post(
    "/command", responses=problems.answers(errors.OidcNotConfigured, errors.OidcUnavailable, errors.SignInLocked)
)
def start_oidc_command(http: fastapi.Request, services: given.Services, request: oidc.CommandRequest) -> oidc.Departure:
    """Where a person goes to sign in for a command, which waits for the answer at a port of its own host (RFC 8252)."""
    departure = services.oidc.depart_command(
        port=request.port, binding=request.binding, account_name=request.account, address=peer.address_of(http.scope)
    )
    return oidc.Departure(url=departure.url, state=departure.state)


@router.post("/login", responses=_ANSWERED)
def finish_oidc_command(
    http: fastapi.Request,
    response: fastapi.Response,
    services: given.Services,
    trail: given.Trail,
    request: oidc.RedeemRequest,
) -> api_key.SignedIn:
    """Exchange the provider's answer for an API key that lives some hours, as `/v1/login` does a password."""
    answer = model.Answer(
        state=request.state, binding=request.binding, code=request.code, error=request.error, issuer=request.issuer
    )
    with gate.naming(trail):
        signed_in = services.oidc.redeem(answer, address=peer.address_of(http.scope))
    trail.actor, trail.account = signed_in.actor.name, signed_in.actor.account
    response.headers["Cache-Control"] = "no-store"
    return api_key.SignedIn.model_validate(signed_in)
