"""Routes of the store."""

from __future__ import annotations

import fastapi

from estampe.api import dependencies as given
from estampe.api import gate
from estampe.schemas import operation, store

router = fastapi.APIRouter(prefix="/store", tags=["store"], route_class=gate.Route)


@router.get("/usage")
def get_usage(services: given.Services) -> store.Usage:
    """What the store holds, and for which templates."""
    return store.Usage.model_validate(services.storage.usage())


@router.post("/check", status_code=202)
def start_check(services: given.Services, owner_id: given.OwnerId, request: store.CheckRequest) -> operation.Operation:
    """Begin to verify chunks and manifests; the operation's result is the report."""
    return operation.Operation.model_validate(services.storage.check(owner_id, sample=request.sample))


@router.post("/sweep", status_code=202)
def start_sweep(services: given.Services, owner_id: given.OwnerId, request: store.SweepRequest) -> operation.Operation:
    """Begin to remove what no template needs; the operation's result is the report."""
    begun = services.storage.sweep(owner_id, is_dry_run=request.is_dry_run, grace_seconds=request.grace_seconds)
    return operation.Operation.model_validate(begun)
