"""Conditional requests (RFC 9110, section 13): what a caller has seen, against what is there."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import fastapi

from estampe import errors

_TAG: Final = r'(?:W/)?"[!\x23-\x7e]*"'
_LIST: Final = re.compile(rf"\s*{_TAG}(?:\s*,\s*{_TAG})*\s*")
_WEAK: Final = "W/"
NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "it is as the caller has it"}}


def _parse(header: str, field: str) -> frozenset[str] | None:
    """The ETags; None for `*`, which is any. Raises: errors.InvalidRequest."""
    if header.strip() == "*":
        return None
    if not _LIST.fullmatch(header):
        raise errors.InvalidRequest(field=field, problem='must be `*` or ETags in quotes, as "3f2a.1", "3f2a.2"')
    return frozenset(re.findall(_TAG, header))


async def get_if_match(
    header: Annotated[
        str | None,
        fastapi.Header(alias="If-Match", max_length=1024, description="Only if the ETag is still one of these."),
    ] = None,
) -> frozenset[str] | None:
    """The ETags that a change is meant for, None where any will do. A weak one never matches."""
    return None if header is None else _parse(header, "If-Match")


class Seen:
    """What the caller has already."""

    def __init__(self, header: str | None) -> None:
        self._tags = None if header is None else _parse(header, "If-None-Match")
        self._is_given = header is not None

    def has(self, etag: str) -> bool:
        """Whether this is it; weak ETags count, and `*` is everything."""
        return self._is_given and (self._tags is None or etag in {tag.removeprefix(_WEAK) for tag in self._tags})


async def get_seen(
    header: Annotated[
        str | None,
        fastapi.Header(
            alias="If-None-Match", max_length=1024, description="Answer 304 where the ETag is one of these."
        ),
    ] = None,
) -> Seen:
    """What the caller has already."""
    return Seen(header)


IfMatch = Annotated[frozenset[str] | None, fastapi.Depends(get_if_match)]
IfNoneMatch = Annotated[Seen, fastapi.Depends(get_seen)]
