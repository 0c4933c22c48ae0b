"""Screens and serial consoles of an account's servers."""

from __future__ import annotations

import socket
import uuid
from dataclasses import dataclass

from estampe.model import power, terminal
from estampe.servers import service


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalService:
    """Opens them. What is opened outlives the call: whether it may stay open is asked again, by `power_state`."""

    servers: service.ServerService

    def check(self, owner_id: uuid.UUID, reference: str, kind: terminal.Kind) -> uuid.UUID:
        """The id of the server, which has one that could be opened now.

        Raises: errors.ServerNotFound, errors.ServerStateForbids (it is off), errors.NoScreen, errors.NoSerialConsole.
        """
        row, summary = self.servers.find(owner_id, reference)
        self.servers.host.check_terminal(summary.uuid, kind)
        return row.id

    def open(
        self, owner_id: uuid.UUID, server_id: uuid.UUID, kind: terminal.Kind, *, is_taken_over: bool
    ) -> socket.socket:
        """A connected socket, which the caller closes; see virt.base.Host.open_terminal.

        Raises: as `check`; errors.SerialConsoleInUse.
        """
        _row, summary = self.servers.find(owner_id, str(server_id))
        return self.servers.host.open_terminal(summary.uuid, kind, is_taken_over=is_taken_over)

    def power_state(self, owner_id: uuid.UUID, server_id: uuid.UUID) -> power.PowerState:
        """Of the server, if it still is the account's. Raises: errors.ServerNotFound."""
        _row, summary = self.servers.find(owner_id, str(server_id))
        return summary.power_state
