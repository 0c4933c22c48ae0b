"""Routes of signing in and out."""

from __future__ import annotations

import fastapi

from estampe.accounts import views
from estampe.api import dependencies as given
from estampe.api import gate, hashing, peer
from estampe.schemas import api_key

router = fastapi.APIRouter(tags=["sign-in"], route_class=gate.Route)


@router.post("/login")
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


@router.post("/logout", status_code=204)
def sign_out(services: given.Services, actor: given.Actor) -> None:
    """Revoke the API key that this request shows."""
    services.keys.sign_out(actor)


@router.get("/identity")
def get_identity(actor: given.Actor) -> api_key.Identity:
    """Who asks, for which account, and in which role."""
    return api_key.Identity.model_validate(actor)
