"""Routes of captures."""

from __future__ import annotations

import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import gate, idempotency, problems
from estampe.schemas import capture, operation

router = fastapi.APIRouter(prefix="/captures", tags=["captures"], route_class=gate.Route)
_ERRORS = (
    errors.InvalidName,
    errors.NotAVirtualServer,
    errors.ServerNotFound,
    errors.VolumeNotFound,
    errors.ServerBusy,
    errors.ServerStateForbids,
    errors.VolumeGone,
    errors.FormatUnsupported,
    errors.ChainUnsupported,
)


@router.post(
    "",
    status_code=202,
    response_model=operation.Operation,
    responses=problems.answers(*_ERRORS, errors.QuotaExceeded, errors.RequestInProgress, errors.IdempotencyKeyReused),
)
def start_capture(
    services: given.Services,
    owner_id: given.OwnerId,
    trail: given.Trail,
    request: capture.CaptureRequest,
    once: idempotency.Create,
) -> fastapi.Response:
    """Begin to capture a server into a template; the answer is the operation to follow."""
    trail.subject = request.server
    return once.begin(request, lambda: services.captures.start(owner_id, request.to_domain()))


@router.post("/plan", responses=problems.answers(*_ERRORS))
def plan_capture(
    services: given.Services, owner_id: given.OwnerId, request: capture.CaptureRequest
) -> capture.CapturePlan:
    """What the capture would do; nothing is done."""
    return capture.CapturePlan.model_validate(services.captures.plan(owner_id, request.to_domain()))
