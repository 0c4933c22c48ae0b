"""Routes of the life of templates. With If-Match, a move is made only of a template as the caller has seen it."""

from __future__ import annotations

from typing import Annotated, Final

import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import etag, gate, problems, templates
from estampe.schemas import server, store, template

router = fastapi.APIRouter(prefix="/templates/{reference}", tags=["templates"], route_class=gate.Route)
_MOVED: Final = problems.answers(errors.TemplateNotFound, errors.TemplateStateForbids, errors.TemplateChanged)
_PURGED: Final = problems.answers(
    errors.TemplateNotFound,
    errors.TemplateInUse,
    errors.TemplateProtected,
    errors.TemplateStateForbids,
    errors.TemplateChanged,
)


@router.post("/deprecate", responses=_MOVED)
def deprecate_template(
    services: given.Services,
    owner_id: given.OwnerId,
    reference: given.TemplateReference,
    request: template.DeprecateRequest,
    response: fastapi.Response,
    if_match: etag.IfMatch,
) -> template.Template:
    """Deprecate a template: it still deploys, with a warning that names its successor."""
    found = services.life.deprecate(owner_id, reference, successor=request.successor, etags=if_match)
    return templates.changed(services, owner_id, found, response)


@router.post("/disable", responses=_MOVED)
def disable_template(
    services: given.Services,
    owner_id: given.OwnerId,
    reference: given.TemplateReference,
    response: fastapi.Response,
    if_match: etag.IfMatch,
) -> template.Template:
    """Disable a template: nothing is deployed from it any more."""
    return templates.changed(services, owner_id, services.life.disable(owner_id, reference, etags=if_match), response)


@router.post("/enable", responses=_MOVED)
def enable_template(
    services: given.Services,
    owner_id: given.OwnerId,
    reference: given.TemplateReference,
    response: fastapi.Response,
    if_match: etag.IfMatch,
) -> template.Template:
    """Make a deprecated or disabled template active again."""
    return templates.changed(services, owner_id, services.life.enable(owner_id, reference, etags=if_match), response)


@router.post("/restore", responses=_MOVED)
def restore_template(
    services: given.Services,
    owner_id: given.OwnerId,
    reference: given.TemplateReference,
    response: fastapi.Response,
    if_match: etag.IfMatch,
) -> template.Template:
    """Take a template out of the trash, into the state that it had."""
    return templates.changed(services, owner_id, services.life.restore(owner_id, reference, etags=if_match), response)


@router.post("/protect", responses=_MOVED)
def protect_template(
    services: given.Services,
    owner_id: given.OwnerId,
    reference: given.TemplateReference,
    response: fastapi.Response,
    if_match: etag.IfMatch,
) -> template.Template:
    """Protect a template: it cannot be deleted or purged, nor taken by a retention rule."""
    return templates.changed(
        services, owner_id, services.life.protect(owner_id, reference, is_protected=True, etags=if_match), response
    )


@router.post("/unprotect", responses=_MOVED)
def unprotect_template(
    services: given.Services,
    owner_id: given.OwnerId,
    reference: given.TemplateReference,
    response: fastapi.Response,
    if_match: etag.IfMatch,
) -> template.Template:
    """Protect a template no longer."""
    return templates.changed(
        services, owner_id, services.life.protect(owner_id, reference, is_protected=False, etags=if_match), response
    )


@router.post("/purge", status_code=204, responses=_PURGED)
def purge_template(
    services: given.Services, owner_id: given.OwnerId, reference: given.TemplateReference, if_match: etag.IfMatch
) -> None:
    """Remove a template that is in the trash, for ever; a later sweep frees what no other template needs."""
    services.life.purge(owner_id, reference, etags=if_match)


@router.get(
    "/usage", responses=problems.answers(errors.TemplateNotFound, errors.TemplateStateForbids, errors.ManifestCorrupt)
)
def get_template_usage(
    services: given.Services, owner_id: given.OwnerId, reference: given.TemplateReference
) -> store.TemplateSpace:
    """What a template of the account's takes of the store; may take as long as counting the whole store does."""
    return store.TemplateSpace.model_validate(services.storage.space_of(owner_id, reference))


@router.get("/servers", responses=problems.answers(errors.TemplateNotFound))
def list_servers_of_template(
    services: given.Services,
    actor: given.Actor,
    reference: given.TemplateReference,
    is_every_version: Annotated[bool, fastapi.Query(description="from all versions of its name")] = False,
) -> server.DeployedList:
    """The servers that were deployed from a template, by name, all in one page; it may be in the trash.

    Its owner is told how many there are in other accounts, the cloud operator which.
    """
    found = services.lineage.list_servers(actor, reference, is_every_version=is_every_version)
    return server.DeployedList.model_validate(found)
