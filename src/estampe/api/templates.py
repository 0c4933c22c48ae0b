"""Routes of templates."""

from __future__ import annotations

import uuid
from typing import Annotated

import fastapi

from estampe.api import dependencies as given
from estampe.api import gate
from estampe.schemas import template

router = fastapi.APIRouter(prefix="/templates", tags=["templates"], route_class=gate.Route)


@router.get("")
def list_templates(
    services: given.Services,
    owner_id: given.OwnerId,
    name: Annotated[str | None, fastapi.Query(max_length=64, description="shell pattern, as web*")] = None,
    tag: Annotated[str | None, fastapi.Query(max_length=64)] = None,
    limit: Annotated[int, fastapi.Query(ge=1, le=1000)] = 100,
    after: Annotated[uuid.UUID | None, fastapi.Query(description="`next` of the page before")] = None,
) -> template.TemplateList:
    """A page of templates, by name, newest version first."""
    # One more than asked for tells whether there is a next page.
    found = services.templates.list(owner_id, name_glob=name, tag=tag, limit=limit + 1, after=after)
    page = [template.Template.model_validate(each) for each in found[:limit]]
    return template.TemplateList(templates=page, next=page[-1].id if len(found) > limit else None)


@router.get("/{reference}")
def get_template(
    services: given.Services, owner_id: given.OwnerId, reference: given.Reference
) -> template.TemplateDetail:
    """One template with what its manifest says."""
    return template.TemplateDetail.model_validate(services.templates.get(owner_id, reference))


@router.patch("/{reference}")
def edit_template(
    services: given.Services, owner_id: given.OwnerId, reference: given.Reference, request: template.EditRequest
) -> template.Template:
    """Change name, note or tags."""
    edited = services.templates.edit(
        owner_id,
        reference,
        name=request.name,
        note=request.note,
        tags=None if request.tags is None else tuple(dict.fromkeys(request.tags)),
    )
    return template.Template.model_validate(edited)


@router.delete("/{reference}", status_code=204)
def delete_template(services: given.Services, owner_id: given.OwnerId, reference: given.Reference) -> None:
    """Remove a template; a later sweep frees what no other template needs."""
    services.templates.delete(owner_id, reference)
