"""Routes of operations."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated, Final, cast

import anyio
import anyio.to_thread
import fastapi
from fastapi import sse

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import events, gate, problems
from estampe.api import services as ports
from estampe.model import access
from estampe.model import operation as operations
from estampe.schemas import operation, wire

router = fastapi.APIRouter(prefix="/operations", tags=["operations"], route_class=gate.Route)

_ERRORS = problems.answers(errors.AmbiguousId, errors.OperationNotFound)
_MAX_WAITS: Final = 64  # threads for long polls, apart from the 40 that Starlette has for all other requests


@router.get("")
def list_operations(
    services: given.Services, actor: given.Actor, query: Annotated[operation.ListQuery, fastapi.Query()]
) -> operation.OperationList:
    """A page of operations, the newest first unless sorted otherwise."""
    hidden = tuple(kind for kind in operations.Kind if not _may_see(actor, kind))
    page = services.operations.list(actor.account_id, query.to_domain(hidden_kinds=hidden))
    return operation.OperationList(
        operations=[operation.Operation.model_validate(each) for each in page.items], next=page.next
    )


@router.get("/{reference}", responses=_ERRORS)
async def get_operation(
    request: fastapi.Request,
    services: given.Services,
    actor: given.Actor,
    reference: given.Reference,
    wait: Annotated[float, fastapi.Query(ge=0, le=wire.MAX_WAIT_SECONDS, allow_inf_nan=False)] = 0.0,
    seen: Annotated[str | None, fastapi.Query(max_length=64, description="`change_token` of the last answer")] = None,
) -> operation.Operation:
    """One operation; with `wait`, as soon as it differs from `seen`, has ended, or those seconds have passed."""
    # Asynchronous, unlike most endpoints: a hundred followers must neither hold the threads that other requests need nor
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


def get_followed(services: given.Services, actor: given.Actor, reference: given.Reference) -> operations.Operation:
    """The operation to follow, before the stream begins: what is wrong with it is an ordinary answer."""
    return _look(services.operations, actor, reference)


@router.get("/{reference}/events", response_class=sse.EventSourceResponse, responses=_ERRORS)
async def watch_operation(
    request: fastapi.Request,
    services: given.Services,
    actor: given.Actor,
    followed: Annotated[operations.Operation, fastapi.Depends(get_followed)],
    seen: Annotated[
        str | None,
        fastapi.Header(
            alias="Last-Event-ID", pattern="^[0-9]{1,18}$", description="`id` of the last event that was read"
        ),
    ] = None,
) -> AsyncIterator[sse.ServerSentEvent]:
    """Server-sent events: the operation at once and at each change, `ended` the last one; a comment every 15 s meanwhile.

    The stream ends before its end where the key or the session that opened it is no longer valid.
    """
    hub: events.Hub = request.app.state.hub

    def look() -> operations.Operation:
        return _look(services.operations, actor, str(followed.id))

    async for state in hub.follow(followed, look, seen=None if seen is None else int(seen)):
        if not await gate.is_still_admitted(request):
            return
        name = "ended" if state.state.has_ended else "changed"
        yield sse.ServerSentEvent(
            id=str(state.revision), event=name, raw_data=operation.Operation.model_validate(state).model_dump_json()
        )


@router.post(
    "/{reference}/cancel",
    responses=problems.answers(errors.AmbiguousId, errors.OperationNotFound, errors.OperationEnded),
)
def cancel_operation(services: given.Services, actor: given.Actor, reference: given.Reference) -> operation.Operation:
    """Ask an operation to stop; the answer may still show it running."""
    _look(services.operations, actor, reference)
    return operation.Operation.model_validate(services.operations.cancel(actor.account_id, reference))


def _look(
    service: ports.OperationService,
    actor: access.Actor,
    reference: str,
    timeout_seconds: float = 0,
    seen: str | None = None,
) -> operations.Operation:
    """Raises: errors.OperationNotFound, also where it may not be seen."""
    if timeout_seconds == 0 or seen is None:
        found = service.get(actor.account_id, reference)
    else:
        found = service.wait(actor.account_id, reference, timeout_seconds=timeout_seconds, seen=seen)
    if not _may_see(actor, found.kind):
        raise errors.OperationNotFound(operation=reference)
    return found


def _may_see(actor: access.Actor, kind: operations.Kind) -> bool:
    """A check or sweep that the cloud operator runs for an account reports on all of them: its members do not see it."""
    return actor.is_cloud_operator or not kind.is_store_wide


def _limiter(app: fastapi.FastAPI) -> anyio.CapacityLimiter:
    """The app's limit of waiting threads; made here since a limiter belongs to a running event loop."""
    if app.state.wait_limiter is None:
        app.state.wait_limiter = anyio.CapacityLimiter(_MAX_WAITS)
    return cast("anyio.CapacityLimiter", app.state.wait_limiter)
