"""What a client asks, apart from how it is sent: one description for the blocking and the asynchronous client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from estampe.model import terminal as terminals
from estampe.schemas import terminal, wire

_Answer = TypeVar("_Answer")
_Page = TypeVar("_Page")
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[_Answer]):
    """One request. `read` makes the answer of its body; `is_create` gives it an idempotency key, so it may be repeated."""

    read: Callable[[bytes], _Answer]
    method: str
    path: str  # below /v1
    query: Mapping[str, Any] = field(default_factory=dict)
    body: wire.Request | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float | None = None
    is_create: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[_Page, _Item]):
    """A list, page by page: `page` is the call for the one behind a cursor."""

    page: Callable[[str | None], Call[_Page]]
    items: Callable[[_Page], Sequence[_Item]]
    next: Callable[[_Page], str | None]
    limit: int | None = None  # of all pages together


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A stream of an operation's states to its end, from behind the event `last_event_id` on."""

    path: str
    last_event_id: int | None = None


def nothing(_content: bytes) -> None:
    """Of an answer that says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A server's screen or serial console: a ticket first, then a WebSocket at the same path."""

    ticket: Call[terminal.Ticket]
    server: str
    kind: terminals.Kind
