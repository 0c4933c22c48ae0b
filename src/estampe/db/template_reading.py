"""Rows of templates, read and checked inside a transaction."""

from __future__ import annotations

import datetime
import types
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from estampe import errors
from estampe.db import schema
from estampe.model import characteristics as traits  # a column has the module's name
from estampe.model import record, template, visibility

_table = schema.templates
_tags = schema.template_tags
_TAGGED: Final = (
    sa.select(_tags.c.template_id, _tags.c.tag)
    .where(_tags.c.template_id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(_tags.c.template_id, _tags.c.position)
)
_COLUMNS: Final = tuple(_table.c.keys())
# Without them a row is in no trash.
NO_TRASH: Final = {"trashed_at": None, "trashed_by": None, "purge_at": None, "state_before": None}
# And it is not public.
NO_PUBLICATION: Final = {
    "published_at": None, "published_by": None, "publication_right": None, "publication_note": None,
}  # fmt: skip


def find(connection: sa.Connection, template_id: uuid.UUID) -> template.Template | None:
    """Whoever owns it."""
    found = fetch(connection, sa.select(_table).where(_table.c.id == template_id))
    return found[0] if found else None


def get(connection: sa.Connection, template_id: uuid.UUID) -> template.Template:
    """Raises: errors.TemplateNotFound."""
    found = find(connection, template_id)
    if found is None:
        raise errors.TemplateNotFound(template=str(template_id))
    return found


def get_unchanged(
    connection: sa.Connection, template_id: uuid.UUID, etags: Collection[str] | None
) -> template.Template:
    """Raises: errors.TemplateNotFound, errors.TemplateChanged."""
    found = get(connection, template_id)
    if etags is not None and found.etag not in etags:
        raise errors.TemplateChanged(template=found.reference, etag=found.etag)
    return found


def fetch(connection: sa.Connection, query: sa.Select[Any]) -> list[template.Template]:
    """The templates of a query for whole rows, with their tags, in its order."""
    rows = _rows(connection, query)
    tags = _tags_of(connection, [row["id"] for row in rows])
    return [_template(row, tags.get(row["id"], ())) for row in rows]


def fetch_more(
    connection: sa.Connection, query: sa.Select[Any], values: Mapping[str, Any], *, tags_of: uuid.UUID
) -> list[tuple[template.Template, dict[str, Any]]]:
    """As `fetch`, each with what the query asks for beside the row; tags only of that account's, which are its own business."""
    rows = _rows(connection, query, values)
    tags = _tags_of(connection, [row["id"] for row in rows if row["owner_id"] == tags_of])
    return [(_template(row, tags.get(row["id"], ())), row) for row in rows]


def _rows(
    connection: sa.Connection, query: sa.Select[Any], values: Mapping[str, Any] = types.MappingProxyType({})
) -> list[dict[str, Any]]:
    """By hand: a page has thousands of values, and `mappings()` looks each of them up by its name."""
    result = connection.execute(query, dict(values))
    names = tuple(result.keys())
    return [dict(zip(names, row, strict=True)) for row in result.all()]


def _tags_of(connection: sa.Connection, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[str, ...]]:
    """Of those that have any."""
    if not ids:
        return {}
    found: dict[uuid.UUID, tuple[str, ...]] = {}
    for template_id, tag in connection.execute(_TAGGED, {"ids": ids}).all():
        found[template_id] = (*found.get(template_id, ()), tag)
    return found


def _template(row: dict[str, Any], tags: tuple[str, ...]) -> template.Template:
    """Takes its columns out of `row`."""
    values = {name: row.pop(name) for name in _COLUMNS}
    kept = values.pop("characteristics")
    characteristics = None if kept is None else record.load(traits.Characteristics, kept)
    at, by, until, before = (values.pop(name) for name in NO_TRASH)
    state = template.State(values.pop("state"))
    is_trashed = state is template.State.TRASHED
    trash = template.Trash(at=at, by=by, until=until, state_before=template.State(before)) if is_trashed else None
    publication = _publication(*(values.pop(name) for name in NO_PUBLICATION))
    return template.Template(
        **values, state=state, tags=tags, trash=trash, characteristics=characteristics, publication=publication
    )


def _publication(at: datetime.datetime | None, by: str, right: str, note: str) -> visibility.Publication | None:
    if at is None:
        return None
    return visibility.Publication(at=at, by=by, terms=visibility.Terms(right=visibility.Right(right), note=note))


def forbidden(present: template.Template, advice: str) -> errors.TemplateStateForbids:
    """The error for what its state does not allow."""
    return errors.TemplateStateForbids(template=present.reference, state=present.state, advice=advice)


def last_version(connection: sa.Connection, owner_id: uuid.UUID, name: str) -> int:
    """The highest of the templates that are there (being captured, too) and of those that were published once, 0 without any."""
    highest = [
        sa.select(sa.func.max(table.c.version)).where(table.c.owner_id == owner_id, table.c.name == name)
        for table in (_table, schema.template_versions)
    ]
    return max(connection.execute(query).scalar() or 0 for query in highest)
