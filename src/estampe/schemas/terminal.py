"""Tickets for a server's screen and serial console."""

from __future__ import annotations

from typing import Annotated

import pydantic

from estampe.model import terminal
from estampe.schemas import wire


class SerialRequest(wire.Request):
    """How to open the serial console."""

    is_taken_over: Annotated[bool, pydantic.Field(description="end the session of whoever has it open")] = False


class Ticket(wire.Answer):
    """What opens one screen or serial console, once, soon, for who asked for it: as a subprotocol of the WebSocket, never in an address."""

    ticket: str
    kind: terminal.Kind
    expires_in_seconds: int
