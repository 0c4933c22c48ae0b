"""Moves of templates between states, as parts of a transaction: what may go where, and what stands in the way."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from estampe import errors
from estampe.db import operations, schema, template_reading
from estampe.model import template

_table = schema.templates


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """Out of which states a template may be purged; with `due_at`, only what was in the trash until then."""

    states: Collection[template.State]
    due_at: datetime.datetime | None = None


def move(
    connection: sa.Connection, present: template.Template, state: template.State, **values: Any
) -> template.Template:
    """To `state`, with other columns. Raises: errors.TemplateStateForbids where `template.MOVES` does not allow it.

    Into its own state is no move, but may change the columns.
    """
    if state is not present.state and state not in template.MOVES[present.state]:
        raise template_reading.forbidden(present, f"it cannot become {state}")
    connection.execute(sa.update(_table).where(_table.c.id == present.id).values(state=state, **values))
    return template_reading.get(connection, present.id)


def touch(connection: sa.Connection, template_id: uuid.UUID) -> None:
    """Raise its revision for a change that is in rows of their own: its tags, or whom it is shared with."""
    connection.execute(sa.update(_table).where(_table.c.id == template_id).values(note=_table.c.note))


def to_kept(
    connection: sa.Connection, present: template.Template, state: template.State, *, successor_id: uuid.UUID | None
) -> template.Template:
    """From one of the states in which it is kept to another; what is so already is not written, and keeps its ETag."""
    check_state(present, template.KEPT)
    if (present.state, present.successor_id) == (state, successor_id):
        return present
    return move(connection, present, state, successor_id=successor_id)


def doom(connection: sa.Connection, present: template.Template) -> template.Template:
    """To DELETING; again is fine."""
    if present.state is template.State.DELETING:
        return present
    return move(connection, present, template.State.DELETING, **template_reading.NO_TRASH)


def check_state(present: template.Template, states: Collection[template.State]) -> None:
    """Raises: errors.TemplateStateForbids, with what to do instead."""
    if present.state not in states:
        raise template_reading.forbidden(present, _ADVICE[present.state])


def check_tunable(present: template.Template) -> None:
    """That its characteristics can be changed. Raises: errors.TemplateStateForbids."""
    if present.state not in template.KEPT:
        advice = "its characteristics can be changed when it is complete and not in the trash"
        raise template_reading.forbidden(present, advice)


def check_may_go(
    connection: sa.Connection, present: template.Template, states: Collection[template.State], lock: str
) -> None:
    """That it may leave the catalogue.

    Raises: errors.TemplateStateForbids, errors.TemplateProtected, db.operations.LockHeld.
    """
    check_state(present, states)
    if present.is_protected:
        raise errors.TemplateProtected(template=present.reference)
    operations.check_unlocked(connection, lock)


def check_successor(connection: sa.Connection, present: template.Template, successor_id: uuid.UUID) -> None:
    """Raises: errors.InvalidRequest, errors.TemplateNotFound, errors.TemplateStateForbids."""
    if successor_id == present.id:
        raise errors.InvalidRequest(field="successor", problem=f"{present.reference} cannot be its own successor")
    successor = template_reading.get(connection, successor_id)
    if successor.state is not template.State.ACTIVE:
        raise template_reading.forbidden(successor, "a successor must be active")


def check_may_publish(connection: sa.Connection, present: template.Template) -> None:
    """That its account may make templates public. Raises: errors.PublishingNotAllowed."""
    accounts = schema.accounts
    query = sa.select(accounts.c.name, accounts.c.may_publish).where(accounts.c.id == present.owner_id)
    owner = connection.execute(query).one()
    if not owner.may_publish:
        raise errors.PublishingNotAllowed(account=owner.name)


def leave_name(connection: sa.Connection, gone: template.Template) -> None:
    """Leave its last name with the servers and templates that came from it: its row is about to go.

    Those of other accounts have it already, and with the publisher.
    """
    servers = schema.servers
    query = sa.update(servers).where(servers.c.template_id == gone.id, servers.c.owner_id == gone.owner_id)
    connection.execute(query.values(template_name=gone.reference))
    of_owner = (_table.c.parent_id == gone.id, _table.c.owner_id == gone.owner_id)
    connection.execute(sa.update(_table).where(*of_owner).values(parent_name=gone.reference))


_ADVICE: Final = {
    template.State.CAPTURING: "it is being captured: wait for its end, or cancel that operation",
    template.State.ACTIVE: "delete it first (`estampe template delete`)",
    template.State.DEPRECATED: "delete it first (`estampe template delete`)",
    template.State.DISABLED: "delete it first (`estampe template delete`)",
    template.State.TRASHED: "it is in the trash: restore it first (`estampe template restore`), or purge it",
    template.State.DELETING: "it is being purged, and will be gone in a moment",
}
