"""Routes of the life of templates."""

from __future__ import annotations

from typing import Annotated

import fastapi

from estampe.api import dependencies as given
from estampe.schemas import server, template

router = fastapi.APIRouter(prefix="/templates/{reference}", tags=["templates"])


@router.post("/deprecate")
def deprecate_template(
    services: given.Services, owner_id: given.OwnerId, reference: given.Reference, request: template.DeprecateRequest
) -> template.Template:
    """Deprecate a template: it still deploys, with a warning that names its successor."""
    found = services.life.deprecate(owner_id, reference, successor=request.successor)
    return template.Template.model_validate(found)


@router.post("/disable")
def disable_template(
    services: given.Services, owner_id: given.OwnerId, reference: given.Reference
) -> template.Template:
    """Disable a template: nothing is deployed from it any more."""
    return template.Template.model_validate(services.life.disable(owner_id, reference))


@router.post("/enable")
def enable_template(services: given.Services, owner_id: given.OwnerId, reference: given.Reference) -> template.Template:
    """Make a deprecated or disabled template active again."""
    return template.Template.model_validate(services.life.enable(owner_id, reference))


@router.post("/restore")
def restore_template(
    services: given.Services, owner_id: given.OwnerId, reference: given.Reference
) -> template.Template:
    """Take a template out of the trash, into the state that it had."""
    return template.Template.model_validate(services.life.restore(owner_id, reference))


@router.post("/protect")
def protect_template(
    services: given.Services, owner_id: given.OwnerId, reference: given.Reference
) -> template.Template:
    """Protect a template: it cannot be deleted or purged, nor taken by a retention rule."""
    return template.Template.model_validate(services.life.protect(owner_id, reference, is_protected=True))


@router.post("/unprotect")
def unprotect_template(
    services: given.Services, owner_id: given.OwnerId, reference: given.Reference
) -> template.Template:
    """Protect a template no longer."""
    return template.Template.model_validate(services.life.protect(owner_id, reference, is_protected=False))


@router.post("/purge", status_code=204)
def purge_template(services: given.Services, owner_id: given.OwnerId, reference: given.Reference) -> None:
    """Remove a template that is in the trash, for ever; a later sweep frees what no other template needs."""
    services.life.purge(owner_id, reference)


@router.get("/servers")
def list_servers_of_template(
    services: given.Services,
    owner_id: given.OwnerId,
    reference: given.Reference,
    is_every_version: Annotated[bool, fastapi.Query(description="from all versions of its name")] = False,
) -> server.ServerList:
    """The servers that were deployed from a template, by name; it may be in the trash."""
    found = services.lineage.list_servers(owner_id, reference, is_every_version=is_every_version)
    return server.ServerList(servers=[server.Server.model_validate(each) for each in found])
