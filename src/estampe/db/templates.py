"""Templates in the database: the rows of the catalogue."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from estampe import errors
from estampe.db import database, schema
from estampe.model import template

_table = schema.templates
_tags = schema.template_tags
_given = schema.template_versions


class Templates:
    """The catalogue's rows. A row is published last, when all it names is durable, and removed last."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def reserve(
        self, *, id: uuid.UUID, owner_id: uuid.UUID, name: str, note: str, tags: Sequence[str],
        server_id: uuid.UUID | None, server_name: str, created_at: datetime.datetime,
    ) -> template.Template:  # fmt: skip
        """A row in CAPTURING with the name's next version: the highest that is there or was ever published, and one.

        Called again with the same id it gives the row as it is by then (a repeated step).
        Raises: errors.InvalidName.
        """
        template.check_name(name)
        with self._db.write() as connection:
            found = _find(connection, id)
            if found is not None:
                return found
            new = template.Template(
                id=id, owner_id=owner_id, name=name, version=_last_version(connection, owner_id, name) + 1,
                state=template.State.CAPTURING, note=note, tags=tuple(dict.fromkeys(tags)), server_id=server_id,
                server_name=server_name, created_at=created_at, logical_bytes=None, data_bytes=None, new_bytes=None,
                is_sealed=None, guest_product=None,
            )  # fmt: skip
            values = dataclasses.asdict(new)
            del values["tags"]
            connection.execute(sa.insert(_table).values(values))
            _set_tags(connection, id, new.tags)
            return new

    def next_version(self, owner_id: uuid.UUID, name: str) -> int:
        """The version that `reserve` would give the name now: for plans."""
        with self._db.read() as connection:
            return _last_version(connection, owner_id, name) + 1

    def publish(
        self, template_id: uuid.UUID, *, logical_bytes: int, data_bytes: int, new_bytes: int, is_sealed: bool,
        guest_product: str | None,
    ) -> template.Template:  # fmt: skip
        """CAPTURING to ACTIVE, with what is known by now; an ACTIVE one stays as it was published first.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids where it is being deleted.
        """
        facts = {
            "logical_bytes": logical_bytes, "data_bytes": data_bytes, "new_bytes": new_bytes, "is_sealed": is_sealed,
            "guest_product": guest_product,
        }  # fmt: skip
        with self._db.write() as connection:
            present = _get(connection, template_id)
            if present.state is template.State.ACTIVE:
                return present
            if present.state is not template.State.CAPTURING:
                raise _forbidden(present, "it cannot be published")
            _give(connection, present)
            return _move(connection, present, template.State.ACTIVE, **facts)

    def begin_delete(self, template_id: uuid.UUID) -> template.Template:
        """To DELETING, from any state: from now on nothing new can use it. Raises: errors.TemplateNotFound."""
        with self._db.write() as connection:
            return _move(connection, _get(connection, template_id), template.State.DELETING)

    def abandon_delete(self, template_id: uuid.UUID) -> template.Template:
        """DELETING back to ACTIVE, while nothing of it has gone; an ACTIVE one stays.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids where it was never published.
        """
        with self._db.write() as connection:
            present = _get(connection, template_id)
            if present.logical_bytes is None:
                raise _forbidden(present, "it was never complete")
            return _move(connection, present, template.State.ACTIVE)

    def remove(self, template_id: uuid.UUID) -> bool:
        """Drop the row of a template in DELETING, the last step of its deletion; True when it was there.

        Raises: errors.TemplateStateForbids.
        """
        with self._db.write() as connection:
            found = _find(connection, template_id)
            if found is None:
                return False
            if found.state is not template.State.DELETING:
                raise _forbidden(found, "begin its deletion first")
            connection.execute(sa.delete(_table).where(_table.c.id == template_id))
            return True

    def get(self, template_id: uuid.UUID) -> template.Template:
        """In any state, whoever owns it. Raises: errors.TemplateNotFound."""
        with self._db.read() as connection:
            return _get(connection, template_id)

    def resolve(self, owner_id: uuid.UUID, reference: str) -> template.Template:
        """The account's template of that name (newest ACTIVE version), `name@version` (ACTIVE) or id (any state).

        Raises: errors.TemplateNotFound.
        """
        parsed = template.parse_reference(reference)
        query = sa.select(_table).where(_table.c.owner_id == owner_id)
        if parsed.id is not None:
            query = query.where(_table.c.id == parsed.id)
        else:
            query = query.where(_table.c.name == parsed.name, _table.c.state == template.State.ACTIVE)
            if parsed.version is not None:
                query = query.where(_table.c.version == parsed.version)
        with self._db.read() as connection:
            found = _fetch(connection, query.order_by(_table.c.version.desc()).limit(1))
        if not found:
            raise errors.TemplateNotFound(template=reference)
        return found[0]

    def list_in_state(self, state: template.State) -> list[template.Template]:
        """All accounts' templates in `state`, oldest first: what a start of the daemon looks through."""
        query = sa.select(_table).where(_table.c.state == state).order_by(_table.c.created_at, _table.c.id)
        with self._db.read() as connection:
            return _fetch(connection, query)

    def edit(
        self, template_id: uuid.UUID, *, name: str | None = None, note: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> template.Template:  # fmt: skip
        """Change what is given; a renamed template keeps its version number.

        Raises: errors.TemplateNotFound, errors.InvalidName, errors.NameInUse where another template has that name and
        version, errors.VersionGiven where one had.
        """
        values = {key: value for key, value in (("name", name), ("note", note)) if value is not None}
        with self._db.write() as connection:
            present = _get(connection, template_id)
            if name is not None and name != present.name:
                _check_free(connection, present, template.check_name(name))
                if present.state is template.State.ACTIVE:
                    _give(connection, dataclasses.replace(present, name=name))
            if values:
                connection.execute(sa.update(_table).where(_table.c.id == template_id).values(values))
            if tags is not None:
                _set_tags(connection, template_id, tags)
            return _get(connection, template_id)

    def list(
        self, owner_id: uuid.UUID, *, name_glob: str | None = None, tag: str | None = None, limit: int = 100,
        after: tuple[str, int] | None = None,
    ) -> list[template.Template]:  # fmt: skip
        """A page of the account's templates in any state, by name, newest version first.

        In `name_glob`, `*` is any run of characters and `?` any one. `after` is the (name, version) of the last template
        of the page before, which may be gone by now.
        """
        query = sa.select(_table).where(_table.c.owner_id == owner_id)
        if name_glob is not None:
            query = query.where(_table.c.name.like(_like(name_glob), escape="\\"))
        if tag is not None:
            query = query.where(_table.c.id.in_(sa.select(_tags.c.template_id).where(_tags.c.tag == tag)))
        if after is not None:
            name, version = after
            same_name = sa.and_(_table.c.name == name, _table.c.version < version)
            query = query.where(sa.or_(_table.c.name > name, same_name))
        with self._db.read() as connection:
            return _fetch(connection, query.order_by(_table.c.name, _table.c.version.desc()).limit(limit))


def _move(
    connection: sa.Connection, present: template.Template, state: template.State, **facts: Any
) -> template.Template:
    """Raises: errors.TemplateStateForbids where `template.MOVES` does not allow it. Into its own state is no move."""
    if present.state is state:
        return present
    if state not in template.MOVES[present.state]:
        raise _forbidden(present, f"it cannot become {state}")
    connection.execute(sa.update(_table).where(_table.c.id == present.id).values(state=state, **facts))
    return dataclasses.replace(present, state=state, **facts)


def _forbidden(present: template.Template, advice: str) -> errors.TemplateStateForbids:
    return errors.TemplateStateForbids(template=f"{present.name}@{present.version}", state=present.state, advice=advice)


def _last_version(connection: sa.Connection, owner_id: uuid.UUID, name: str) -> int:
    """The highest of the templates that are there (being captured, too) and of those that were published once."""
    highest = [
        sa.select(sa.func.max(table.c.version)).where(table.c.owner_id == owner_id, table.c.name == name)
        for table in (_table, _given)
    ]
    return max(connection.execute(query).scalar() or 0 for query in highest)


def _give(connection: sa.Connection, present: template.Template) -> None:
    """Note that the template has had its name and version, once and for all."""
    key = {"owner_id": present.owner_id, "name": present.name, "version": present.version}
    if connection.execute(sa.select(_given).filter_by(**key)).first() is None:
        connection.execute(sa.insert(_given).values(template_id=present.id, **key))


def _check_free(connection: sa.Connection, present: template.Template, name: str) -> None:
    query = sa.select(_table.c.id).where(
        _table.c.owner_id == present.owner_id, _table.c.name == name, _table.c.version == present.version
    )
    if connection.execute(query).first() is not None:
        raise errors.NameInUse(name=name, what=f"template {name}@{present.version}")
    had = sa.select(_given.c.template_id).where(
        _given.c.owner_id == present.owner_id,
        _given.c.name == name,
        _given.c.version == present.version,
        _given.c.template_id != present.id,
    )
    if connection.execute(had).first() is not None:
        raise errors.VersionGiven(name=name, version=present.version)


def _set_tags(connection: sa.Connection, template_id: uuid.UUID, tags: Iterable[str]) -> None:
    connection.execute(sa.delete(_tags).where(_tags.c.template_id == template_id))
    rows = [
        {"template_id": template_id, "tag": tag, "position": position}
        for position, tag in enumerate(dict.fromkeys(tags))
    ]
    if rows:
        connection.execute(sa.insert(_tags), rows)


def _find(connection: sa.Connection, template_id: uuid.UUID) -> template.Template | None:
    found = _fetch(connection, sa.select(_table).where(_table.c.id == template_id))
    return found[0] if found else None


def _get(connection: sa.Connection, template_id: uuid.UUID) -> template.Template:
    found = _find(connection, template_id)
    if found is None:
        raise errors.TemplateNotFound(template=str(template_id))
    return found


def _fetch(connection: sa.Connection, query: sa.Select[Any]) -> list[template.Template]:
    rows = connection.execute(query).mappings().all()
    tags: dict[uuid.UUID, list[str]] = {row["id"]: [] for row in rows}
    tagged = sa.select(_tags).where(_tags.c.template_id.in_(tags)).order_by(_tags.c.template_id, _tags.c.position)
    for row in connection.execute(tagged):
        tags[row.template_id].append(row.tag)
    return [
        template.Template(**{**row, "state": template.State(row["state"]), "tags": tuple(tags[row["id"]])})
        for row in rows
    ]


def _like(glob: str) -> str:
    """The LIKE pattern of a glob, with a backslash as its escape."""
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")
