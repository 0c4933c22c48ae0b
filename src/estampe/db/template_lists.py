"""What lists of templates ask for, as SQL: orders and filters."""

from __future__ import annotations

import dataclasses
import datetime
import string
import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from estampe.db import paging, schema
from estampe.model import listing, template

_table = schema.templates
_tags = schema.template_tags
_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def order(sort: listing.TemplateSort, columns: Any) -> paging.Order:
    """The order by `columns`, which are the table's or those of a query for its rows. An id ends it: names are an account's."""
    first, *others = _keys(sort.value.removeprefix("-"), columns)
    return paging.Order(sort, (dataclasses.replace(first, is_descending=sort.value.startswith("-")), *others))


def _keys(what: str, columns: Any) -> tuple[paging.Key, ...]:
    id_ = paging.Key(column=columns.id, of=lambda each: each.id, kind=uuid.UUID)
    if what == "created":
        created = paging.Key(column=columns.created_at, of=lambda each: each.created_at, kind=datetime.datetime)
        return created, id_
    if what == "size":
        return paging.Key(column=schema.size_of(columns), of=lambda each: each.logical_bytes or 0, kind=int), id_
    version = paging.Key(column=columns.version, of=lambda each: each.version, kind=int, is_descending=True)
    return paging.Key(column=columns.name, of=lambda each: each.name, kind=str), version, id_


def sorted_by(sort: listing.TemplateSort) -> Sequence[sa.Column[Any]]:
    """The columns that `order` looks at, and no other: an index may hold them all."""
    return {
        "name": (_table.c.name, _table.c.version, _table.c.id),
        "created": (_table.c.created_at, _table.c.id),
        "size": (_table.c.logical_bytes, _table.c.id),
    }[sort.value.removeprefix("-")]


def is_in(states: Collection[template.State]) -> sa.ColumnElement[bool]:
    """For rows that are found in their order by something else.

    Said as what they are not, which no index serves: that of states leads to most of the table, in no order, and SQLite (3.40)
    prefers it to the one that the list is read by. PostgreSQL (15) estimates it rightly, which it does not for an expression.
    """
    return _table.c.state.not_in(_written([state for state in template.State if state not in states]))


def shape(query: listing.TemplateQuery) -> listing.TemplateQuery:
    """What the statement for a query depends on; all that people choose freely is in `values`."""
    return dataclasses.replace(
        query, name_glob=query.name_glob and "*", tag=query.tag and "*", guest_glob=query.guest_glob and "*", after=None
    )


def values(query: listing.TemplateQuery) -> dict[str, str]:
    """The parameters of `conditions`."""
    found = {
        "wanted_name": query.name_glob and paging.like(query.name_glob),
        "wanted_tag": query.tag,
        "wanted_guest": query.guest_glob and paging.like(_lower(query.guest_glob)),
    }
    return {name: value for name, value in found.items() if value is not None}


def conditions(query: listing.TemplateQuery) -> Iterable[sa.ColumnElement[bool]]:
    """What a row must be. The trash is left out unless it is asked for."""
    if query.name_glob is not None:
        yield _table.c.name.like(sa.bindparam("wanted_name", type_=sa.Text), escape="\\")
    if query.tag is not None:
        # Asked of each of an account's rows, by the key of its tags: a list of all that have the tag is everybody's.
        wanted = sa.bindparam("wanted_tag", type_=sa.Text)
        yield sa.exists().where(_tags.c.template_id == _table.c.id, _tags.c.tag == wanted)
    if query.is_trashed:
        yield is_in({template.State.TRASHED})
    elif not query.states:
        yield _table.c.state.not_in(_written([template.State.TRASHED]))
    if query.states:
        yield is_in(query.states)
    if query.is_sealed is not None:
        yield _table.c.is_sealed.is_(query.is_sealed)
    if query.guest_glob is not None:
        product = sa.func.lower(_table.c.guest_product)
        yield product.like(sa.bindparam("wanted_guest", type_=sa.Text), escape="\\")


def _written(states: Sequence[template.State]) -> sa.BindParameter[Sequence[str]]:
    """States that stand in the statement, not among its values: a plan that is made for all values knows how many rows they are."""
    return sa.bindparam(None, [state.value for state in states], type_=sa.Text, expanding=True, literal_execute=True)


def _lower(text: str) -> str:
    """As both databases' lower() does it: A to Z only."""
    return text.translate(_LOWER)
