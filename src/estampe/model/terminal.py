"""Where a person sits down at a server: its screen, and its serial console; and how both go over a WebSocket."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

# A client offers both; the daemon takes the first, and never says the second, which holds the ticket: an address would be logged.
SUBPROTOCOL: Final = "estampe.terminal"
_TICKET_PREFIX: Final = "estampe.ticket."


class Kind(enum.StrEnum):
    """What a server's terminal is."""

    SCREEN = "screen"  # RFB, the protocol of VNC (RFC 6143)
    SERIAL = "serial"  # bytes, as a serial line has them

    @property
    def words(self) -> str:
        """For messages."""
        return "screen" if self is Kind.SCREEN else "serial console"


class Ending(enum.IntEnum):
    """Why the daemon ended one: codes of WebSocket's close that are an application's own (RFC 6455, section 7.4.2)."""

    SERVER_OFF = 4000
    CLOSED = 4001  # by QEMU, while the server is on: somebody else took the serial console over, or the screen is gone
    IDLE = 4002
    ACCESS_ENDED = 4003
    DAEMON_STOPPING = 1012  # as servers say it (IANA, WebSocket Close Code Number Registry)

    @property
    def reason(self) -> str:
        """For people."""
        return _REASONS[self]


_REASONS: Final = {
    Ending.SERVER_OFF: "the server is off",
    Ending.CLOSED: "it was closed on the host: somebody else may have taken it over",
    Ending.IDLE: "nothing went over it for a long time",
    Ending.ACCESS_ENDED: "you may not use it any more",
    Ending.DAEMON_STOPPING: "the daemon is stopping",
}


def offered(ticket: str) -> list[str]:
    """The subprotocols that a client offers with a ticket."""
    return [SUBPROTOCOL, _TICKET_PREFIX + ticket]


def ticket_in(subprotocols: Sequence[str]) -> str | None:
    """The ticket in what a client offered; None where that is not as `offered` has it."""
    found = [each.removeprefix(_TICKET_PREFIX) for each in subprotocols if each.startswith(_TICKET_PREFIX)]
    return found[0] if len(found) == 1 and SUBPROTOCOL in subprotocols else None
