"""What lists of templates ask for, as SQL: orders and filters."""

from __future__ import annotations

import dataclasses
import datetime
import string
import uuid
from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from estampe.db import paging, schema
from estampe.model import listing, template

_table = schema.templates
_tags = schema.template_tags
_id = paging.Key(column=_table.c.id, of=lambda each: each.id, kind=uuid.UUID)
_version = paging.Key(column=_table.c.version, of=lambda each: each.version, kind=int, is_descending=True)
_created = paging.Key(column=_table.c.created_at, of=lambda each: each.created_at, kind=datetime.datetime)
_name = paging.Key(column=_table.c.name, of=lambda each: each.name, kind=str)
# Without a size, while it is captured, a template counts as empty. No index serves this: an account's templates are few.
_size = paging.Key(
    column=sa.func.coalesce(_table.c.logical_bytes, 0), of=lambda each: each.logical_bytes or 0, kind=int
)
ORDERS: Final = {
    listing.TemplateSort.NAME: (_name, _version),
    listing.TemplateSort.NAME_DESCENDING: (dataclasses.replace(_name, is_descending=True), _version),
    listing.TemplateSort.CREATED: (_created, _id),
    listing.TemplateSort.CREATED_DESCENDING: (dataclasses.replace(_created, is_descending=True), _id),
    listing.TemplateSort.SIZE: (_size, _id),
    listing.TemplateSort.SIZE_DESCENDING: (dataclasses.replace(_size, is_descending=True), _id),
}

_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def conditions(query: listing.TemplateQuery) -> Iterable[sa.ColumnElement[bool]]:
    """What a row must be. The trash is left out unless it is asked for."""
    if query.name_glob is not None:
        yield _table.c.name.like(paging.like(query.name_glob), escape="\\")
    if query.tag is not None:
        yield _table.c.id.in_(sa.select(_tags.c.template_id).where(_tags.c.tag == query.tag))
    if query.is_trashed:
        yield _table.c.state == template.State.TRASHED
    elif not query.states:
        yield _table.c.state != template.State.TRASHED
    if query.states:
        yield _table.c.state.in_(query.states)
    if query.is_sealed is not None:
        yield _table.c.is_sealed.is_(query.is_sealed)
    if query.guest_glob is not None:
        yield sa.func.lower(_table.c.guest_product).like(paging.like(_lower(query.guest_glob)), escape="\\")


def _lower(text: str) -> str:
    """As both databases' lower() does it: A to Z only."""
    return text.translate(_LOWER)
