"""The template that a deploy is from: whether its state allows it, and what to warn of."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Final

from estampe import errors
from estampe.db import templates as template_rows
from estampe.deploy import resolved as decisions
from estampe.model import sight
from estampe.model import template as templates

_ADVICE: Final = {
    templates.State.CAPTURING: "nothing can be deployed from it until its capture has ended",
    templates.State.DISABLED: "nothing can be deployed from it; enable it again (`estampe template enable`), or take another",
    templates.State.TRASHED: "nothing can be deployed from it; restore it first (`estampe template restore`), or take another",
    templates.State.DELETING: "it is being purged; take another",
}


def get(rows: template_rows.Templates, account_id: uuid.UUID, reference: str) -> sight.Seen:
    """The template, as the account sees it. Raises: errors.TemplateNotFound, errors.TemplateStateForbids where it cannot be deployed."""
    found = rows.visible.resolve(account_id, reference)
    state = found.template.state
    if state not in templates.DEPLOYABLE:
        advice = (
            _ADVICE[state]
            if found.is_own
            else f"nothing can be deployed from it; ask {found.publisher}, or take another"
        )
        raise errors.TemplateStateForbids(template=found.reference, state=state, advice=advice)
    return found


def warnings(rows: template_rows.Templates, account_id: uuid.UUID, found: sight.Seen) -> tuple[str, ...]:
    """What whoever deploys from it should know of its life."""
    if found.template.state is not templates.State.DEPRECATED:
        return ()
    told = f"template {found.reference} is deprecated"
    successor_id = found.template.successor_id
    if successor_id is None:
        return (told,)
    successor = rows.visible.find(account_id, successor_id)
    if successor is None or successor.template.state not in templates.DEPLOYABLE:
        return (f"{told}, and the successor it names cannot be deployed any more",)
    return (f"{told}: use {successor.reference} instead",)


def told(
    rows: template_rows.Templates, account_id: uuid.UUID, found: sight.Seen, resolved: decisions.Resolved
) -> decisions.Resolved:
    """What was resolved, with what to warn of; of another's template also by which way the account sees it.

    What the record said, where this host cannot give it, may be a path or a name of the owner's host: others are told what they get.
    """
    warned = dataclasses.replace(resolved, warnings=warnings(rows, account_id, found))
    if found.is_own:
        return warned
    changes = tuple(dataclasses.replace(change, was="as recorded") for change in resolved.changes)
    return dataclasses.replace(warned, template_scope=found.scope, changes=changes)
