"""What all wire shapes share: two base models and the bounded types of fields.

Requests forbid what they do not know and bound every field, so that a hostile or mistyped body ends here. Answers are
built from the services' dataclasses by attribute, and a client skips fields that a newer daemon added.
"""

from __future__ import annotations

import datetime
import ipaddress
import unicodedata
from typing import Annotated, Final

import pydantic

from estampe import errors
from estampe.model import account

REFERENCE_CHARACTERS: Final = 256  # names are at most 63 characters, ids 36; libvirt's own domain names may be longer
MAX_BYTES: Final = 2**50  # 1 PiB: beyond any volume or memory; keeps sums far inside 64 bits
MAX_WAIT_SECONDS: Final = 60.0  # of one long poll; below the usual idle timeouts of proxies


class Request(pydantic.BaseModel):
    """Base of what clients send. Strict: `"2"` is not a number and `1` is not true."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True)

    def as_sent(self) -> str:
        """The body that a client sends."""
        return self.model_dump_json()


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


def _interface_address(text: str) -> str:
    address, slash, _prefix = text.partition("/")
    if not slash or "%" in address:
        raise ValueError("must be an address with its prefix length, as 192.0.2.10/24 or 2001:db8::10/64")
    try:
        return str(ipaddress.ip_interface(text))
    except ValueError as error:
        raise ValueError("must be an address with its prefix length, as 192.0.2.10/24 or 2001:db8::10/64") from error


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise ValueError("must be an address without prefix length, as 192.0.2.1 or 2001:db8::1") from error


def check_encodable(text: str) -> str:
    """`text` itself where it has a UTF-8 form: JSON can hold lone surrogates. Raises: ValueError."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("must be valid Unicode text") from error
    return text


def _in_utc(time: datetime.datetime) -> datetime.datetime:
    """In UTC. Raises: ValueError."""
    if time.tzinfo is None:
        raise ValueError("must have a time zone, as 2027-01-31T00:00:00Z")
    try:
        return time.astimezone(datetime.UTC)
    except OverflowError as error:
        raise ValueError("must be of this age") from error


_is_line = pydantic.AfterValidator(check_line)
Line = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=256), _is_line]
Reference = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=REFERENCE_CHARACTERS), _is_line]
Note = Annotated[str, pydantic.StringConstraints(max_length=4096), pydantic.AfterValidator(_text)]
Tag = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/=+-]{0,63}$")]
Role = Annotated[account.Role, pydantic.Field(strict=False)]  # strict takes no text for an enum member
Time = Annotated[datetime.datetime, pydantic.Field(strict=False), pydantic.AfterValidator(_in_utc)]
Target = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9]{1,32}$")]
Bytes = Annotated[int, pydantic.Field(ge=1, le=MAX_BYTES)]
InterfaceAddress = Annotated[
    str, pydantic.StringConstraints(max_length=64), pydantic.AfterValidator(_interface_address)
]
Address = Annotated[str, pydantic.StringConstraints(max_length=64), pydantic.AfterValidator(_address)]


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
    text = str(problem["msg"]).removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
