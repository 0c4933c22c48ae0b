"""Templates as the catalogue knows them: names, versions, states and the legal moves between states."""

from __future__ import annotations

import datetime
import enum
import re
import uuid
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.model import characteristics as traits  # a field has the module's name

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
_NAME_RULE: Final = "1 to 63 of a-z, 0-9, '.', '_' and '-', beginning and ending with a letter or digit"


class State(enum.StrEnum):
    """Where a template is in its life."""

    CAPTURING = "capturing"  # its name and version are reserved; nothing can be deployed from it
    ACTIVE = "active"  # complete in the store
    DELETING = "deleting"  # its row is the last thing to go


MOVES: Final = {
    State.CAPTURING: {State.ACTIVE, State.DELETING},
    State.ACTIVE: {State.DELETING},
    State.DELETING: {State.ACTIVE},  # only while it is found to be in use: nothing of it has gone yet
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A row of the catalogue. Sizes are None while capturing."""

    id: uuid.UUID
    owner_id: uuid.UUID
    name: str
    version: int
    state: State
    note: str
    tags: tuple[str, ...]
    server_id: uuid.UUID | None  # the server it was captured from
    server_name: str
    created_at: datetime.datetime
    logical_bytes: int | None  # sum of the volumes' sizes
    data_bytes: int | None  # bytes of chunks the volumes name (repeats included), before compression
    new_bytes: int | None  # stored bytes that this capture added
    is_sealed: bool | None
    guest_product: str | None
    characteristics: traits.Characteristics | None = None  # None: nothing is said


@dataclass(frozen=True, slots=True)
class Reference:
    """How people name a template: an id, `web` (the newest version) or `web@3`."""

    id: uuid.UUID | None
    name: str | None
    version: int | None


def check_name(name: str) -> str:
    """`name` itself. Raises: errors.InvalidName."""
    if not _NAME.fullmatch(name):
        raise errors.InvalidName(name=name, what="template", rule=_NAME_RULE)
    return name


def parse_reference(text: str) -> Reference:
    """The reference in `text`. Raises: errors.TemplateNotFound where it can name nothing."""
    try:
        return Reference(uuid.UUID(text), None, None)
    except ValueError:
        pass
    name, at, version = text.partition("@")
    if not _NAME.fullmatch(name) or (at and not (version.isascii() and version.isdigit() and len(version) < 10)):
        raise errors.TemplateNotFound(template=text)
    return Reference(None, name, int(version) if at else None)
