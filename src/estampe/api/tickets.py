"""Tickets that open one screen or serial console, once.

    POST /v1/servers/web-01/screen   the gate, a role, the server looked up   ->  a ticket
    GET  /v1/servers/web-01/screen   the gate again, and the ticket           ->  a WebSocket

A browser shows its cookie with a WebSocket that a page of any site opens, and can be made to show nothing else but subprotocols. So
these hold the ticket, which only a page of ours was given. It is worth nothing without the credentials that it was given to.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.model import access, terminal

SECONDS: Final = 30
_BYTES: Final = 32
_MOST_WAITING: Final = 64  # of one account; the oldest goes


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What a ticket is for: whose, which, and how."""

    actor: access.Actor
    server_id: uuid.UUID
    kind: terminal.Kind
    is_taken_over: bool = False


@dataclass(frozen=True, slots=True)
class _Waiting:
    errand: Errand
    expires_at: float


class Tickets:
    """Those of one daemon that are not used yet, by their digests; in memory, as they live for seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[bytes, _Waiting] = {}

    def issue(self, errand: Errand) -> str:
        """A new ticket."""
        ticket = secrets.token_urlsafe(_BYTES)
        with self._lock:
            self._forget_old(errand.actor.account_id)
            self._waiting[_digest(ticket)] = _Waiting(errand, self._clock() + SECONDS)
        return ticket

    def redeem(self, ticket: str | None, *, actor: access.Actor, server_id: uuid.UUID, kind: terminal.Kind) -> Errand:
        """What it is for. It is used up, also by who may not use it. Raises: errors.TicketRefused."""
        with self._lock:
            found = None if ticket is None else self._waiting.pop(_digest(ticket), None)
        if found is None or self._clock() >= found.expires_at:
            raise errors.TicketRefused(seconds=SECONDS)
        errand = found.errand
        if (errand.server_id, errand.kind) != (server_id, kind) or _who(errand.actor) != _who(actor):
            raise errors.TicketRefused(seconds=SECONDS)
        return errand

    def _forget_old(self, account_id: uuid.UUID) -> None:
        now = self._clock()
        self._waiting = {digest: each for digest, each in self._waiting.items() if now < each.expires_at}
        own = [digest for digest, each in self._waiting.items() if each.errand.actor.account_id == account_id]
        for digest in own[: max(0, len(own) - _MOST_WAITING + 1)]:  # a dict keeps the order in which they came
            del self._waiting[digest]


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()


def _who(actor: access.Actor) -> tuple[object, ...]:
    """What makes two requests those of one: person, key and session, for one account."""
    return (actor.name, actor.account_id, actor.user_id, actor.key_id, actor.session_id, actor.is_cloud_operator)
