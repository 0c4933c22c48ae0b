"""Pages by keyset: the rows behind a position in a total order, found by an index however far the page is."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from estampe.db import texts
from estampe.model import listing

_Item = TypeVar("_Item")
# What the columns hold, and PostgreSQL compares them with.
_LARGEST_INTEGER: Final = 2**31 - 1
_LARGEST_BIG_INTEGER: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of an order: the column, and the item's value of it."""

    column: sa.ColumnElement[Any]
    of: Callable[[Any], Any]
    kind: type  # str, int, datetime or UUID
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """A total order: the last key, or all together, must be unique."""

    name: str
    keys: tuple[Key, ...]

    def apply(self, query: sa.Select[Any], *, after: str | None, limit: int) -> sa.Select[Any]:
        """One row more than `limit`, which tells whether there is a next page. Raises: errors.InvalidRequest."""
        if after is not None:
            query = query.where(self._behind(self._position(after)))
        return query.order_by(*self.by()).limit(written(limit + 1))

    def apply_bound(self, query: sa.Select[Any], *, is_behind: bool, limit: int) -> sa.Select[Any]:
        """As `apply`, of statements that are kept: the position behind which a page begins comes with `bound`."""
        if is_behind:
            bound = [sa.bindparam(f"after_{n}", type_=key.column.type) for n, key in enumerate(self.keys)]
            query = query.where(self._behind(bound))
        return query.order_by(*self.by()).limit(written(limit + 1))

    def bound(self, after: str | None) -> dict[str, Any]:
        """The parameters of `apply_bound`. Raises: errors.InvalidRequest."""
        return {} if after is None else {f"after_{n}": value for n, value in enumerate(self._position(after))}

    def by(self) -> list[sa.ColumnElement[Any]]:
        """What to sort by."""
        return [key.column.desc() if key.is_descending else key.column.asc() for key in self.keys]

    def page(self, found: Sequence[_Item], limit: int) -> listing.Page[_Item]:
        """The page of what the applied query found."""
        items = found[:limit]
        if len(found) <= limit:
            return listing.Page(items)
        return listing.Page(items, listing.cursor(self.name, *(key.of(items[-1]) for key in self.keys)))

    def _position(self, cursor: str) -> list[Any]:
        """Raises: errors.InvalidRequest."""
        values = listing.position(cursor, self.name, len(self.keys))
        return [_typed(value, key) for value, key in zip(values, self.keys, strict=True)]

    def _behind(self, bound: Sequence[Any]) -> sa.ColumnElement[bool]:
        """(a, b) > (x, y) written out, since the keys may differ in direction: a > x, or a = x and b > y."""
        cases = []
        for index, key in enumerate(self.keys):
            same = [each.column == value for each, value in zip(self.keys[:index], bound[:index], strict=True)]
            beyond = key.column < bound[index] if key.is_descending else key.column > bound[index]
            cases.append(sa.and_(*same, beyond))
        # The first key alone, once more: that is where an index can begin, which neither database finds in the cases.
        first = self.keys[0]
        begin = first.column <= bound[0] if first.is_descending else first.column >= bound[0]
        return sa.and_(begin, sa.or_(*cases))


def written(number: int) -> sa.ColumnElement[int]:
    """A number that stands in the statement, not among its values: a plan that is made for all values knows it."""
    return sa.literal_column(str(int(number)), sa.Integer)


def _typed(value: Any, key: Key) -> Any:
    """The value as its column wants it. Raises: errors.InvalidRequest: the cursor is somebody's own."""
    try:
        if key.kind is datetime.datetime:
            value = datetime.datetime.fromisoformat(value).astimezone(datetime.UTC)
        elif key.kind is uuid.UUID:
            value = uuid.UUID(value)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise listing.bad_cursor() from error
    largest = _LARGEST_BIG_INTEGER if isinstance(key.column.type, sa.BigInteger) else _LARGEST_INTEGER
    is_large = isinstance(value, int) and not -largest <= value <= largest
    if type(value) is not key.kind or is_large or (isinstance(value, str) and not texts.is_kept(value)):
        raise listing.bad_cursor()
    return value


def like(glob: str) -> str:
    """The LIKE pattern of a glob, with a backslash as its escape."""
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")
