"""The statements of `visible_templates`: which rows an account may see, and what is said of each beside its row.

Each is made once for its shape and kept: every request needs one or two, and building one, and finding its compiled form again by
all its parts, takes longer than the database does. So who looks (`me`), when (`at`) and what is looked for are parameters.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from estampe.db import paging, schema, template_lists
from estampe.model import account, listing, template, visibility

_table = schema.templates
_shares = schema.template_shares
_hidden = schema.hidden_templates
_accounts = schema.accounts
_allowed = schema.allowed_publishers
_ME: Final = sa.bindparam("me", type_=sa.Uuid)
_AT: Final = sa.bindparam("at", type_=schema.UtcDateTime)
_TERMS: Final = ("right", "note", "expires_at")  # of a share
# By name and version everything is found that its owner may do something about.
OWNER_NAMES: Final = tuple(template.COMPLETE)

# --- what is asked for --------------------------------------------------------------------------------------------------


@functools.cache
def by_id() -> sa.Select[Any]:
    """The template `id`."""
    return _as_seen(sa.select(_table).where(_table.c.id == sa.bindparam("id", type_=sa.Uuid), _may_see()))


@functools.cache
def by_ids() -> sa.Select[Any]:
    """The templates of `ids`."""
    return _as_seen(sa.select(_table).where(_among_ids(), _may_see()))


@functools.cache
def by_name(*, has_version: bool) -> sa.Select[Any]:
    """The newest deployable version of the name `name` of the account `owner`; or the complete one with `version`."""
    states = OWNER_NAMES if has_version else tuple(template.DEPLOYABLE)
    query = sa.select(_table).where(*_named(), _table.c.state.in_(states), _may_see())
    if has_version:
        query = query.where(_table.c.version == sa.bindparam("version", type_=sa.Integer))
    return _as_seen(query.order_by(_table.c.version.desc()).limit(paging.written(1)))


@functools.cache
def all_named() -> sa.Select[Any]:
    """Every version of the name `name` of the account `owner`, the newest first."""
    return _as_seen(sa.select(_table).where(*_named(), _may_see()), order=lambda rows: [rows.version.desc()])


@functools.cache
def undeployable() -> sa.Select[Any]:
    """Version and state of the newest `count` complete templates of the name `name` of the account `owner`."""
    named = (*_named(), _table.c.state.in_(OWNER_NAMES), _may_see())
    query = sa.select(_table.c.version, _table.c.state).where(*named).order_by(_table.c.version.desc())
    return query.limit(sa.bindparam("count", type_=sa.Integer))


@functools.cache
def ids_among() -> sa.Select[Any]:
    """Those of `ids` that may be seen."""
    return sa.select(_table.c.id).where(_among_ids(), _may_see())


@functools.lru_cache(maxsize=256)  # callers choose limits and states, so there is no end of shapes
def page(shape: listing.TemplateQuery, *, is_behind: bool) -> sa.Select[Any]:
    """A page of `template_lists.shape`, with its `values` and those of its order as parameters.

    Each kind that is asked for is cut short by an index of its own, and only what is left of it is put together.
    """
    order = template_lists.order(shape.sort, _table.c)
    scopes = [scope for scope in visibility.Scope if scope in shape.scopes]
    rows = sa.select(_table) if len(scopes) == 1 else sa.select(*template_lists.sorted_by(shape.sort))
    parts = [
        order.apply_bound(
            rows.where(*template_lists.conditions(shape), *_listed(scope, shape)),
            is_behind=is_behind,
            limit=shape.limit,
        )
        for scope in scopes
    ]
    whole = parts[0] if len(parts) == 1 else _together(parts, shape)
    found = _as_seen(whole, order=lambda rows: template_lists.order(shape.sort, rows).by())
    return found.limit(paging.written(shape.limit + 1))


def _together(parts: Sequence[sa.Select[Any]], shape: listing.TemplateQuery) -> sa.Select[Any]:
    """The page of several kinds: put together by what it is sorted by, and only then are whole rows read."""
    kinds = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery("kinds")
    first = template_lists.order(shape.sort, kinds.c).apply_bound(
        sa.select(kinds.c.id), is_behind=False, limit=shape.limit
    )
    return sa.select(_table).join(found := first.subquery("found"), found.c.id == _table.c.id)


# --- what may be seen ---------------------------------------------------------------------------------------------------


def _may_see() -> sa.ColumnElement[bool]:
    """For queries that have found their few rows by id or name already."""
    kinds = sa.or_(_is_shared(), _table.c.published_at.is_not(None))
    return sa.or_(_table.c.owner_id == _ME, sa.and_(kinds, *_of_others()))


def _listed(scope: visibility.Scope, shape: listing.TemplateQuery) -> Sequence[sa.ColumnElement[bool]]:
    """One kind, each template in the first that is asked for. Tags are their owner's: nobody else finds a template by them."""
    if scope is visibility.Scope.MINE:
        return [_table.c.owner_id == _ME, *([sa.false()] if shape.is_hidden else [])]
    hidden = _table.c.id.in_(sa.select(_hidden.c.template_id).where(_hidden.c.account_id == _ME))
    of_others = [*_of_others(), hidden if shape.is_hidden else sa.not_(hidden)]
    if shape.tag is not None:
        of_others.append(sa.false())
    if scope is visibility.Scope.SHARED:
        return [_is_shared(), *of_others]
    is_listed_before = visibility.Scope.SHARED in shape.scopes
    return [_table.c.published_at.is_not(None), *of_others, *([sa.not_(_is_shared())] if is_listed_before else [])]


def _of_others() -> Sequence[sa.ColumnElement[bool]]:
    """Whatever makes another's template visible, these hold as well. Both subqueries are small, and made once."""
    suspended = sa.select(_accounts.c.id).where(_accounts.c.state == account.State.SUSPENDED)
    limited = sa.exists().where(_accounts.c.id == _ME, _accounts.c.is_limited).correlate(None)
    allowed = sa.select(_allowed.c.publisher_id).where(_allowed.c.account_id == _ME)
    # Others see a template once it is whole; what is in the trash is as good as gone, and back when it is restored.
    return [
        _table.c.owner_id != _ME,
        template_lists.is_in(template.KEPT),
        _table.c.owner_id.not_in(suspended),
        sa.or_(sa.not_(limited), _table.c.owner_id.in_(allowed)),
    ]


def _is_shared() -> sa.ColumnElement[bool]:
    """As a list of ids: for an account it is short, and each is found by its key."""
    return _table.c.id.in_(sa.select(_shares.c.template_id).where(_shares.c.account_id == _ME, _is_in_force(_shares)))


def _is_in_force(shares: Any) -> sa.ColumnElement[bool]:
    return sa.or_(shares.c.expires_at.is_(None), shares.c.expires_at > _AT)


def _among_ids() -> sa.ColumnElement[bool]:
    return _table.c.id.in_(sa.bindparam("ids", expanding=True, type_=sa.Uuid))


def _named() -> Sequence[sa.ColumnElement[bool]]:
    owner, name = sa.bindparam("owner", type_=sa.Uuid), sa.bindparam("name", type_=sa.Text)
    return [_table.c.owner_id == owner, _table.c.name == name]


# --- how it is seen -----------------------------------------------------------------------------------------------------


def _as_seen(
    query: sa.Select[Any] | sa.CompoundSelect[Any],
    *,
    order: Callable[[Any], Sequence[sa.ColumnElement[Any]]] = lambda _columns: (),
) -> sa.Select[Any]:
    """The rows of `query`, in an order of its columns, with what is said of each beside them.

    That is its owner's name, whether anybody sees it by a share, whether the account has hidden it, and the share by which the
    account sees it, if it does. It is one statement, where each row asks by a key: asked for by the ids of a page it would be five,
    with a hundred values each.
    """
    rows = query.subquery("page")
    share, anybodys = _shares.alias("share"), _shares.alias("anybodys")
    named = sa.select(_accounts.c.name).where(_accounts.c.id == rows.c.owner_id).scalar_subquery()
    is_shared = sa.exists().where(anybodys.c.template_id == rows.c.id, _is_in_force(anybodys))
    is_hidden = sa.exists().where(_hidden.c.account_id == _ME, _hidden.c.template_id == rows.c.id)
    return (
        sa.select(
            rows,
            named.label("owner_name"),
            is_shared.label("is_shared"),
            is_hidden.label("is_hidden"),
            *(share.c[name].label(f"share_{name}") for name in _TERMS),
        )
        .outerjoin(share, sa.and_(share.c.template_id == rows.c.id, share.c.account_id == _ME, _is_in_force(share)))
        .order_by(*order(rows.c))
    )
