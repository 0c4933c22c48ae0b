"""Forms as browsers send them. What they hold is checked by the API's own shapes; here it is only taken apart."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette import requests

from estampe import errors, units

CSRF_FIELD: Final = "csrf_token"
_MOST_BYTES: Final = 1024 * 1024
_MOST_FIELDS: Final = 500
_NUMBER: Final = re.compile(r"[0-9]{1,12}")  # longer is no number that any field takes
_OCTETS: Final = re.compile(r"\b(\d*\s*[KMGT]?i?)o\b", re.IGNORECASE)
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

    def lines(self, name: str) -> list[str]:
        """Of a field that takes several, one a line; empty lines say nothing."""
        return [line.strip() for line in self.text(name).split("\n") if line.strip()]

    def values(self, name: str) -> Sequence[str]:
        """Of a field that comes several times, as boxes of one name do."""
        return self.fields.get(name, ())

    def number(self, name: str) -> int | None:
        """A whole number, None for an empty field. Raises: errors.InvalidRequest."""
        text = self.text(name)
        if text and not _NUMBER.fullmatch(text):
            raise errors.InvalidRequest(field=name, problem="must be a whole number")
        return int(text) if text else None

    def size(self, name: str) -> int | None:
        """Bytes of `40 GiB`, also as French writes it (`1,5 Gio`); None for an empty field. Raises: errors.InvalidRequest."""
        text = self.text(name)
        english = _OCTETS.sub(r"\1B", text.replace(",", "."))
        try:
            return units.parse_size(english) if text else None
        except errors.InvalidSize as error:
            raise errors.InvalidRequest(field=name, problem=str(errors.InvalidSize(text=text))) from error

    def flag(self, name: str) -> bool:
        """Whether a box is ticked."""
        return name in self.fields


NOTHING: Final = Form({})


def filled(**fields: object) -> Form:
    """A form as if somebody had filled it in: None and False are left empty, lists come one by one."""
    told: dict[str, Sequence[str]] = {}
    for name, value in fields.items():
        if isinstance(value, list | tuple):
            told[name] = [str(each) for each in value]
        elif value is not None and value is not False:
            told[name] = ["yes" if value is True else str(value)]
    return Form(told)


def exact_size(size_bytes: int) -> str:
    """As `Form.size` reads it back without a difference: `40 GiB`, `1536 MiB`."""
    for unit, factor in (("TiB", units.TIB), ("GiB", units.GIB), ("MiB", units.MIB), ("KiB", units.KIB)):
        if size_bytes >= factor and size_bytes % factor == 0:
            return f"{size_bytes // factor} {unit}"
    return str(size_bytes)


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
