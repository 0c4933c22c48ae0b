"""Routes of templates."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import etag, gate, problems, turns
from estampe.api import services as ports
from estampe.model import template as templates
from estampe.model import visibility
from estampe.schemas import characteristics, template

router = fastapi.APIRouter(prefix="/templates", tags=["templates"], route_class=gate.Route)
_TUNED: Final = problems.answers(
    errors.TemplateNotFound,
    errors.ProfileNotFound,
    errors.VolumeNotFound,
    errors.VolumeTooSmall,
    errors.TemplateStateForbids,
    errors.TemplateChanged,
    errors.ManifestCorrupt,
)


def changed(
    services: ports.Services, owner_id: uuid.UUID, found: templates.Template, response: fastapi.Response
) -> template.Template:
    """The answer to a change of an own template: the template with its new ETag."""
    seen = services.templates.seen(owner_id, found.id)
    response.headers["etag"] = seen.template.etag
    return template.Template.of(seen)


@router.get("", response_model=template.TemplateList)
async def list_templates(
    services: given.Services,
    owner_id: given.OwnerId,
    query: Annotated[template.ListQuery, fastapi.Query()],
    in_turn: turns.InTurn,
) -> fastapi.Response:
    """A page of templates, the account's own unless `scope` says otherwise; by name, newest version first, unless sorted otherwise."""

    def write() -> str:
        page = services.templates.list(owner_id, query.to_domain())
        told = template.TemplateList(templates=[template.Template.of(each) for each in page.items], next=page.next)
        return told.model_dump_json()

    # Written there, where it was made: FastAPI would validate it once more, in a thread that has to be waited for again.
    return fastapi.Response(await in_turn.run(write), media_type="application/json")


@router.get(
    "/{reference}",
    response_model=template.TemplateDetail,
    responses={**problems.answers(errors.TemplateNotFound, errors.ManifestCorrupt), **etag.NOT_MODIFIED},
)
def get_template(
    services: given.Services, owner_id: given.OwnerId, reference: given.TemplateReference, seen: etag.IfNoneMatch
) -> fastapi.Response:
    """One template with what its manifest says; its ETag stays until the template is changed."""
    found = services.templates.get(owner_id, reference)
    told = template.TemplateDetail.of(found)
    if not found.seen.is_own:  # its owner counts the changes; nobody else is told when there was one
        return problems.AsciiJSON(told.model_dump(mode="json"))
    etag_now = found.seen.template.etag
    headers = {"etag": etag_now}
    # The ETag knows nothing of the other templates that the answer names, nor that a share expires: that would be missed.
    is_alone = (
        found.successor is None
        and found.parent is None
        and told.template.visibility is not visibility.Visibility.SHARED
    )
    if seen.has(etag_now) and is_alone:
        return fastapi.Response(status_code=304, headers=headers)
    return problems.AsciiJSON(told.model_dump(mode="json"), headers=headers)


@router.patch(
    "/{reference}",
    responses=problems.answers(
        errors.TemplateNotFound, errors.InvalidName, errors.NameInUse, errors.VersionGiven, errors.TemplateChanged
    ),
)
def edit_template(
    services: given.Services,
    owner_id: given.OwnerId,
    reference: given.TemplateReference,
    request: template.EditRequest,
    response: fastapi.Response,
    if_match: etag.IfMatch,
) -> template.Template:
    """Change name, note or tags; with If-Match, only what the caller has seen."""
    edited = services.templates.edit(
        owner_id,
        reference,
        name=request.name,
        note=request.note,
        tags=None if request.tags is None else tuple(dict.fromkeys(request.tags)),
        etags=if_match,
    )
    return changed(services, owner_id, edited, response)


@router.put("/{reference}/characteristics", responses=_TUNED)
def replace_characteristics(
    services: given.Services,
    owner_id: given.OwnerId,
    reference: given.TemplateReference,
    request: characteristics.CharacteristicsRequest,
    response: fastapi.Response,
    if_match: etag.IfMatch,
) -> template.Template:
    """Say anew what a template is tuned for; an empty object says nothing. With If-Match, only as the caller has seen it."""
    replaced = services.templates.replace_characteristics(owner_id, reference, request.to_domain(), etags=if_match)
    return changed(services, owner_id, replaced, response)


@router.patch("/{reference}/characteristics", responses=_TUNED)
def change_characteristics(
    services: given.Services,
    owner_id: given.OwnerId,
    reference: given.TemplateReference,
    request: characteristics.CharacteristicsChangeRequest,
    response: fastapi.Response,
    if_match: etag.IfMatch,
) -> template.Template:
    """Change a part of what a template is tuned for, or take a profile's settings over. With If-Match, only as the caller has seen it."""
    tuned = services.templates.change_characteristics(owner_id, reference, request.to_change(), etags=if_match)
    return changed(services, owner_id, tuned, response)


@router.delete(
    "/{reference}",
    responses=problems.answers(
        errors.TemplateNotFound,
        errors.TemplateInUse,
        errors.TemplateProtected,
        errors.TemplateStateForbids,
        errors.TemplateChanged,
    ),
)
def delete_template(
    services: given.Services,
    owner_id: given.OwnerId,
    actor: given.Actor,
    reference: given.TemplateReference,
    if_match: etag.IfMatch,
) -> template.Deletion:
    """Move a template to the trash; where the installation has none, it is purged at once.

    With If-Match, only as the caller has seen it.
    """
    return template.Deletion.model_validate(services.life.delete(owner_id, reference, by=actor.name, etags=if_match))
