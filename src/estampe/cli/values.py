"""What people write on the command line, as values: durations, percentages, `target=size`, keys, files."""

from __future__ import annotations

import datetime
import getpass
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from estampe import errors, units

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
_SECONDS: Final = {
    "": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400,
}  # fmt: skip
_KEY: Final = re.compile(r"(ssh-|ecdsa-|sk-)\S+ ")
_MAX_FILE_BYTES: Final = 1024 * 1024


def duration(text: str, *, option: str) -> float:
    """Seconds of `90`, `90s`, `3min`, `24h`, `7d`. Raises: errors.InvalidRequest."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or match[2] not in _SECONDS:
        raise errors.InvalidRequest(field=option, problem=f"{text!r} is not a duration: write 90s, 3min, 24h or 7d")
    return float(match[1]) * _SECONDS[match[2]]


def share(text: str, *, option: str) -> float:
    """0.05 of `5%`. Raises: errors.InvalidRequest."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%?", text.strip())
    if match is None or not 0 < float(match[1]) <= 100:
        raise errors.InvalidRequest(field=option, problem=f"{text!r} is not a percentage above 0 and up to 100, as 5%")
    return float(match[1]) / 100


def volume_sizes(texts: Sequence[str], *, option: str) -> dict[str, int]:
    """Bytes by target of `vda=40GiB`. Raises: errors.InvalidRequest, errors.InvalidSize."""
    sizes: dict[str, int] = {}
    for text in texts:
        target, equals, size = text.partition("=")
        if not equals or not target:
            raise errors.InvalidRequest(field=option, problem=f"{text!r} is not a volume and its size, as vda=40GiB")
        if target in sizes:
            raise errors.InvalidRequest(field=option, problem=f"{target!r} is given twice")
        sizes[target] = units.parse_size(size)
    return sizes


def by_interface(texts: Sequence[str], *, option: str) -> dict[int, list[str]]:
    """Values by number of the interface, from 1: `2=192.0.2.1` is for the second, `192.0.2.1` for the first.

    Raises: errors.InvalidRequest.
    """
    values: dict[int, list[str]] = {}
    for text in texts:
        number, equals, value = text.rpartition("=")
        if equals and not (number.isascii() and number.isdigit() and 1 <= int(number[:4]) <= 16 and len(number) < 3):
            raise errors.InvalidRequest(
                field=option, problem=f"{text!r}: interfaces have numbers from 1 to 16, as 2=..."
            )
        values.setdefault(int(number) if equals else 1, []).append(value)
    return values


def ssh_keys(texts: Sequence[str], *, option: str) -> list[str]:
    """Public keys: the text of one, or all lines of a file of them. Raises: errors.InvalidRequest."""
    keys: list[str] = []
    for text in texts:
        if _KEY.match(text):
            keys.append(text.strip())
            continue
        content = read_file(text, option=option)
        if "PRIVATE KEY" in content:
            raise errors.InvalidRequest(
                field=option, problem=f"{text!r} is a private key; give the .pub file beside it"
            )
        lines = [line.strip() for line in content.splitlines()]
        keys.extend(line for line in lines if line and not line.startswith("#"))
    return keys


def read_file(path: str, *, option: str) -> str:
    """The text of a file, or of standard input for `-`. Raises: errors.InvalidRequest."""
    try:
        with sys.stdin.buffer if path == "-" else Path(path).expanduser().open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
        if len(data) > _MAX_FILE_BYTES:
            raise errors.InvalidRequest(field=option, problem=f"{path!r} is longer than {_MAX_FILE_BYTES} bytes")
        return data.decode()
    except OSError as error:
        raise errors.InvalidRequest(field=option, problem=f"{path!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise errors.InvalidRequest(field=option, problem=f"{path!r} is not UTF-8 text") from error


def now() -> datetime.datetime:
    """The time by this machine's clock."""
    return datetime.datetime.now(datetime.UTC)


def after(text: str, *, option: str) -> datetime.datetime:
    """The time that is `90d` away. Raises: errors.InvalidRequest."""
    try:
        return now() + datetime.timedelta(seconds=duration(text, option=option))
    except OverflowError as error:
        raise errors.InvalidRequest(field=option, problem=f"{text!r} is too long") from error


def moment(text: str, *, option: str) -> datetime.datetime:
    """The time of `2027-01-31T08:00:00+01:00` (without a zone: this machine's), or `24h` ago. Raises: errors.InvalidRequest."""
    try:
        return datetime.datetime.fromisoformat(text).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        pass
    try:
        return now() - datetime.timedelta(seconds=duration(text, option=option))
    except OverflowError as error:
        raise errors.InvalidRequest(field=option, problem=f"{text!r} is too long") from error


def limit(text: str, *, option: str, is_size: bool) -> int | None:
    """A limit: a count, a size, or `none`. Raises: errors.InvalidRequest, errors.InvalidSize."""
    if text.strip().lower() == "none":
        return None
    if is_size:
        return units.parse_size(text)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise errors.InvalidRequest(field=option, problem=f"{text!r} is not a number, nor none")
    return int(text)


def password(prompt: str, *, is_read: bool) -> str:
    """From a terminal, without showing it, or a line of standard input. Raises: errors.InvalidRequest."""
    if is_read:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise errors.InvalidRequest(field="password", problem="nobody can be asked for it: use --password-stdin")
    return getpass.getpass(f"{prompt}: ")


def new_password(*, is_read: bool) -> str:
    """Asked for twice where somebody can mistype it. Raises: errors.InvalidRequest."""
    first = password("New password", is_read=is_read)
    if not is_read and password("Again", is_read=False) != first:
        raise errors.InvalidRequest(field="password", problem="the two are not the same")
    return first


def changed_password(*, is_read: bool, is_current_needed: bool) -> tuple[str, str | None]:
    """The new one, and where it is needed the one until now. Raises: errors.InvalidRequest."""
    if is_read:
        return password("New password", is_read=True), password("", is_read=True) if is_current_needed else None
    current = password("Password until now", is_read=False) if is_current_needed else None
    return new_password(is_read=False), current
