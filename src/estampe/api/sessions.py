"""Routes of browsers' sessions."""

from __future__ import annotations

from typing import Annotated

import fastapi

from estampe import errors
from estampe.accounts import views
from estampe.api import cookies, gate, hashing, peer, problems
from estampe.api import dependencies as given
from estampe.model import session as model
from estampe.schemas import api_key, session

router = fastapi.APIRouter(tags=["sign-in"], route_class=gate.Route)


@router.post(
    "/session",
    status_code=201,
    responses=problems.answers(errors.SignInRefused, errors.SignInLocked, errors.AccountAmbiguous),
)
async def create_session(
    http: fastapi.Request,
    response: fastapi.Response,
    services: given.Services,
    trail: given.Trail,
    limiter: hashing.Limiter,
    request: api_key.SignInRequest,
) -> session.CurrentSession:
    """Exchange name and password for a session, which the browser gets as a cookie. The one it had until now ends."""

    def verify() -> views.OpenedSession:
        # People type passwords where the name belongs: only names that exist are kept.
        trail.subject = request.name if services.people.knows(request.name) else "(unknown name)"
        return services.sign_in.open_session(
            name=request.name, password=request.password, account_name=request.account,
            browser=cookies.browser_of(http, peer.address_of(http.scope)),
        )  # fmt: skip

    opened = await limiter.run(verify)
    trail.actor, trail.account = opened.actor.name, opened.actor.account
    return _told(http, response, opened)


@router.get("/session")
def get_session(
    http: fastapi.Request, response: fastapi.Response, services: given.Services, actor: given.Actor
) -> session.CurrentSession:
    """Who asks; with a session also that, and the CSRF token that its changes must show (`X-CSRF-Token`)."""
    current = services.sessions.get_current(actor)
    response.headers["Cache-Control"] = "no-store"
    return session.CurrentSession(
        actor=api_key.Identity.model_validate(actor),
        session=None if current is None else session.Session.model_validate(current),
        csrf_token=None if current is None else _token(cookies.session_of(http) or ""),
    )


@router.delete("/session", status_code=204, responses=problems.answers(errors.InvalidRequest))
def end_session(
    http: fastapi.Request, response: fastapi.Response, services: given.Services, actor: given.Actor
) -> None:
    """Sign out: the session that this request shows lets nobody in any more."""
    services.sessions.sign_out(actor)
    cookies.forget_session(http, response)


@router.put("/session/account", responses=problems.answers(errors.AccountNotFound, errors.InvalidRequest))
def switch_account(
    http: fastapi.Request,
    response: fastapi.Response,
    services: given.Services,
    actor: given.Actor,
    trail: given.Trail,
    request: session.SwitchRequest,
) -> session.CurrentSession:
    """Act for another account of the same person from now on: the browser gets another session, until when the present one was."""
    trail.subject = request.account
    browser = cookies.browser_of(http, peer.address_of(http.scope))
    opened = services.admission.switch(actor, request.account, browser=browser)
    return _told(http, response, opened)


@router.get("/session/accounts")
def list_memberships(services: given.Services, actor: given.Actor) -> session.MembershipList:
    """The accounts that the person who asks is a member of, by name; of an API key of no person, its own."""
    found = services.admission.list_memberships(actor)
    return session.MembershipList(memberships=[session.Membership.model_validate(each) for each in found])


@router.get("/sign-in")
def get_sign_in_ways(services: given.Services) -> session.SignInWays:
    """How a browser can sign in here."""
    return session.SignInWays(has_oidc=services.oidc.takes_browsers())


@router.get("/sessions")
def list_sessions(
    services: given.Services, actor: given.Actor, query: Annotated[session.SessionQuery, fastapi.Query()]
) -> session.SessionList:
    """A page of all sessions of the account for its owners, for others their own; the newest first unless sorted otherwise."""
    page = services.sessions.list(actor, query.to_domain())
    return session.SessionList(sessions=[session.Session.model_validate(each) for each in page.items], next=page.next)


@router.delete("/sessions/{reference}", responses=problems.answers(errors.SessionNotFound, errors.AmbiguousId))
def revoke_session(services: given.Services, actor: given.Actor, reference: given.Reference) -> session.Session:
    """End a session, wherever its browser is."""
    return session.Session.model_validate(services.sessions.revoke(actor, reference))


def _told(http: fastapi.Request, response: fastapi.Response, opened: views.OpenedSession) -> session.CurrentSession:
    """The answer that opens a session."""
    cookies.give_session(http, response, opened.cookie)
    response.headers["Cache-Control"] = "no-store"
    return session.CurrentSession(
        actor=api_key.Identity.model_validate(opened.actor),
        session=session.Session.model_validate(opened.session),
        csrf_token=_token(opened.cookie),
    )


def _token(cookie: str) -> str | None:
    secret = model.parse(cookie)
    return None if secret is None else model.csrf_token(secret)
