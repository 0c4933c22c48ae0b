"""Routes of servers."""

from __future__ import annotations

from typing import Annotated

import fastapi

from estampe.api import dependencies as given
from estampe.api import gate
from estampe.schemas import server

router = fastapi.APIRouter(prefix="/servers", tags=["servers"], route_class=gate.Route)


@router.get("")
def list_servers(services: given.Services, owner_id: given.OwnerId) -> server.ServerList:
    """All servers of the account, by name."""
    servers = services.servers.list(owner_id)
    return server.ServerList(servers=[server.Server.model_validate(view) for view in servers])


@router.get("/{reference}")
def get_server(services: given.Services, owner_id: given.OwnerId, reference: given.Reference) -> server.ServerDetail:
    """One server with its configuration and addresses."""
    return server.ServerDetail.model_validate(services.servers.get(owner_id, reference))


@router.post("/{reference}/start")
def start_server(services: given.Services, owner_id: given.OwnerId, reference: given.Reference) -> server.Server:
    """Start a server; running already is fine."""
    return server.Server.model_validate(services.servers.start(owner_id, reference))


@router.post("/{reference}/stop")
def stop_server(
    services: given.Services, owner_id: given.OwnerId, reference: given.Reference, request: server.StopRequest
) -> server.Server:
    """Shut a server down and answer when it is off, or when the timeout has passed; off already is fine."""
    view = services.servers.stop(
        owner_id, reference, is_forced=request.is_forced, timeout_seconds=request.timeout_seconds
    )
    return server.Server.model_validate(view)


@router.delete("/{reference}", status_code=204)
def delete_server(
    services: given.Services,
    owner_id: given.OwnerId,
    reference: given.Reference,
    is_volumes_deleted: Annotated[bool, fastapi.Query(description="delete its volumes too")] = False,
    is_forced: Annotated[bool, fastapi.Query(description="power it off first if it runs")] = False,
) -> None:
    """Remove a server; its volumes stay unless told otherwise."""
    services.servers.delete(owner_id, reference, is_volumes_deleted=is_volumes_deleted, is_forced=is_forced)


@router.post("/{reference}/assign")
def assign_server(
    services: given.Services, trail: given.Trail, reference: given.Reference, request: server.AssignRequest
) -> server.Server:
    """Give a server of the host to an account, whoever has it now."""
    trail.subject = f"{reference} to {request.account}"
    trail.account = target = services.accounts.resolve(request.account)
    return server.Server.model_validate(services.servers.assign(reference, target.id))
