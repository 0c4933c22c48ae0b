"""What all wire shapes share: two base models and the bounded types of fields.

Requests forbid what they do not know and bound every field, so that a hostile or mistyped body ends here. Answers are
built from the services' dataclasses by attribute, and a client skips fields that a newer daemon added.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
import unicodedata
from typing import Annotated, Final

import pydantic

from estampe import errors, units
from estampe.model import listing

REFERENCE_CHARACTERS: Final = 256  # names are at most 63 characters, ids 36; libvirt's own domain names may be longer
MAX_BYTES: Final = 2**50  # 1 PiB: beyond any volume or memory; keeps sums far inside 64 bits
_RFC_3339: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}")
MAX_WAIT_SECONDS: Final = 60.0  # of one long poll; below the usual idle timeouts of proxies


class Request(pydantic.BaseModel):
    """Base of what clients send. Strict: `"2"` is not a number and `1` is not true."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(pydantic.BaseModel):
    """Base of a list's query parameters; not strict, since all of a URL is text."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Answer(pydantic.BaseModel):
    """Base of what the daemon sends."""

    model_config = pydantic.ConfigDict(from_attributes=True, frozen=True)


def check_line(text: str) -> str:
    """`text` itself where it is one line. Raises: ValueError."""
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("must be one line without control characters")
    return text


def _text(text: str) -> str:
    if any(unicodedata.category(character) == "Cc" and character not in "\n\t\r" for character in text):
        raise ValueError("must not hold control characters but line ends and tabs")
    return text


def _guest_path(text: str) -> str:
    if any(part in {"", ".", ".."} for part in text.rstrip("/").split("/")[1:]):
        raise ValueError("must be a path without `.`, `..` and double slashes")
    return text.rstrip("/")


def _interface_address(text: str) -> str:
    address, slash, _prefix = text.partition("/")
    if not slash or "%" in address:
        raise ValueError("must be an address with its prefix length, as 192.0.2.10/24 or 2001:db8::10/64")
    try:
        return str(ipaddress.ip_interface(text))
    except ValueError as error:
        raise ValueError("must be an address with its prefix length, as 192.0.2.10/24 or 2001:db8::10/64") from error


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError("must be a network, as 198.51.100.0/24 or 2001:db8:1::/48") from error


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise ValueError("must be an address without prefix length, as 192.0.2.1 or 2001:db8::1") from error


def _time(text: object) -> object:
    """Pydantic also takes numbers for times, as seconds or milliseconds, whichever seems likelier."""
    if isinstance(text, str) and not _RFC_3339.match(text):
        raise ValueError("must be a time with its zone, as 2026-11-23T12:00:00Z")
    return text


def _in_utc(time: datetime.datetime) -> datetime.datetime:
    try:
        return time.astimezone(datetime.UTC)
    except OverflowError as error:
        raise ValueError("must be between the years 1 and 9999 in UTC") from error


_is_line = pydantic.AfterValidator(check_line)
Line = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=256), _is_line]
Reference = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=REFERENCE_CHARACTERS), _is_line]
Note = Annotated[str, pydantic.StringConstraints(max_length=4096), pydantic.AfterValidator(_text)]
_TAG: Final = r"^[A-Za-z0-9][A-Za-z0-9._:/=+-]{0,63}$"
_TARGET: Final = r"^[A-Za-z0-9]{1,32}$"
_MAC: Final = r"^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$"
_GUEST_PATH: Final = r"^/[^{},]+$"
_SENTENCES: Final = {
    _GUEST_PATH: "must be an absolute path of the guest, or a pattern with `*` and `?`, without braces and commas",
    _TAG: "must be 1 to 64 of A-Z, a-z, 0-9 and . _ : / = + - and begin with a letter or digit",
    _TARGET: "must be a volume as its server names it, as vda: 1 to 32 letters and digits",
    _MAC: "must be a MAC address, as 52:54:00:12:34:56",
}
Tag = Annotated[str, pydantic.StringConstraints(pattern=_TAG)]
Target = Annotated[str, pydantic.StringConstraints(pattern=_TARGET)]
Mac = Annotated[str, pydantic.StringConstraints(pattern=_MAC)]
Bytes = Annotated[int, pydantic.Field(ge=1, le=MAX_BYTES)]
InterfaceAddress = Annotated[
    str, pydantic.StringConstraints(max_length=64), pydantic.AfterValidator(_interface_address)
]
Network = Annotated[str, pydantic.StringConstraints(max_length=64), pydantic.AfterValidator(_network)]
Address = Annotated[str, pydantic.StringConstraints(max_length=64), pydantic.AfterValidator(_address)]
Time = Annotated[pydantic.AwareDatetime, pydantic.BeforeValidator(_time), pydantic.AfterValidator(_in_utc)]
Glob = Annotated[
    str,
    pydantic.StringConstraints(min_length=1, max_length=64),
    pydantic.Field(description="a pattern: `*` is any run of characters, `?` any one; as web*"),
    _is_line,
]
Limit = Annotated[int, pydantic.Field(ge=1, le=1000, description="at most so many in one page")]
GuestPath = Annotated[
    str,
    pydantic.StringConstraints(pattern=_GUEST_PATH, max_length=1024),
    pydantic.AfterValidator(_guest_path),
    _is_line,
]
Cursor = Annotated[
    str,
    pydantic.StringConstraints(max_length=listing.MAX_CURSOR_CHARACTERS),
    pydantic.Field(description="`next` of the page before, as it is"),
]


def invalid_request(problems: list[dict[str, object]], *, skip: int = 0) -> errors.InvalidRequest:
    """The error for pydantic's `problems` (at least one); the first `skip` parts of a location are not the caller's.

    Only what is wrong is told, never the value: it may be a secret, or megabytes.
    """
    first = problems[0]
    location = first["loc"]
    parts = [str(part) for part in location][skip:] if isinstance(location, tuple) else []
    # Names of unknown fields are the caller's own text, lone surrogates included: made printable and short.
    field = ascii(".".join(parts))[1:-1][:200] or "body"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return errors.InvalidRequest(field=field, problem=f"{_reworded(first)}{more}")


def _reworded(problem: dict[str, object]) -> str:
    if problem["type"] == "extra_forbidden":
        return "there is no such field"
    limits = problem.get("ctx")
    if isinstance(limits, dict):
        if limits.get("pattern") in _SENTENCES:
            return _SENTENCES[limits["pattern"]]
        if limits.get("le") == MAX_BYTES:
            return f"must be at most {units.format_bytes(MAX_BYTES)}"
    text = str(problem["msg"]).removeprefix("Value error, ")
    for described in ("Input should ", "String should ", "List should ", "Dictionary should "):
        text = text.replace(described, "must ", 1) if text.startswith(described) else text
    return text[:1].lower() + text[1:]
