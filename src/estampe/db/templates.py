"""Templates in the database: the rows of the catalogue."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from estampe import errors
from estampe.db import database, operations, schema
from estampe.model import template

_table = schema.templates
_tags = schema.template_tags
_NO_TRASH: Final = {"trashed_at": None, "trashed_by": None, "purge_at": None, "state_before": None}
# By name and version everything is found that its owner may do something about.
_NAMED: Final = tuple(template.COMPLETE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """Out of which states a template may be purged; with `due_at`, only what was in the trash until then."""

    states: Collection[template.State]
    due_at: datetime.datetime | None = None


class Templates:
    """The catalogue's rows. A row is published last, when all it names is durable, and removed last."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def reserve(
        self, *, id: uuid.UUID, owner_id: uuid.UUID, name: str, note: str, tags: Sequence[str],
        server_id: uuid.UUID | None, server_name: str, created_at: datetime.datetime,
    ) -> template.Template:  # fmt: skip
        """A row in CAPTURING with the name's next version: the highest there is and one.

        Its parent is the template that the server was deployed from, kept here since the server may go.
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
                is_sealed=None, guest_product=None, parent_id=_origin_of(connection, server_id),
            )  # fmt: skip
            values = dataclasses.asdict(new)
            del values["tags"], values["trash"]
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
        """CAPTURING to ACTIVE, with what is known by now; one that was published before stays as it is by then.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids where it is being deleted.
        """
        facts: dict[str, Any] = {
            "logical_bytes": logical_bytes, "data_bytes": data_bytes, "new_bytes": new_bytes, "is_sealed": is_sealed,
            "guest_product": guest_product,
        }  # fmt: skip
        with self._db.write() as connection:
            present = _get(connection, template_id)
            if present.state in template.COMPLETE:
                return present
            _write_state(connection, present, template.State.ACTIVE, **facts)
            return dataclasses.replace(present, state=template.State.ACTIVE, **facts)

    def deprecate(self, template_id: uuid.UUID, *, successor_id: uuid.UUID | None) -> template.Template:
        """To DEPRECATED; again, with another successor, is fine. The successor must be ACTIVE, and so never leads back.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids, errors.InvalidRequest where it would succeed itself.
        """
        with self._db.write() as connection:
            present = _get(connection, template_id)
            if successor_id is not None:
                _check_successor(connection, present, successor_id)
            return _set_state(connection, present, template.State.DEPRECATED, successor_id=successor_id)

    def disable(self, template_id: uuid.UUID) -> template.Template:
        """To DISABLED; its successor stays known. Raises: errors.TemplateNotFound, errors.TemplateStateForbids."""
        with self._db.write() as connection:
            present = _get(connection, template_id)
            return _set_state(connection, present, template.State.DISABLED, successor_id=present.successor_id)

    def enable(self, template_id: uuid.UUID) -> template.Template:
        """To ACTIVE, with no successor. Raises: errors.TemplateNotFound, errors.TemplateStateForbids."""
        with self._db.write() as connection:
            return _set_state(connection, _get(connection, template_id), template.State.ACTIVE, successor_id=None)

    def protect(self, template_id: uuid.UUID, *, is_protected: bool) -> template.Template:
        """Keep it from `trash` and `begin_purge`, or no longer. Raises: errors.TemplateNotFound, errors.TemplateStateForbids."""
        with self._db.write() as connection:
            present = _get(connection, template_id)
            _check_state(present, template.COMPLETE)
            connection.execute(sa.update(_table).where(_table.c.id == template_id).values(is_protected=is_protected))
            return dataclasses.replace(present, is_protected=is_protected)

    def trash(
        self, template_id: uuid.UUID, *, by: str, at: datetime.datetime, until: datetime.datetime, unless_locked: str
    ) -> template.Template:
        """To TRASHED, where nobody holds the lock `unless_locked`, seen in the same transaction.

        Raises: errors.TemplateNotFound, errors.TemplateProtected, errors.TemplateStateForbids, db.operations.LockHeld.
        """
        with self._db.write() as connection:
            present = _get(connection, template_id)
            _check_may_go(connection, present, template.KEPT, unless_locked)
            trash = template.Trash(at=at, by=by, until=until, state_before=present.state)
            values = {"trashed_at": at, "trashed_by": by, "purge_at": until, "state_before": present.state}
            _write_state(connection, present, template.State.TRASHED, **values)
            return dataclasses.replace(present, state=template.State.TRASHED, trash=trash)

    def restore(self, template_id: uuid.UUID) -> template.Template:
        """TRASHED to the state it had before. Raises: errors.TemplateNotFound, errors.TemplateStateForbids."""
        with self._db.write() as connection:
            present = _get(connection, template_id)
            if present.trash is None:
                raise _forbidden(present, "it is not in the trash")
            state = present.trash.state_before
            _write_state(connection, present, state, **_NO_TRASH)
            return dataclasses.replace(present, state=state, trash=None)

    def begin_purge(self, template_id: uuid.UUID, purge: Purge, *, unless_locked: str) -> template.Template:
        """To DELETING, as `purge` allows and where nobody holds the lock `unless_locked`; there is no way back.

        All of that is seen in the same transaction.
        Raises: errors.TemplateNotFound, errors.TemplateProtected, errors.TemplateStateForbids, db.operations.LockHeld.
        """
        with self._db.write() as connection:
            present = _get(connection, template_id)
            _check_may_go(connection, present, purge.states, unless_locked)
            if purge.due_at is not None and (present.trash is None or present.trash.until > purge.due_at):
                raise _forbidden(present, "its time in the trash is not over")
            return _doom(connection, present)

    def begin_delete(self, template_id: uuid.UUID) -> template.Template:
        """To DELETING, from any state, whatever speaks against it: to undo a capture. Raises: errors.TemplateNotFound."""
        with self._db.write() as connection:
            return _doom(connection, _get(connection, template_id))

    def remove(self, template_id: uuid.UUID) -> bool:
        """Drop the row of a template in DELETING, the last step of its deletion; True when it was there.

        Servers and templates that came from it keep its last name.
        Raises: errors.TemplateStateForbids.
        """
        with self._db.write() as connection:
            found = _find(connection, template_id)
            if found is None:
                return False
            if found.state is not template.State.DELETING:
                raise _forbidden(found, "begin its deletion first")
            _leave_name(connection, found)
            connection.execute(sa.delete(_table).where(_table.c.id == template_id))
            return True

    def get(self, template_id: uuid.UUID) -> template.Template:
        """In any state, whoever owns it. Raises: errors.TemplateNotFound."""
        with self._db.read() as connection:
            return _get(connection, template_id)

    def resolve(self, owner_id: uuid.UUID, reference: str) -> template.Template:
        """The account's template of that name (newest deployable version), `name@version` (COMPLETE) or id (any state).

        Raises: errors.TemplateNotFound, of it errors.NoDeployableVersion where the name has none but other versions.
        """
        parsed = template.parse_reference(reference)
        query = sa.select(_table).where(_table.c.owner_id == owner_id)
        if parsed.id is not None:
            query = query.where(_table.c.id == parsed.id)
        else:
            states = tuple(template.DEPLOYABLE) if parsed.version is None else _NAMED
            query = query.where(_table.c.name == parsed.name, _table.c.state.in_(states))
            if parsed.version is not None:
                query = query.where(_table.c.version == parsed.version)
        with self._db.read() as connection:
            found = _fetch(connection, query.order_by(_table.c.version.desc()).limit(1))
            if not found:
                raise _not_found(connection, owner_id, parsed, reference)
        return found[0]

    def find_by_ids(self, template_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, template.Template]:
        """Those that are there, by id, in whatever state."""
        if not template_ids:
            return {}
        with self._db.read() as connection:
            found = _fetch(connection, sa.select(_table).where(_table.c.id.in_(tuple(template_ids))))
        return {each.id: each for each in found}

    def list_versions(self, owner_id: uuid.UUID, name: str) -> list[template.Template]:
        """All versions of a name in any state, the newest first."""
        query = sa.select(_table).where(_table.c.owner_id == owner_id, _table.c.name == name)
        with self._db.read() as connection:
            return _fetch(connection, query.order_by(_table.c.version.desc()))

    def successors(self, owner_id: uuid.UUID) -> dict[uuid.UUID, str]:
        """The ids that the account's templates name as their successors, with the reference of one that does."""
        query = sa.select(_table.c.successor_id, _table.c.name, _table.c.version).where(
            _table.c.owner_id == owner_id, _table.c.successor_id.is_not(None), _table.c.state.in_(tuple(template.KEPT))
        )
        with self._db.read() as connection:
            return {row.successor_id: f"{row.name}@{row.version}" for row in connection.execute(query)}

    def list_due(self, at: datetime.datetime) -> list[template.Template]:
        """All accounts' templates whose time in the trash is over at `at`, and that are not protected."""
        query = sa.select(_table).where(
            _table.c.state == template.State.TRASHED, _table.c.purge_at <= at, _table.c.is_protected.is_(False)
        )
        with self._db.read() as connection:
            return _fetch(connection, query.order_by(_table.c.purge_at, _table.c.id))

    def is_any(self, states: Collection[template.State]) -> bool:
        """Whether any account has a template in one of `states`."""
        query = sa.select(_table.c.id).where(_table.c.state.in_(tuple(states))).limit(1)
        with self._db.read() as connection:
            return connection.execute(query).first() is not None

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

        Raises: errors.TemplateNotFound, errors.InvalidName, errors.NameInUse where the new name has that version already.
        """
        values = {key: value for key, value in (("name", name), ("note", note)) if value is not None}
        with self._db.write() as connection:
            present = _get(connection, template_id)
            if name is not None and name != present.name:
                _check_free(connection, present, template.check_name(name))
            if values:
                connection.execute(sa.update(_table).where(_table.c.id == template_id).values(values))
            if tags is not None:
                _set_tags(connection, template_id, tags)
            return _get(connection, template_id)

    def list(
        self, owner_id: uuid.UUID, *, name_glob: str | None = None, tag: str | None = None, limit: int = 100,
        after: tuple[str, int] | None = None, is_trashed: bool = False,
    ) -> list[template.Template]:  # fmt: skip
        """A page of the account's templates, by name, newest version first: those in the trash, or those that are not.

        In `name_glob`, `*` is any run of characters and `?` any one. `after` is the (name, version) of the last template
        of the page before, which may be gone by now.
        """
        is_there = _table.c.state == template.State.TRASHED if is_trashed else _table.c.state != template.State.TRASHED
        query = sa.select(_table).where(_table.c.owner_id == owner_id, is_there)
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


def _set_state(
    connection: sa.Connection, present: template.Template, state: template.State, *, successor_id: uuid.UUID | None
) -> template.Template:
    _check_state(present, template.KEPT)
    _write_state(connection, present, state, successor_id=successor_id)
    return dataclasses.replace(present, state=state, successor_id=successor_id)


def _doom(connection: sa.Connection, present: template.Template) -> template.Template:
    _write_state(connection, present, template.State.DELETING, **_NO_TRASH)
    return dataclasses.replace(present, state=template.State.DELETING, trash=None)


def _write_state(connection: sa.Connection, present: template.Template, state: template.State, **values: Any) -> None:
    """Raises: errors.TemplateStateForbids where `template.MOVES` does not allow it. Into its own state is no move."""
    if state is not present.state and state not in template.MOVES[present.state]:
        raise _forbidden(present, f"it cannot become {state}")
    connection.execute(sa.update(_table).where(_table.c.id == present.id).values(state=state, **values))


def _check_state(present: template.Template, states: Collection[template.State]) -> None:
    """Raises: errors.TemplateStateForbids, with what to do instead."""
    if present.state not in states:
        raise _forbidden(present, _ADVICE[present.state])


def _check_may_go(
    connection: sa.Connection, present: template.Template, states: Collection[template.State], lock: str
) -> None:
    _check_state(present, states)
    if present.is_protected:
        raise errors.TemplateProtected(template=present.reference)
    operations.check_unlocked(connection, lock)


def _check_successor(connection: sa.Connection, present: template.Template, successor_id: uuid.UUID) -> None:
    if successor_id == present.id:
        raise errors.InvalidRequest(field="successor", problem=f"{present.reference} cannot be its own successor")
    successor = _get(connection, successor_id)
    if successor.state is not template.State.ACTIVE:
        raise _forbidden(successor, "a successor must be active")


def _leave_name(connection: sa.Connection, gone: template.Template) -> None:
    servers = schema.servers
    query = sa.update(servers).where(servers.c.template_id == gone.id)
    connection.execute(query.values(template_name=gone.reference))
    connection.execute(sa.update(_table).where(_table.c.parent_id == gone.id).values(parent_name=gone.reference))


def _not_found(
    connection: sa.Connection, owner_id: uuid.UUID, parsed: template.Reference, reference: str
) -> errors.TemplateNotFound:
    """Of a name whose versions cannot be deployed it says why: the newest three are enough for people."""
    if parsed.name is None or parsed.version is not None:
        return errors.TemplateNotFound(template=reference)
    query = sa.select(_table.c.version, _table.c.state).where(
        _table.c.owner_id == owner_id, _table.c.name == parsed.name, _table.c.state.in_(_NAMED)
    )
    rows = connection.execute(query.order_by(_table.c.version.desc()).limit(3)).all()
    if not rows:
        return errors.TemplateNotFound(template=reference)
    told = ", ".join(f"{parsed.name}@{row.version} is {row.state}" for row in rows)
    return errors.NoDeployableVersion(template=parsed.name, versions=told, example=f"{parsed.name}@{rows[0].version}")


_ADVICE: Final = {
    template.State.CAPTURING: "it is being captured: cancel that operation instead",
    template.State.ACTIVE: "delete it first (`estampe template delete`)",
    template.State.DEPRECATED: "delete it first (`estampe template delete`)",
    template.State.DISABLED: "delete it first (`estampe template delete`)",
    template.State.TRASHED: "it is in the trash: restore it first (`estampe template restore`), or purge it",
    template.State.DELETING: "it is being purged, and will be gone in a moment",
}


def _forbidden(present: template.Template, advice: str) -> errors.TemplateStateForbids:
    return errors.TemplateStateForbids(template=present.reference, state=present.state, advice=advice)


def _origin_of(connection: sa.Connection, server_id: uuid.UUID | None) -> uuid.UUID | None:
    query = sa.select(schema.servers.c.template_id).where(schema.servers.c.id == server_id)
    return connection.execute(query).scalar()


def _last_version(connection: sa.Connection, owner_id: uuid.UUID, name: str) -> int:
    query = sa.select(sa.func.max(_table.c.version)).where(_table.c.owner_id == owner_id, _table.c.name == name)
    return connection.execute(query).scalar() or 0


def _check_free(connection: sa.Connection, present: template.Template, name: str) -> None:
    query = sa.select(_table.c.id).where(
        _table.c.owner_id == present.owner_id, _table.c.name == name, _table.c.version == present.version
    )
    if connection.execute(query).first() is not None:
        raise errors.NameInUse(name=name, what=f"template {name}@{present.version}")


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
    return [_template(row, tuple(tags[row["id"]])) for row in rows]


def _template(row: sa.RowMapping, tags: tuple[str, ...]) -> template.Template:
    values = dict(row)
    at, by, until, before = (values.pop(name) for name in _NO_TRASH)
    state = template.State(values.pop("state"))
    is_trashed = state is template.State.TRASHED
    trash = template.Trash(at=at, by=by, until=until, state_before=template.State(before)) if is_trashed else None
    return template.Template(**values, state=state, tags=tags, trash=trash)


def _like(glob: str) -> str:
    """The LIKE pattern of a glob, with a backslash as its escape."""
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")
