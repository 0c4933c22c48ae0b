"""Routes of signing in and out."""

from __future__ import annotations

import fastapi

from estampe import errors
from estampe.accounts import views
from estampe.api import cookies, gate, hashing, peer, problems
from estampe.api import dependencies as given
from estampe.schemas import api_key

router = fastapi.APIRouter(tags=["sign-in"], route_class=gate.Route)


@router.post("/login", responses=problems.answers(errors.SignInRefused, errors.SignInLocked, errors.AccountAmbiguous))
async def sign_in(
    http: fastapi.Request,
    services: given.Services,
    trail: given.Trail,
    limiter: hashing.Limiter,
    request: api_key.SignInRequest,
) -> api_key.SignedIn:
    """Exchange name and password for an API key that lives some hours. Failures are counted by name and by address."""

    def verify() -> views.SignedIn:
        # People type passwords where the name belongs: only names that exist are kept.
        trail.subject = request.name if services.people.knows(request.name) else "(unknown name)"
        return services.sign_in.sign_in(
            name=request.name, password=request.password, account_name=request.account,
            address=peer.address_of(http.scope),
        )  # fmt: skip

    signed_in = await limiter.run(verify)
    trail.actor, trail.account = signed_in.actor.name, signed_in.actor.account
    return api_key.SignedIn.model_validate(signed_in)


@router.post("/logout", status_code=204, responses=problems.answers(errors.InvalidRequest))
def sign_out(http: fastapi.Request, response: fastapi.Response, services: given.Services, actor: given.Actor) -> None:
    """Revoke the API key, or end the session, that this request shows."""
    if actor.session_id is None:
        services.keys.sign_out(actor)
    else:
        services.sessions.sign_out(actor)
        cookies.forget_session(http, response)


@router.get("/identity")
def get_identity(actor: given.Actor) -> api_key.Identity:
    """Who asks, for which account, and in which role."""
    return api_key.Identity.model_validate(actor)
