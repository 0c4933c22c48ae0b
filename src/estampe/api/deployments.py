"""Routes of deployments."""

from __future__ import annotations

import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import gate, idempotency, problems
from estampe.schemas import deploy, operation

router = fastapi.APIRouter(prefix="/deployments", tags=["deployments"], route_class=gate.Route)
_ERRORS = (
    errors.InvalidName,
    errors.VolumeTooSmall,
    errors.CannotGrow,
    errors.VolumeNotFound,
    errors.TemplateNotFound,
    errors.NameInUse,
    errors.NoSpace,
    errors.TemplateStateForbids,
    errors.HostLacks,
    errors.GuestLacks,
)


@router.post(
    "",
    status_code=202,
    response_model=operation.Operation,
    responses=problems.answers(*_ERRORS, errors.QuotaExceeded, errors.RequestInProgress, errors.IdempotencyKeyReused),
)
def start_deployment(
    services: given.Services,
    owner_id: given.OwnerId,
    trail: given.Trail,
    request: deploy.DeployRequest,
    once: idempotency.Create,
) -> fastapi.Response:
    """Begin to deploy servers from a template; the answer is the operation to follow."""
    trail.subject = f"{request.template} as {request.name}"
    return once.begin(request, lambda: services.deployments.start(owner_id, request.to_domain()))


@router.post("/plan", responses=problems.answers(*_ERRORS))
def plan_deployment(
    services: given.Services, owner_id: given.OwnerId, request: deploy.DeployRequest
) -> deploy.DeployPlan:
    """What the deployment would do; nothing is done."""
    return deploy.DeployPlan.model_validate(services.deployments.plan(owner_id, request.to_domain()))
