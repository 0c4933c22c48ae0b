"""Routes of what accounts may publish, and whose templates they take."""

from __future__ import annotations

import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import gate, problems
from estampe.schemas import publishing

router = fastapi.APIRouter(prefix="/accounts/{account}", tags=["accounts"], route_class=gate.Route)


@router.get("/publishing", responses=problems.answers(errors.AccountNotFound))
def get_publishing(services: given.Services, target: given.Target) -> publishing.Publishing:
    """What an account may publish, and whose templates it takes."""
    return publishing.Publishing.model_validate(services.sharing.get_publishing(target.id))


@router.put("/publishing", responses=problems.answers(errors.AccountNotFound))
def allow_publishing(
    services: given.Services, target: given.Target, trail: given.Trail, request: publishing.AllowRequest
) -> publishing.Publishing:
    """Let an account make templates public, or no longer; what is public stays so until it is unpublished."""
    trail.subject = f"{target.name} {'may' if request.may_publish else 'may not'} publish"
    allowed = services.sharing.allow_publishing(target.id, may_publish=request.may_publish)
    return publishing.Publishing.model_validate(allowed)


@router.put("/publishers", responses=problems.answers(errors.AccountNotFound))
def limit_publishers(
    services: given.Services, target: given.Target, trail: given.Trail, request: publishing.LimitRequest
) -> publishing.Publishing:
    """Let an account see only the templates of some publishers, shared or public, or everybody's."""
    told = ["limited" if request.is_limited else "not limited", *(request.publishers or ())]
    trail.subject = f"{target.name} {' '.join(told)}"
    limited = services.sharing.limit_publishers(target.id, is_limited=request.is_limited, publishers=request.publishers)
    return publishing.Publishing.model_validate(limited)
