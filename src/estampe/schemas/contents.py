"""What is in templates, and what is different between two of them."""

from __future__ import annotations

from typing import Annotated

import pydantic

from estampe.model import difference
from estampe.schemas import wire


class Package(wire.Answer):
    """One installed package."""

    name: str
    version: str
    architecture: str


class User(wire.Answer):
    """One account of the guest."""

    name: str
    uid: int
    shell: str


class Inventory(wire.Answer):
    """What is installed and set in a template's guest.

    `files` are the files and links under /etc, after sealing, each with the SHA-256 of its content or target. `cut` names the
    lists that are not whole.
    """

    packages: list[Package]
    users: list[User]
    services: list[str]
    files: dict[str, str]
    cut: list[str]


class DiffQuery(wire.Query):
    """What to compare a template with."""

    to: Annotated[
        wire.Reference, pydantic.Field(description="the second template: changes are told from the first to it")
    ]


class Difference(wire.Answer):
    """One thing that is different; `before` is null where it was added, `after` where it was removed."""

    kind: difference.Kind
    what: str
    before: str | None
    after: str | None


class NotCompared(wire.Answer):
    """A list that could not be compared."""

    what: str
    why: str


class Comparison(wire.Answer):
    """What is different from `before` to `after`, list by list."""

    before: str
    after: str
    configuration: list[Difference]
    volumes: list[Difference]
    packages: list[Difference]
    users: list[Difference]
    services: list[Difference]
    files: list[Difference]
    not_compared: list[NotCompared]
