"""Which templates an account may see: the one place that says so, for lists, names, deploys and lineage alike.

    an account sees    its own, in any state
                       those shared with it, until the share expires        ┐ complete and not in the trash, of an account that is
                       those that are public                                ┘ not suspended, and that it takes templates from

What it may not see is not found, in the words for what does not exist. No query joins the three by OR over whole tables: a
list asks for each kind by an index of its own and puts the pages together; a name or an id has found its few rows before
the kinds are asked for. In SQL it is said by `visible_statements`.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from estampe import errors
from estampe.db import database, schema, template_lists, template_reading, visible_statements
from estampe.model import account, listing, sight, template, visibility

_accounts = schema.accounts
_ALL: Final = listing.TemplateQuery()
_TOLD_VERSIONS: Final = 3  # of a name that has none to deploy: enough for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A template that an operation is about to read for an account; `reference` is how it is named in a refusal."""

    account_id: uuid.UUID
    template_id: uuid.UUID
    reference: str


@dataclass(frozen=True, slots=True)
class _Look:
    """One look of an account at one time, in a transaction."""

    connection: sa.Connection
    account_id: uuid.UUID
    at: datetime.datetime

    def rows(self, statement: sa.Select[Any], **values: Any) -> sa.CursorResult[Any]:
        return self.connection.execute(statement, {"me": self.account_id, "at": self.at, **values})

    def seen(self, statement: sa.Select[Any], **values: Any) -> Sequence[sight.Seen]:
        """What a statement `as seen` finds."""
        bound = {"me": self.account_id, "at": self.at, **values}
        found = template_reading.fetch_more(self.connection, statement, bound, tags_of=self.account_id)
        others = {each.successor_id for each, _beside in found if each.owner_id != self.account_id} - {None}
        successors = set(self.rows(visible_statements.ids_among(), ids=list(others)).scalars()) if others else set()
        return [
            _own(each, beside) if each.owner_id == self.account_id else _other(each, beside, successors=successors)
            for each, beside in found
        ]

    def find(self, parsed: template.Reference) -> Sequence[sight.Seen]:
        """The one that is meant, or nothing."""
        if parsed.id is not None:
            return self.seen(visible_statements.by_id(), id=parsed.id)
        owner_id = self.owner_id(parsed)
        if owner_id is None:
            return []
        version = {} if parsed.version is None else {"version": parsed.version}
        statement = visible_statements.by_name(has_version=bool(version))
        return self.seen(statement, owner=owner_id, name=parsed.name, **version)

    def find_all(self, parsed: template.Reference) -> Sequence[sight.Seen]:
        """All versions of the name that is meant, be it by the id of one of them."""
        if parsed.id is None:
            owner_id, name = self.owner_id(parsed), parsed.name
        else:
            found = self.find(parsed)
            owner_id, name = (found[0].template.owner_id, found[0].template.name) if found else (None, None)
        return [] if owner_id is None else self.seen(visible_statements.all_named(), owner=owner_id, name=name)

    def owner_id(self, parsed: template.Reference) -> uuid.UUID | None:
        """Whose name it is; None where nobody is called so. The cloud operator's account is not called by its own name."""
        if parsed.publisher is None:
            return self.account_id
        if parsed.publisher == account.CLOUD:
            return account.DEFAULT_ACCOUNT_ID
        is_called = (_accounts.c.name == parsed.publisher, _accounts.c.id != account.DEFAULT_ACCOUNT_ID)
        found: uuid.UUID | None = self.connection.execute(sa.select(_accounts.c.id).where(*is_called)).scalar()
        return found

    def not_found(self, parsed: template.Reference, reference: str) -> errors.TemplateNotFound:
        """Of a name whose visible versions cannot be deployed it says why."""
        owner_id = None if parsed.name is None or parsed.version is not None else self.owner_id(parsed)
        if owner_id is None:
            return errors.TemplateNotFound(template=reference)
        told = {"owner": owner_id, "name": parsed.name, "count": _TOLD_VERSIONS}
        rows = self.rows(visible_statements.undeployable(), **told).all()
        if not rows:
            return errors.TemplateNotFound(template=reference)
        name = reference.partition("@")[0]
        versions = ", ".join(f"{name}@{row.version} is {row.state}" for row in rows)
        return errors.NoDeployableVersion(template=name, versions=versions, example=f"{name}@{rows[0].version}")


class VisibleTemplates:
    """The catalogue as each account sees it at the moment: shares expire."""

    def __init__(self, db: database.Database, *, clock: Callable[[], datetime.datetime]) -> None:
        self._db = db
        self._clock = clock

    def resolve(self, account_id: uuid.UUID, reference: str) -> sight.Seen:
        """The template of that name (newest deployable version), `name@version` or id, that the account may see.

        Without a publisher it is the account's own. An own one is found in any state by id, by version where it is COMPLETE.
        Raises: errors.TemplateNotFound, of it errors.NoDeployableVersion where the name has none but other versions.
        """
        parsed, at = template.parse_reference(reference), self._clock()
        with self._db.read() as connection:
            look = _Look(connection, account_id, at)
            found = look.find(parsed)
            if not found:
                raise look.not_found(parsed, reference)
            return found[0]

    def resolve_versions(
        self, account_id: uuid.UUID, reference: str, *, is_every_version: bool
    ) -> Sequence[sight.Seen]:
        """The template that `resolve` finds, or all versions of that name that the account may see, its own in any state.

        None of them need be deployable. Raises: errors.TemplateNotFound where there is none.
        """
        if not is_every_version:
            return [self.resolve(account_id, reference)]
        parsed, at = template.parse_reference(reference), self._clock()
        with self._db.read() as connection:
            found = _Look(connection, account_id, at).find_all(parsed)
        if not found:
            raise errors.TemplateNotFound(template=reference)
        return found

    def find(self, account_id: uuid.UUID, template_id: uuid.UUID) -> sight.Seen | None:
        """The one with that id, where the account may see it."""
        return self.find_by_ids(account_id, [template_id]).get(template_id)

    def find_by_ids(self, account_id: uuid.UUID, template_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, sight.Seen]:
        """Those that the account may see, by id."""
        if not template_ids:
            return {}
        at = self._clock()
        with self._db.read() as connection:
            found = _Look(connection, account_id, at).seen(visible_statements.by_ids(), ids=list(template_ids))
        return {each.template.id: each for each in found}

    def list(self, account_id: uuid.UUID, query: listing.TemplateQuery = _ALL) -> listing.Page[sight.Seen]:
        """A page of what the account sees in the query's scopes.

        Raises: errors.InvalidRequest where `after` is no cursor of that sort.
        """
        order, at = template_lists.order(query.sort, schema.templates.c), self._clock()
        values = {**template_lists.values(query), **order.bound(query.after)}
        statement = visible_statements.page(template_lists.shape(query), is_behind=query.after is not None)
        is_search = query.name_glob is not None or query.guest_glob is not None
        with self._db.read(is_search=is_search) as connection:
            found = _Look(connection, account_id, at).seen(statement, **values)
        page = order.page([each.template for each in found], query.limit)
        return listing.Page(found[: query.limit], page.next)


def check(connection: sa.Connection, use: Use, at: datetime.datetime) -> None:
    """In the transaction that gives the operation its lock: what was unshared before that is not used.

    Raises: errors.TemplateNotFound.
    """
    look = _Look(connection, use.account_id, at)
    if look.rows(visible_statements.ids_among(), ids=[use.template_id]).first() is None:
        raise errors.TemplateNotFound(template=use.reference)


def _own(found: template.Template, beside: dict[str, Any]) -> sight.Seen:
    kept = visibility.Visibility.SHARED if beside["is_shared"] else visibility.Visibility.PRIVATE
    return sight.Seen(
        template=found,
        publisher=visibility.publisher_name(found.owner_id, beside["owner_name"]),
        scope=visibility.Scope.MINE,
        visibility=kept if found.publication is None else visibility.Visibility.PUBLIC,
        right=visibility.Right.EXPORT,
    )


def _other(found: template.Template, beside: dict[str, Any], *, successors: Collection[uuid.UUID]) -> sight.Seen:
    """Where it is both shared and public, the share speaks, and both allow."""
    is_by_share = beside["share_right"] is not None
    public = None if found.publication is None else found.publication.terms
    note = beside["share_note"] if is_by_share else public.note if public is not None else ""
    right = visibility.Right(beside["share_right"]) if is_by_share else visibility.Right.DEPLOY
    return sight.Seen(
        template=sight.opened(found, note=note, successor_is_seen=found.successor_id in successors),
        publisher=visibility.publisher_name(found.owner_id, beside["owner_name"]),
        scope=visibility.Scope.SHARED if is_by_share else visibility.Scope.PUBLIC,
        visibility=visibility.Visibility.SHARED if public is None else visibility.Visibility.PUBLIC,
        right=right.joined(None if public is None else public.right),
        expires_at=beside["share_expires_at"],
        is_hidden=beside["is_hidden"],
    )
