"""Routes of captures."""

from __future__ import annotations

import fastapi

from estampe.api import dependencies as given
from estampe.api import gate
from estampe.schemas import capture, operation

router = fastapi.APIRouter(prefix="/captures", tags=["captures"], route_class=gate.Route)


@router.post("", status_code=202)
def start_capture(
    services: given.Services, owner_id: given.OwnerId, trail: given.Trail, request: capture.CaptureRequest
) -> operation.Operation:
    """Begin to capture a server into a template; the answer is the operation to follow."""
    trail.subject = request.server
    return operation.Operation.model_validate(services.captures.start(owner_id, request.to_domain()))


@router.post("/plan")
def plan_capture(
    services: given.Services, owner_id: given.OwnerId, request: capture.CaptureRequest
) -> capture.CapturePlan:
    """What the capture would do; nothing is done."""
    return capture.CapturePlan.model_validate(services.captures.plan(owner_id, request.to_domain()))
