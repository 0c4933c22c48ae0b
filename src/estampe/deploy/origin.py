"""The template that a deploy is from: whether its state allows it, and what to warn of."""

from __future__ import annotations

import uuid
from typing import Final

from estampe import errors
from estampe.db import templates as template_rows
from estampe.model import template as templates

_ADVICE: Final = {
    templates.State.CAPTURING: "nothing can be deployed from it until its capture has ended",
    templates.State.DISABLED: "nothing can be deployed from it; enable it again (`estampe template enable`), or take another",
    templates.State.TRASHED: "nothing can be deployed from it; restore it first (`estampe template restore`), or take another",
    templates.State.DELETING: "it is being purged; take another",
}


def get(rows: template_rows.Templates, owner_id: uuid.UUID, reference: str) -> templates.Template:
    """The template. Raises: errors.TemplateNotFound, errors.TemplateStateForbids where it cannot be deployed."""
    found = rows.resolve(owner_id, reference)
    if found.state not in templates.DEPLOYABLE:
        advice = _ADVICE[found.state]
        raise errors.TemplateStateForbids(template=found.reference, state=found.state, advice=advice)
    return found


def warnings(rows: template_rows.Templates, found: templates.Template) -> tuple[str, ...]:
    """What whoever deploys from it should know of its life."""
    if found.state is not templates.State.DEPRECATED:
        return ()
    told = f"template {found.reference} is deprecated"
    if found.successor_id is None:
        return (told,)
    successor = rows.find_by_ids([found.successor_id], owner_id=found.owner_id).get(found.successor_id)
    if successor is None or successor.state not in templates.DEPLOYABLE:
        return (f"{told}, and the successor it names cannot be deployed any more",)
    return (f"{told}: use {successor.reference} instead",)
