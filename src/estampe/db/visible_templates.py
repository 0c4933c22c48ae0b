"""Which templates an account may see: the one place that says so, for lists, names, deploys and lineage alike.

    an account sees    its own, in any state
                       those shared with it, until the share expires        ┐ complete and not in the trash, of an account that is
                       those that are public                                ┘ not suspended, and that it takes templates from

What it may not see is not found, in the words for what does not exist. No query joins the three by OR over whole tables: a
list asks for each kind by an index of its own and puts the pages together; a name or an id has found its few rows before
the kinds are asked for.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from estampe import errors
from estampe.db import database, schema, template_lists, template_reading
from estampe.model import account, listing, sight, template, visibility

_table = schema.templates
_shares = schema.template_shares
_hidden = schema.hidden_templates
_accounts = schema.accounts
_allowed = schema.allowed_publishers
# By name and version everything is found that its owner may do something about.
_OWNER_NAMES: Final = tuple(template.COMPLETE)
_ALL: Final = listing.TemplateQuery()
_TERMS: Final = ("right", "note", "expires_at")  # of a share
_TOLD_VERSIONS: Final = 3  # of a name that has none to deploy: enough for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A template that an operation is about to read for an account; `reference` is how it is named in a refusal."""

    account_id: uuid.UUID
    template_id: uuid.UUID
    reference: str


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
            query = _finding(connection, account_id, parsed, at)
            found = [] if query is None else _seen(connection, account_id, query, at)
            if not found:
                raise _not_found(connection, account_id, parsed, reference, at)
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
            named = _all_named(connection, account_id, parsed, at)
            query = sa.select(_table).where(*named, _may_see(account_id, at))
            found = _seen(connection, account_id, query, at, order=lambda rows: [rows.version.desc()])
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
        query = sa.select(_table).where(_table.c.id.in_(tuple(template_ids)), _may_see(account_id, at))
        with self._db.read() as connection:
            return {each.template.id: each for each in _seen(connection, account_id, query, at)}

    def list(self, account_id: uuid.UUID, query: listing.TemplateQuery = _ALL) -> listing.Page[sight.Seen]:
        """A page of what the account sees in the query's scopes.

        Raises: errors.InvalidRequest where `after` is no cursor of that sort.
        """
        order, at = template_lists.order(query.sort, _table.c), self._clock()
        parts = [
            order.apply(
                sa.select(_table).where(*_listed(account_id, scope, query, at), *template_lists.conditions(query)),
                after=query.after,
                limit=query.limit,
            )
            for scope in visibility.Scope
            if scope in query.scopes
        ]
        with self._db.read() as connection:
            whole = sa.union_all(*(sa.select(part.subquery()) for part in parts)) if len(parts) > 1 else parts[0]
            found = _seen(
                connection, account_id, whole, at, order=lambda rows: template_lists.order(query.sort, rows).by(),
                limit=query.limit + 1,
            )  # fmt: skip
        page = order.page([each.template for each in found], query.limit)
        return listing.Page(found[: query.limit], page.next)


def check(connection: sa.Connection, use: Use, at: datetime.datetime) -> None:
    """In the transaction that gives the operation its lock: what was unshared before that is not used.

    Raises: errors.TemplateNotFound.
    """
    query = sa.select(_table.c.id).where(_table.c.id == use.template_id, _may_see(use.account_id, at))
    if connection.execute(query).first() is None:
        raise errors.TemplateNotFound(template=use.reference)


# --- what may be seen ---------------------------------------------------------------------------------------------------


def _may_see(account_id: uuid.UUID, at: datetime.datetime) -> sa.ColumnElement[bool]:
    """For queries that have found their few rows by id or name already."""
    kinds = sa.or_(_is_shared_with(account_id, at), _table.c.published_at.is_not(None))
    return sa.or_(_table.c.owner_id == account_id, sa.and_(kinds, *_of_others(account_id)))


def _listed(
    account_id: uuid.UUID, scope: visibility.Scope, query: listing.TemplateQuery, at: datetime.datetime
) -> Sequence[sa.ColumnElement[bool]]:
    """One kind, each template in the first that is asked for. Tags are their owner's: nobody else finds a template by them."""
    if scope is visibility.Scope.MINE:
        return [_table.c.owner_id == account_id, *([sa.false()] if query.is_hidden else [])]
    hidden = _is_hidden_from(account_id)
    of_others = [*_of_others(account_id), hidden if query.is_hidden else sa.not_(hidden)]
    if query.tag is not None:
        of_others.append(sa.false())
    shared = _is_shared_with(account_id, at)
    if scope is visibility.Scope.SHARED:
        return [shared, *of_others]
    is_listed_before = visibility.Scope.SHARED in query.scopes
    return [_table.c.published_at.is_not(None), *of_others, *([sa.not_(shared)] if is_listed_before else [])]


def _of_others(account_id: uuid.UUID) -> Sequence[sa.ColumnElement[bool]]:
    """Whatever makes another's template visible, these hold as well. Both subqueries are small, and made once."""
    suspended = sa.select(_accounts.c.id).where(_accounts.c.state == account.State.SUSPENDED)
    limited = sa.exists().where(_accounts.c.id == account_id, _accounts.c.is_limited).correlate(None)
    allowed = sa.select(_allowed.c.publisher_id).where(_allowed.c.account_id == account_id)
    # Others see a template once it is whole; what is in the trash is as good as gone, and back when it is restored.
    return [
        _table.c.owner_id != account_id,
        template_lists.is_in(template.KEPT),
        _table.c.owner_id.not_in(suspended),
        sa.or_(sa.not_(limited), _table.c.owner_id.in_(allowed)),
    ]


def _is_shared_with(account_id: uuid.UUID, at: datetime.datetime) -> sa.ColumnElement[bool]:
    """As a list of ids: for an account it is short, and each is found by its key."""
    shared = sa.select(_shares.c.template_id).where(_shares.c.account_id == account_id, _is_in_force(at))
    return _table.c.id.in_(shared)


def _is_in_force(at: datetime.datetime, shares: Any = _shares) -> sa.ColumnElement[bool]:
    return sa.or_(shares.c.expires_at.is_(None), shares.c.expires_at > at)


def _is_hidden_from(account_id: uuid.UUID) -> sa.ColumnElement[bool]:
    return _table.c.id.in_(sa.select(_hidden.c.template_id).where(_hidden.c.account_id == account_id))


# --- finding ------------------------------------------------------------------------------------------------------------


def _finding(
    connection: sa.Connection, account_id: uuid.UUID, parsed: template.Reference, at: datetime.datetime
) -> sa.Select[Any] | None:
    """The query for the one row that is meant; None where nobody is called as its publisher."""
    query = sa.select(_table).where(_may_see(account_id, at))
    if parsed.id is not None:
        return query.where(_table.c.id == parsed.id)
    named = _named(connection, account_id, parsed)
    if named is None:
        return None
    states = tuple(template.DEPLOYABLE) if parsed.version is None else _OWNER_NAMES
    query = query.where(*named, _table.c.state.in_(states))
    if parsed.version is not None:
        query = query.where(_table.c.version == parsed.version)
    return query.order_by(_table.c.version.desc()).limit(1)


def _named(
    connection: sa.Connection, account_id: uuid.UUID, parsed: template.Reference
) -> Sequence[sa.ColumnElement[bool]] | None:
    """The rows of one name of one account; None where nobody is called so."""
    owner_id = account_id if parsed.publisher is None else _publisher_id(connection, parsed.publisher)
    return None if owner_id is None else [_table.c.owner_id == owner_id, _table.c.name == parsed.name]


def _all_named(
    connection: sa.Connection, account_id: uuid.UUID, parsed: template.Reference, at: datetime.datetime
) -> Sequence[sa.ColumnElement[bool]]:
    """The rows of the name that is meant, be it by the id of one of them; no rows where nothing is."""
    if parsed.id is None:
        return _named(connection, account_id, parsed) or [sa.false()]
    query = sa.select(_table.c.owner_id, _table.c.name).where(_table.c.id == parsed.id, _may_see(account_id, at))
    found = connection.execute(query).first()
    return [sa.false()] if found is None else [_table.c.owner_id == found.owner_id, _table.c.name == found.name]


def _publisher_id(connection: sa.Connection, publisher: str) -> uuid.UUID | None:
    """The account that is called so where it publishes; the cloud operator's is not called by its own name."""
    if publisher == account.CLOUD:
        return account.DEFAULT_ACCOUNT_ID
    query = sa.select(_accounts.c.id).where(_accounts.c.name == publisher, _accounts.c.id != account.DEFAULT_ACCOUNT_ID)
    return connection.execute(query).scalar()


def _not_found(
    connection: sa.Connection, account_id: uuid.UUID, parsed: template.Reference, reference: str, at: datetime.datetime
) -> errors.TemplateNotFound:
    """Of a name whose visible versions cannot be deployed it says why."""
    named = None if parsed.name is None or parsed.version is not None else _named(connection, account_id, parsed)
    if named is None:
        return errors.TemplateNotFound(template=reference)
    query = sa.select(_table.c.version, _table.c.state).where(
        *named, _table.c.state.in_(_OWNER_NAMES), _may_see(account_id, at)
    )
    rows = connection.execute(query.order_by(_table.c.version.desc()).limit(_TOLD_VERSIONS)).all()
    if not rows:
        return errors.TemplateNotFound(template=reference)
    name = reference.partition("@")[0]
    told = ", ".join(f"{name}@{row.version} is {row.state}" for row in rows)
    return errors.NoDeployableVersion(template=name, versions=told, example=f"{name}@{rows[0].version}")


# --- how it is seen -----------------------------------------------------------------------------------------------------


def _seen(
    connection: sa.Connection,
    account_id: uuid.UUID,
    page: sa.Select[Any] | sa.CompoundSelect[Any],
    at: datetime.datetime,
    *,
    order: Callable[[Any], Sequence[sa.ColumnElement[Any]]] = lambda _columns: (),
    limit: int | None = None,
) -> Sequence[sight.Seen]:
    """What a query for whole rows finds, as the account sees it, in an order of its columns.

    What is said of a template beside its row comes in the same statement. Asked for by the ids of a page, it would be five
    more with a hundred values each, which took half the time of a list; as it is, each row asks by a key.
    """
    rows = page.subquery("page")
    share = _shares.alias("share")
    is_seen_by_it = sa.and_(share.c.template_id == rows.c.id, share.c.account_id == account_id, _is_in_force(at, share))
    query = (
        sa.select(rows, *_beside(rows, account_id, at), *(share.c[name].label(f"share_{name}") for name in _TERMS))
        .outerjoin(share, is_seen_by_it)
        .order_by(*order(rows.c))
        .limit(limit)
    )
    found = template_reading.fetch_more(connection, query, tags_of=account_id)
    successor_ids = {each.successor_id for each, _beside_it in found if each.owner_id != account_id} - {None}
    successors = _visible_among(connection, account_id, successor_ids, at)
    return [_own(*each) if each[0].owner_id == account_id else _other(*each, successors=successors) for each in found]


def _beside(rows: Any, account_id: uuid.UUID, at: datetime.datetime) -> Sequence[sa.ColumnElement[Any]]:
    """How the owner is called, whether anybody sees it by a share, and whether the account leaves it out of its lists."""
    named = sa.select(_accounts.c.name).where(_accounts.c.id == rows.c.owner_id).scalar_subquery()
    anybodys = _shares.alias("anybodys")
    is_shared = sa.exists().where(anybodys.c.template_id == rows.c.id, _is_in_force(at, anybodys))
    is_hidden = sa.exists().where(_hidden.c.account_id == account_id, _hidden.c.template_id == rows.c.id)
    return [named.label("owner_name"), is_shared.label("is_shared"), is_hidden.label("is_hidden")]


def _own(found: template.Template, beside: dict[str, Any]) -> sight.Seen:
    kept = visibility.Visibility.SHARED if beside["is_shared"] else visibility.Visibility.PRIVATE
    return sight.Seen(
        template=found,
        publisher=visibility.publisher_name(found.owner_id, beside["owner_name"]),
        scope=visibility.Scope.MINE,
        visibility=kept if found.publication is None else visibility.Visibility.PUBLIC,
        right=visibility.Right.EXPORT,
    )


def _other(found: template.Template, beside: dict[str, Any], *, successors: Collection[uuid.UUID | None]) -> sight.Seen:
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


def _visible_among(
    connection: sa.Connection, account_id: uuid.UUID, ids: Collection[uuid.UUID | None], at: datetime.datetime
) -> frozenset[uuid.UUID]:
    if not ids:
        return frozenset()
    query = sa.select(_table.c.id).where(_table.c.id.in_(tuple(ids)), _may_see(account_id, at))
    return frozenset(connection.execute(query).scalars())
