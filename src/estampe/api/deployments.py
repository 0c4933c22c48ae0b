"""Routes of deployments."""

from __future__ import annotations

import fastapi

from estampe.api import dependencies as given
from estampe.api import gate
from estampe.schemas import deploy, operation

router = fastapi.APIRouter(prefix="/deployments", tags=["deployments"], route_class=gate.Route)


@router.post("", status_code=202)
def start_deployment(
    services: given.Services, owner_id: given.OwnerId, trail: given.Trail, request: deploy.DeployRequest
) -> operation.Operation:
    """Begin to deploy servers from a template; the answer is the operation to follow."""
    trail.subject = f"{request.template} as {request.name}"
    return operation.Operation.model_validate(services.deployments.start(owner_id, request.to_domain()))


@router.post("/plan")
def plan_deployment(
    services: given.Services, owner_id: given.OwnerId, request: deploy.DeployRequest
) -> deploy.DeployPlan:
    """What the deployment would do; nothing is done."""
    return deploy.DeployPlan.model_validate(services.deployments.plan(owner_id, request.to_domain()))
