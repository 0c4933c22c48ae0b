"""Routes of API keys, of the account that is acted for."""

from __future__ import annotations

import fastapi

from estampe.api import dependencies as given
from estampe.api import gate
from estampe.schemas import api_key

router = fastapi.APIRouter(prefix="/api-keys", tags=["API keys"], route_class=gate.Route)


@router.get("")
def list_api_keys(services: given.Services, actor: given.Actor) -> api_key.ApiKeyList:
    """All keys of the account for its owners, for others their own; the newest first."""
    return api_key.ApiKeyList(api_keys=[api_key.ApiKey.model_validate(each) for each in services.keys.list(actor)])


@router.post("", status_code=201)
def create_api_key(
    services: given.Services, actor: given.Actor, trail: given.Trail, request: api_key.CreateApiKeyRequest
) -> api_key.NewApiKey:
    """Make a key that may at most what its maker may. The answer is the only place where the key itself stands."""
    trail.subject = request.name
    made = services.keys.create(
        actor, name=request.name, role=request.role, expires_at=request.expires_at,
        is_cloud_operator=request.is_cloud_operator,
    )  # fmt: skip
    trail.subject = f"{made.api_key.id} ({request.name})"
    return api_key.NewApiKey.model_validate(made)


@router.delete("/{reference}")
def revoke_api_key(services: given.Services, actor: given.Actor, reference: given.Reference) -> api_key.ApiKey:
    """From now on the key lets nobody in. It stays in the list, as revoked."""
    return api_key.ApiKey.model_validate(services.keys.revoke(actor, reference))
