"""The screen and the serial console of a fake server: sockets whose far ends the test has."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from estampe import errors
from estampe.model import terminal

GREETINGS: Final = {terminal.Kind.SCREEN: b"RFB 003.008\n", terminal.Kind.SERIAL: b"SeaBIOS (fake)\r\n"}


@dataclass(slots=True)
class FakeTerminals:
    """What is open of one server; ends are the guest's."""

    _ends: list[tuple[terminal.Kind, socket.socket]] = field(default_factory=list)

    def open(self, server: str, kind: terminal.Kind, *, is_taken_over: bool) -> socket.socket:
        """The person's end, on which the guest has said its greeting. Raises: errors.SerialConsoleInUse."""
        if kind is terminal.Kind.SERIAL and self.ends(kind):
            if not is_taken_over:
                raise errors.SerialConsoleInUse(server=server)
            self.close(kind)
        ours, theirs = socket.socketpair()
        ours.sendall(GREETINGS[kind])
        self._ends.append((kind, ours))
        return theirs

    def ends(self, kind: terminal.Kind) -> Sequence[socket.socket]:
        """The guest's ends of what is still open, the last one last."""
        for each in [each for each in self._ends if _is_closed(each[1])]:
            each[1].close()
            self._ends.remove(each)
        return [end for found, end in self._ends if found is kind]

    def close(self, *kinds: terminal.Kind) -> None:
        """Close those of the kinds; of all where none is named."""
        for each in [each for each in self._ends if not kinds or each[0] in kinds]:
            each[1].close()
            self._ends.remove(each)


def _is_closed(end: socket.socket) -> bool:
    """Whether the other side has; what it said before is still there to be read."""
    try:
        return end.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:  # it closed without having read all
        return True
