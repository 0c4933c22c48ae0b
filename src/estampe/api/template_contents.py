"""Routes of what is in templates."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import problems
from estampe.schemas import contents

router = fastapi.APIRouter(prefix="/templates", tags=["templates"])
_READING = (
    errors.TemplateNotFound,
    errors.TemplateStateForbids,
    errors.ManifestCorrupt,
    errors.ChunkMissing,
    errors.ChunkCorrupt,
)


@router.get("/{reference}/inventory", responses=problems.answers(*_READING, errors.InventoryNotFound))
def get_inventory(services: given.Services, owner_id: given.OwnerId, reference: given.Reference) -> contents.Inventory:
    """Packages, users, enabled services and digests of the files under /etc of a template's guest."""
    return contents.Inventory.model_validate(services.contents.inventory(owner_id, reference))


@router.get("/{reference}/diff", responses=problems.answers(*_READING))
def compare_templates(
    services: given.Services,
    owner_id: given.OwnerId,
    reference: given.Reference,
    query: Annotated[contents.DiffQuery, fastapi.Query()],
) -> contents.Comparison:
    """What is different from this template to another: configuration, volumes, packages, users, services, files under /etc."""
    found = services.contents.compare(owner_id, reference, query.to)
    lists = {each.name: getattr(found.difference, each.name) for each in dataclasses.fields(found.difference)}
    return contents.Comparison.model_validate(
        {"before": found.before.reference, "after": found.after.reference, **lists}
    )
