"""Accounts as they are written on the command line: `ana:groups=docker+video,hash=$6$...,key=FILE,shell=/bin/zsh,sudo`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from estampe import errors
from estampe.cli import values

if TYPE_CHECKING:
    from estampe.schemas import deploy

OPTION: Final = "--user"
_FORM: Final = "write NAME, or NAME:KEY=VALUE,... with groups=A+B, hash=HASH, key=FILE|KEY, shell=PATH, sudo"


def users(texts: Sequence[str]) -> list[deploy.UserRequest]:
    """One for each text. Raises: errors.InvalidRequest, which never holds a hash."""
    return [_user(text) for text in texts]


def _user(text: str) -> deploy.UserRequest:
    from estampe.client import client
    from estampe.schemas import deploy

    name, _, rest = text.partition(":")
    fields: dict[str, Any] = {"name": name, "ssh_keys": []}
    for part in rest.split(",") if rest else []:
        key, equals, value = part.partition("=")
        if key == "sudo" and not equals:
            fields["is_administrator"] = True
        elif key == "groups" and value:
            fields["groups"] = value.split("+")
        elif key == "hash" and value:
            fields["password_hash"] = value
        elif key == "key" and value:
            fields["ssh_keys"] += values.ssh_keys([value], option=OPTION)
        elif key == "shell" and value:
            fields["shell"] = value
        else:
            raise errors.InvalidRequest(field=OPTION, problem=f"{key!r} of user {name!r} is not understood; {_FORM}")
    return client.make(deploy.UserRequest, **fields)
