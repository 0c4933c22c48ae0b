"""Templates as the catalogue knows them: names, versions, states and the legal moves between states."""

from __future__ import annotations

import datetime
import enum
import re
import uuid
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.model import account, visibility
from estampe.model import characteristics as traits  # a field has the module's name

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
LATEST: Final = "latest"
_NAME_RULE: Final = "1 to 63 of a-z, 0-9, '.', '_' and '-', beginning and ending with a letter or digit"


class State(enum.StrEnum):
    """Where a template is in its life."""

    CAPTURING = "capturing"  # its name and version are reserved; nothing can be deployed from it
    ACTIVE = "active"  # complete in the store
    DEPRECATED = "deprecated"  # deploys, with a warning that names its successor
    DISABLED = "disabled"  # complete, but nothing can be deployed from it
    TRASHED = "trashed"  # deleted, and can be restored until it is purged
    DELETING = "deleting"  # its row is the last thing to go


DEPLOYABLE: Final = frozenset({State.ACTIVE, State.DEPRECATED})
KEPT: Final = DEPLOYABLE | {State.DISABLED}  # complete, and not in the trash
COMPLETE: Final = KEPT | {State.TRASHED}  # the store has its manifest, and so all its chunks

MOVES: Final = {
    State.CAPTURING: {State.ACTIVE, State.DELETING},
    State.ACTIVE: {State.DEPRECATED, State.DISABLED, State.TRASHED, State.DELETING},
    State.DEPRECATED: {State.ACTIVE, State.DISABLED, State.TRASHED, State.DELETING},
    State.DISABLED: {State.ACTIVE, State.DEPRECATED, State.TRASHED, State.DELETING},
    State.TRASHED: {State.ACTIVE, State.DEPRECATED, State.DISABLED, State.DELETING},
    State.DELETING: frozenset[State](),  # something of it may have gone already
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trash:
    """How a template came into the trash, and how long it stays there."""

    at: datetime.datetime
    by: str  # who deleted it, in words
    until: datetime.datetime  # from then on it is purged
    state_before: State  # which it has again when it is restored


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
    is_protected: bool = False  # cannot be deleted, purged, nor taken by a retention rule
    successor_id: uuid.UUID | None = None  # what to use instead of a deprecated one; it may be gone
    parent_id: uuid.UUID | None = None  # the template that the captured server was deployed from; it may be gone
    parent_name: str | None = None  # the parent's last reference, once it is gone
    trash: Trash | None = None  # set exactly while TRASHED
    revision: int = 1  # raised by every change of the row
    characteristics: traits.Characteristics | None = None  # None: nothing is said
    publication: visibility.Publication | None = None  # None: it is not public

    @property
    def reference(self) -> str:
        """As people name it: web@3."""
        return f"{self.name}@{self.version}"

    @property
    def etag(self) -> str:
        """Names this template as it is now: another template, or a change of this one, has another."""
        return f'"{self.id}.{self.revision}"'


@dataclass(frozen=True, slots=True)
class Reference:
    """How people name a template: an id, `web` or `web@latest` (the newest deployable version), `web@3`, or `acme/web@3`.

    Without a publisher a name is one's own account's, always: whoever publishes the same name cannot be taken for it.
    """

    id: uuid.UUID | None
    name: str | None
    version: int | None
    publisher: str | None = None


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
    publisher, slash, rest = text.rpartition("/")
    name, at, version = rest.partition("@")
    is_newest = not at or version == LATEST
    is_version = is_newest or (version.isascii() and version.isdigit() and len(version) < 10)
    if (slash and not account.is_name(publisher)) or not _NAME.fullmatch(name) or not is_version:
        raise errors.TemplateNotFound(template=text)
    return Reference(None, name, None if is_newest else int(version), publisher or None)
