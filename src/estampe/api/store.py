"""Routes of the store."""

from __future__ import annotations

from typing import Annotated

import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import gate, idempotency, problems
from estampe.schemas import operation, store

router = fastapi.APIRouter(prefix="/store", tags=["store"], route_class=gate.Route)


@router.get("/usage")
def get_usage(services: given.Services) -> store.Usage:
    """What the store holds, and for which templates."""
    return store.Usage.model_validate(services.storage.usage())


@router.get("/growth")
def get_growth(services: given.Services, query: Annotated[store.GrowthQuery, fastapi.Query()]) -> store.Growth:
    """What the store held over time."""
    return store.Growth.model_validate({"samples": services.growth.history(days=query.days)})


@router.post(
    "/check",
    status_code=202,
    response_model=operation.Operation,
    responses=problems.answers(errors.RequestInProgress, errors.IdempotencyKeyReused),
)
def start_check(
    services: given.Services, owner_id: given.OwnerId, request: store.CheckRequest, once: idempotency.Create
) -> fastapi.Response:
    """Begin to verify chunks and manifests; the operation's result is the report."""
    return once.begin(request, lambda: services.storage.check(owner_id, sample=request.sample))


@router.post(
    "/sweep",
    status_code=202,
    response_model=operation.Operation,
    responses=problems.answers(errors.StoreBusy, errors.RequestInProgress, errors.IdempotencyKeyReused),
)
def start_sweep(
    services: given.Services, owner_id: given.OwnerId, request: store.SweepRequest, once: idempotency.Create
) -> fastapi.Response:
    """Begin to remove what no template needs; the operation's result is the report."""
    return once.begin(
        request,
        lambda: services.storage.sweep(owner_id, is_dry_run=request.is_dry_run, grace_seconds=request.grace_seconds),
    )
