"""Routes of templates."""

from __future__ import annotations

from typing import Annotated, Final

import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import etag, gate, problems
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


@router.get("")
def list_templates(
    services: given.Services, owner_id: given.OwnerId, query: Annotated[template.ListQuery, fastapi.Query()]
) -> template.TemplateList:
    """A page of templates; by name, newest version first, unless sorted otherwise."""
    page = services.templates.list(owner_id, query.to_domain())
    return template.TemplateList(
        templates=[template.Template.model_validate(each) for each in page.items], next=page.next
    )


@router.get(
    "/{reference}",
    response_model=template.TemplateDetail,
    responses={**problems.answers(errors.TemplateNotFound, errors.ManifestCorrupt), **etag.NOT_MODIFIED},
)
def get_template(
    services: given.Services, owner_id: given.OwnerId, reference: given.Reference, seen: etag.IfNoneMatch
) -> fastapi.Response:
    """One template with what its manifest says; its ETag stays until the template is changed."""
    found = services.templates.get(owner_id, reference)
    headers = {"etag": found.template.etag}
    # The ETag knows nothing of the other templates that the answer names: a rename of one would be missed.
    if seen.has(found.template.etag) and found.successor is None and found.parent is None:
        return fastapi.Response(status_code=304, headers=headers)
    return problems.AsciiJSON(template.TemplateDetail.model_validate(found).model_dump(mode="json"), headers=headers)


@router.patch(
    "/{reference}",
    responses=problems.answers(
        errors.TemplateNotFound, errors.InvalidName, errors.NameInUse, errors.VersionGiven, errors.TemplateChanged
    ),
)
def edit_template(
    services: given.Services,
    owner_id: given.OwnerId,
    reference: given.Reference,
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
    response.headers["etag"] = edited.etag
    return template.Template.model_validate(edited)


@router.put("/{reference}/characteristics", responses=_TUNED)
def replace_characteristics(
    services: given.Services,
    owner_id: given.OwnerId,
    reference: given.Reference,
    request: characteristics.CharacteristicsRequest,
    response: fastapi.Response,
    if_match: etag.IfMatch,
) -> template.Template:
    """Say anew what a template is tuned for; an empty object says nothing. With If-Match, only as the caller has seen it."""
    replaced = services.templates.replace_characteristics(owner_id, reference, request.to_domain(), etags=if_match)
    response.headers["etag"] = replaced.etag
    return template.Template.model_validate(replaced)


@router.patch("/{reference}/characteristics", responses=_TUNED)
def change_characteristics(
    services: given.Services,
    owner_id: given.OwnerId,
    reference: given.Reference,
    request: characteristics.CharacteristicsChangeRequest,
    response: fastapi.Response,
    if_match: etag.IfMatch,
) -> template.Template:
    """Change a part of what a template is tuned for, or take a profile's settings over. With If-Match, only as the caller has seen it."""
    changed = services.templates.change_characteristics(owner_id, reference, request.to_change(), etags=if_match)
    response.headers["etag"] = changed.etag
    return template.Template.model_validate(changed)


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
    reference: given.Reference,
    if_match: etag.IfMatch,
) -> template.Deletion:
    """Move a template to the trash; where the installation has none, it is purged at once.

    With If-Match, only as the caller has seen it.
    """
    return template.Deletion.model_validate(services.life.delete(owner_id, reference, by=actor.name, etags=if_match))
