"""Templates in the database: the rows of the catalogue."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from estampe import errors
from estampe.db import accounts, database, schema, template_moves, template_reading, visible_templates
from estampe.model import characteristics as traits  # columns and arguments have the module's name
from estampe.model import listing, record, template, visibility

_table = schema.templates
_tags = schema.template_tags
_given = schema.template_versions
_ALL: Final = listing.TemplateQuery()


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Templates:
    """The catalogue's rows. A row is published last, when all it names is durable, and removed last."""

    def __init__(self, db: database.Database, *, clock: Callable[[], datetime.datetime] = _utc_now) -> None:
        self._db = db
        self.visible = visible_templates.VisibleTemplates(db, clock=clock)

    def reserve(  # noqa: PLR0913 - a row is made of what is known of it
        self, *, id: uuid.UUID, owner_id: uuid.UUID, name: str, note: str, tags: Sequence[str],
        server_id: uuid.UUID | None, server_name: str, created_at: datetime.datetime,
        characteristics: traits.Characteristics | None = None,
    ) -> template.Template:  # fmt: skip
        """A row in CAPTURING with the name's next version: the highest that is there or was ever published, and one.

        Its parent is the template that the server was deployed from, kept here since the server may go.
        Called again with the same id it gives the row as it is by then (a repeated step).
        Raises: errors.InvalidName.
        """
        template.check_name(name)
        with self._db.write() as connection:
            found = template_reading.find(connection, id)
            if found is not None:
                return found
            parent_id, parent_name = _origin_of(connection, server_id)
            new = template.Template(
                id=id, owner_id=owner_id, name=name, version=template_reading.last_version(connection, owner_id, name) + 1,
                state=template.State.CAPTURING, note=note, tags=tuple(dict.fromkeys(tags)), server_id=server_id,
                server_name=server_name, created_at=created_at, logical_bytes=None, data_bytes=None, new_bytes=None,
                is_sealed=None, guest_product=None, parent_id=parent_id, parent_name=parent_name,
                characteristics=_said(characteristics),
            )  # fmt: skip
            values = dataclasses.asdict(new) | {"characteristics": _record(new.characteristics)}
            del values["tags"], values["trash"], values["publication"]
            connection.execute(sa.insert(_table).values(values))
            _set_tags(connection, id, new.tags)
            return new

    def next_version(self, owner_id: uuid.UUID, name: str) -> int:
        """The version that `reserve` would give the name now: for plans."""
        with self._db.read() as connection:
            return template_reading.last_version(connection, owner_id, name) + 1

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
            present = template_reading.get(connection, template_id)
            if present.state in template.COMPLETE:
                return present
            _give(connection, present)
            return template_moves.move(connection, present, template.State.ACTIVE, **facts)

    def deprecate(
        self, template_id: uuid.UUID, *, successor_id: uuid.UUID | None, etags: Collection[str] | None = None
    ) -> template.Template:
        """To DEPRECATED; again, with another successor, is fine. The successor must be ACTIVE, and so never leads back.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids, errors.InvalidRequest where it would succeed itself,
        errors.TemplateChanged.
        """
        with self._db.write() as connection:
            present = template_reading.get_unchanged(connection, template_id, etags)
            if successor_id is not None:
                template_moves.check_successor(connection, present, successor_id)
            return template_moves.to_kept(connection, present, template.State.DEPRECATED, successor_id=successor_id)

    def disable(self, template_id: uuid.UUID, *, etags: Collection[str] | None = None) -> template.Template:
        """To DISABLED; its successor stays known.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids, errors.TemplateChanged.
        """
        with self._db.write() as connection:
            present = template_reading.get_unchanged(connection, template_id, etags)
            state = template.State.DISABLED
            return template_moves.to_kept(connection, present, state, successor_id=present.successor_id)

    def enable(self, template_id: uuid.UUID, *, etags: Collection[str] | None = None) -> template.Template:
        """To ACTIVE, with no successor. Raises: errors.TemplateNotFound, errors.TemplateStateForbids, errors.TemplateChanged."""
        with self._db.write() as connection:
            present = template_reading.get_unchanged(connection, template_id, etags)
            return template_moves.to_kept(connection, present, template.State.ACTIVE, successor_id=None)

    def protect(
        self, template_id: uuid.UUID, *, is_protected: bool, etags: Collection[str] | None = None
    ) -> template.Template:
        """Keep it from `trash` and `begin_purge`, or no longer.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids, errors.TemplateChanged.
        """
        with self._db.write() as connection:
            present = template_reading.get_unchanged(connection, template_id, etags)
            template_moves.check_state(present, template.COMPLETE)
            if present.is_protected is is_protected:
                return present
            return template_moves.move(connection, present, present.state, is_protected=is_protected)

    def make_public(
        self, template_id: uuid.UUID, publication: visibility.Publication, *, needs_permission: bool,
        is_unsealed_accepted: bool, etags: Collection[str] | None = None,
    ) -> template.Template:  # fmt: skip
        """Let everybody see it; again, with other terms, is fine. With `needs_permission`, its account must be allowed to publish.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids, errors.TemplateChanged, errors.PublishingNotAllowed,
        errors.TemplateNotSealed.
        """
        with self._db.write() as connection:
            present = template_reading.get_unchanged(connection, template_id, etags)
            template_moves.check_state(present, template.KEPT)
            if needs_permission:
                template_moves.check_may_publish(connection, present)
            if not present.is_sealed and not is_unsealed_accepted:
                raise errors.TemplateNotSealed(template=present.reference)
            if present.publication is not None and present.publication.terms == publication.terms:
                return present
            return template_moves.move(
                connection, present, present.state, published_at=publication.at, published_by=publication.by,
                publication_right=publication.terms.right, publication_note=publication.terms.note,
            )  # fmt: skip

    def make_private(self, template_id: uuid.UUID, *, etags: Collection[str] | None = None) -> template.Template:
        """Public no longer; those that it is shared with see it as before. Not public already is fine.

        Raises: errors.TemplateNotFound, errors.TemplateChanged.
        """
        with self._db.write() as connection:
            present = template_reading.get_unchanged(connection, template_id, etags)
            if present.publication is None:
                return present
            return template_moves.move(connection, present, present.state, **template_reading.NO_PUBLICATION)

    def trash(
        self, template_id: uuid.UUID, *, by: str, at: datetime.datetime, until: datetime.datetime, unless_locked: str,
        etags: Collection[str] | None = None,
    ) -> template.Template:  # fmt: skip
        """To TRASHED, where nobody holds the lock `unless_locked`, seen in the same transaction.

        Raises: errors.TemplateNotFound, errors.TemplateProtected, errors.TemplateStateForbids, errors.TemplateChanged,
        db.operations.LockHeld.
        """
        with self._db.write() as connection:
            present = template_reading.get_unchanged(connection, template_id, etags)
            template_moves.check_may_go(connection, present, template.KEPT, unless_locked)
            values = {"trashed_at": at, "trashed_by": by, "purge_at": until, "state_before": present.state}
            return template_moves.move(connection, present, template.State.TRASHED, **values)

    def restore(self, template_id: uuid.UUID, *, etags: Collection[str] | None = None) -> template.Template:
        """TRASHED to the state it had before.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids, errors.TemplateChanged.
        """
        with self._db.write() as connection:
            present = template_reading.get_unchanged(connection, template_id, etags)
            if present.trash is None:
                raise template_reading.forbidden(present, "it is not in the trash")
            return template_moves.move(connection, present, present.trash.state_before, **template_reading.NO_TRASH)

    def prolong_trash(self, by: datetime.timedelta) -> None:
        """Let everything that is in the trash, of all accounts, stay there for so much longer."""
        query = sa.select(_table.c.id, _table.c.purge_at).where(_table.c.state == template.State.TRASHED)
        with self._db.write() as connection:
            for row in connection.execute(query).all():
                changed = sa.update(_table).where(_table.c.id == row.id).values(purge_at=row.purge_at + by)
                connection.execute(changed)

    def begin_purge(
        self, template_id: uuid.UUID, purge: template_moves.Purge, *, unless_locked: str,
        etags: Collection[str] | None = None,
    ) -> template.Template:  # fmt: skip
        """To DELETING, as `purge` allows and where nobody holds the lock `unless_locked`; there is no way back.

        All of that is seen in the same transaction.
        Raises: errors.TemplateNotFound, errors.TemplateProtected, errors.TemplateStateForbids, errors.TemplateChanged,
        db.operations.LockHeld.
        """
        with self._db.write() as connection:
            present = template_reading.get_unchanged(connection, template_id, etags)
            template_moves.check_may_go(connection, present, purge.states, unless_locked)
            if purge.due_at is not None and (present.trash is None or present.trash.until > purge.due_at):
                raise template_reading.forbidden(present, "its time in the trash is not over")
            return template_moves.doom(connection, present)

    def begin_delete(self, template_id: uuid.UUID) -> template.Template:
        """To DELETING, from any state, whatever speaks against it: to undo a capture. Raises: errors.TemplateNotFound."""
        with self._db.write() as connection:
            return template_moves.doom(connection, template_reading.get(connection, template_id))

    def remove(self, template_id: uuid.UUID) -> bool:
        """Drop the row of a template in DELETING, the last step of its deletion; True when it was there.

        Servers and templates that came from it keep its last name.
        Raises: errors.TemplateStateForbids.
        """
        with self._db.write() as connection:
            found = template_reading.find(connection, template_id)
            if found is None:
                return False
            if found.state is not template.State.DELETING:
                raise template_reading.forbidden(found, "begin its deletion first")
            template_moves.leave_name(connection, found)
            connection.execute(sa.delete(_table).where(_table.c.id == template_id))
            return True

    def get(self, template_id: uuid.UUID) -> template.Template:
        """In any state, whoever owns it. Raises: errors.TemplateNotFound."""
        with self._db.read() as connection:
            return template_reading.get(connection, template_id)

    def resolve(self, owner_id: uuid.UUID, reference: str) -> template.Template:
        """The account's own template, to do something about it; named as `visible` says.

        Raises: errors.TemplateNotFound, errors.NoDeployableVersion, errors.TemplateNotOwned where it is another's that the
        account sees.
        """
        found = self.visible.resolve(owner_id, reference)
        if not found.is_own:
            raise errors.TemplateNotOwned(template=found.full_reference, publisher=found.publisher)
        return found.template

    def successors(self, owner_id: uuid.UUID) -> dict[uuid.UUID, str]:
        """The ids that the account's templates name as their successors, with the reference of one that does."""
        query = sa.select(_table.c.successor_id, _table.c.name, _table.c.version).where(
            _table.c.owner_id == owner_id, _table.c.successor_id.is_not(None), _table.c.state.in_(tuple(template.KEPT))
        )
        with self._db.read() as connection:
            return {row.successor_id: f"{row.name}@{row.version}" for row in connection.execute(query)}

    def list_due(self, at: datetime.datetime) -> list[template.Template]:
        """Active accounts' templates whose time in the trash is over at `at`, and that are not protected."""
        query = sa.select(_table).where(
            _table.c.state == template.State.TRASHED, _table.c.purge_at <= at, _table.c.is_protected.is_(False),
            _table.c.owner_id.in_(accounts.active()),
        )  # fmt: skip
        with self._db.read() as connection:
            return template_reading.fetch(connection, query.order_by(_table.c.purge_at, _table.c.id))

    def is_any(self, states: Collection[template.State]) -> bool:
        """Whether any account has a template in one of `states`."""
        query = sa.select(_table.c.id).where(_table.c.state.in_(tuple(states))).limit(1)
        with self._db.read() as connection:
            return connection.execute(query).first() is not None

    def list_in_state(self, state: template.State) -> list[template.Template]:
        """All accounts' templates in `state`, oldest first: what a start of the daemon looks through."""
        query = sa.select(_table).where(_table.c.state == state).order_by(_table.c.created_at, _table.c.id)
        with self._db.read() as connection:
            return template_reading.fetch(connection, query)

    def edit(
        self, template_id: uuid.UUID, *, name: str | None = None, note: str | None = None,
        tags: Sequence[str] | None = None, etags: Collection[str] | None = None,
    ) -> template.Template:  # fmt: skip
        """Change what is given; a renamed template keeps its version number.

        Raises: errors.TemplateNotFound, errors.InvalidName, errors.NameInUse where another template has that name and
        version, errors.VersionGiven where one had, errors.TemplateChanged where `etags` are given and its own is none of
        them.
        """
        values = {key: value for key, value in (("name", name), ("note", note)) if value is not None}
        with self._db.write() as connection:
            present = template_reading.get_unchanged(connection, template_id, etags)
            if name is not None and name != present.name:
                _check_free(connection, present, template.check_name(name))
                if present.state in template.COMPLETE:
                    _give(connection, dataclasses.replace(present, name=name))
            if any(getattr(present, key) != value for key, value in values.items()):
                connection.execute(sa.update(_table).where(_table.c.id == template_id).values(values))
            elif tags is not None and tuple(dict.fromkeys(tags)) != present.tags:
                template_moves.touch(connection, template_id)
            if tags is not None:
                _set_tags(connection, template_id, tags)
            return template_reading.get(connection, template_id)

    def change_characteristics(
        self, template_id: uuid.UUID, change: Callable[[traits.Characteristics], traits.Characteristics], *,
        etags: Collection[str] | None = None,
    ) -> template.Template:  # fmt: skip
        """What `change` makes of its characteristics, in one transaction: two changes at once are both kept.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids, errors.TemplateChanged, and what `change` raises;
        nothing is changed then.
        """
        with self._db.write() as connection:
            present = template_reading.get_unchanged(connection, template_id, etags)
            template_moves.check_tunable(present)
            changed = _said(change(present.characteristics or traits.Characteristics()))
            if changed == present.characteristics:
                return present
            return template_moves.move(connection, present, present.state, characteristics=_record(changed))

    def list(self, owner_id: uuid.UUID, query: listing.TemplateQuery = _ALL) -> listing.Page[template.Template]:
        """A page of the account's own templates. Raises: errors.InvalidRequest where `after` is no cursor of that sort."""
        page = self.visible.list(owner_id, dataclasses.replace(query, scopes=(visibility.Scope.MINE,)))
        return listing.Page([each.template for each in page.items], page.next)


def _origin_of(connection: sa.Connection, server_id: uuid.UUID | None) -> tuple[uuid.UUID | None, str | None]:
    """The template that the server came from, with its name where it could not be looked up later."""
    servers = schema.servers
    query = sa.select(servers.c.template_id, servers.c.template_name).where(servers.c.id == server_id)
    row = connection.execute(query).one_or_none()
    return (None, None) if row is None else (row.template_id, row.template_name)


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


def _said(characteristics: traits.Characteristics | None) -> traits.Characteristics | None:
    """None where nothing is said: there is one way to keep that."""
    return None if characteristics is None or characteristics.is_empty else characteristics


def _record(characteristics: traits.Characteristics | None) -> Any:
    return None if characteristics is None else record.dump(characteristics)
