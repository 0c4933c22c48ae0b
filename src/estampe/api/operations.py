"""Routes of operations."""

from __future__ import annotations

import time
from typing import Annotated, Final, cast

import anyio
import anyio.to_thread
import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import gate
from estampe.api import services as ports
from estampe.model import access
from estampe.model import operation as operations
from estampe.schemas import operation, wire

router = fastapi.APIRouter(prefix="/operations", tags=["operations"], route_class=gate.Route)

_MAX_WAITS: Final = 64  # threads for long polls, apart from the 40 that Starlette has for all other requests


@router.get("")
def list_operations(
    services: given.Services,
    actor: given.Actor,
    state: Annotated[list[operations.State] | None, fastapi.Query(max_length=8)] = None,
    kind: operations.Kind | None = None,
    limit: Annotated[int, fastapi.Query(ge=1, le=1000)] = 100,
) -> operation.OperationList:
    """Operations, the newest first; `state` may be repeated."""
    found = services.operations.list(actor.account_id, states=tuple(state or ()), kind=kind, limit=limit)
    visible = [operation.Operation.model_validate(each) for each in found if _may_see(actor, each)]
    return operation.OperationList(operations=visible)


@router.get("/{reference}")
async def get_operation(
    request: fastapi.Request,
    services: given.Services,
    actor: given.Actor,
    reference: given.Reference,
    wait: Annotated[float, fastapi.Query(ge=0, le=wire.MAX_WAIT_SECONDS, allow_inf_nan=False)] = 0.0,
    seen: Annotated[str | None, fastapi.Query(max_length=64, description="`change_token` of the last answer")] = None,
) -> operation.Operation:
    """One operation; with `wait`, as soon as it differs from `seen`, has ended, or those seconds have passed."""
    # The only asynchronous endpoint: a hundred followers must neither hold the threads that other requests need nor
    # keep the daemon from stopping, so it waits in slices, on threads of its own.
    limiter, slice_seconds = _limiter(request.app), request.app.state.wait_slice_seconds
    deadline = time.monotonic() + wait
    while True:
        remaining = max(0.0, deadline - time.monotonic())
        found = await anyio.to_thread.run_sync(
            _look, services.operations, actor, reference, min(remaining, slice_seconds), seen, limiter=limiter
        )
        is_over = remaining == 0 or found.state.has_ended or found.change_token != seen
        if is_over or request.app.state.stopping.is_set() or await request.is_disconnected():
            return operation.Operation.model_validate(found)


@router.post("/{reference}/cancel")
def cancel_operation(services: given.Services, actor: given.Actor, reference: given.Reference) -> operation.Operation:
    """Ask an operation to stop; the answer may still show it running."""
    _look(services.operations, actor, reference, 0, None)
    return operation.Operation.model_validate(services.operations.cancel(actor.account_id, reference))


def _look(
    service: ports.OperationService, actor: access.Actor, reference: str, timeout_seconds: float, seen: str | None
) -> operations.Operation:
    """Raises: errors.OperationNotFound, also where it may not be seen."""
    if timeout_seconds == 0 or seen is None:
        found = service.get(actor.account_id, reference)
    else:
        found = service.wait(actor.account_id, reference, timeout_seconds=timeout_seconds, seen=seen)
    if not _may_see(actor, found):
        raise errors.OperationNotFound(operation=reference)
    return found


def _may_see(actor: access.Actor, found: operations.Operation) -> bool:
    """A check or sweep that the cloud operator runs for an account reports on all of them: its members do not see it."""
    return actor.is_cloud_operator or not found.kind.is_store_wide


def _limiter(app: fastapi.FastAPI) -> anyio.CapacityLimiter:
    """The app's limit of waiting threads; made here since a limiter belongs to a running event loop."""
    if app.state.wait_limiter is None:
        app.state.wait_limiter = anyio.CapacityLimiter(_MAX_WAITS)
    return cast("anyio.CapacityLimiter", app.state.wait_limiter)
