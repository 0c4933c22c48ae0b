"""Forms as browsers send them. What they hold is checked by the API's own shapes; here it is only taken apart."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette import requests

from estampe import errors

CSRF_FIELD: Final = "csrf_token"
_MOST_BYTES: Final = 1024 * 1024
_MOST_FIELDS: Final = 500
_TYPE: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Form:
    """Fields with their values, in the order they came."""

    fields: Mapping[str, Sequence[str]]

    def text(self, name: str) -> str:
        """The first value without white space around it; empty where there is none."""
        return next(iter(self.fields.get(name, ())), "").strip()

    def secret(self, name: str) -> str:
        """The first value as it was typed."""
        return next(iter(self.fields.get(name, ())), "")

    def optional(self, name: str) -> str | None:
        """`text`, and None for an empty one."""
        return self.text(name) or None

    def words(self, name: str) -> list[str]:
        """Of a field that takes several, with commas or spaces between them."""
        return self.text(name).replace(",", " ").split()

    def flag(self, name: str) -> bool:
        """Whether a box is ticked."""
        return name in self.fields


NOTHING: Final = Form({})


async def read(request: requests.Request) -> Form:
    """The form in the request's body. Raises: errors.InvalidRequest."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _TYPE:
        raise errors.InvalidRequest(field="body", problem="is not a form")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise errors.InvalidRequest(field="body", problem=f"must not be longer than {_MOST_BYTES} bytes")
    try:
        pairs = urllib.parse.parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise errors.InvalidRequest(field="body", problem="is not a form") from error
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return Form(fields)
