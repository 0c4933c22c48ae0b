"""Confirming a deployed server from inside: its guest agent is asked who it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.deploy import resolved as decisions
from estampe.virt import base as virt

_POLL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What the guest said. A server that does not answer is not a failed deploy: it is told as not confirmed."""

    name: str
    is_confirmed: bool
    detail: str  # what was asked for and answered, or why there is no answer
    addresses: tuple[str, ...]


class _NotYet(Exception):
    """The guest answers, and is not what it is to become."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmer:
    """Asks, again and again until a deadline. Clock and wait are passed in. Nothing but a cancel is raised."""

    host: virt.Host
    timeout_seconds: float
    clock: Callable[[], float]
    wait: Callable[[float], None]

    def confirm(self, resolved: decisions.Resolved, check_cancelled: Callable[[], None]) -> list[Confirmation]:
        """One answer per server; servers boot side by side, so they share the deadline."""
        deadline = self.clock() + self.timeout_seconds
        return [self._confirm_one(resolved, server, deadline, check_cancelled) for server in resolved.servers]

    def _confirm_one(
        self,
        resolved: decisions.Resolved,
        server: decisions.ResolvedServer,
        deadline: float,
        check_cancelled: Callable[[], None],
    ) -> Confirmation:
        if not resolved.is_agent_expected:
            return _unconfirmed(server, "not asked: the guest is not known to run a guest agent")
        while True:
            check_cancelled()
            try:
                return self._ask(resolved, server)
            except errors.NotFound as error:  # somebody has deleted it meanwhile: no use waiting
                return _unconfirmed(server, f"not confirmed: {error}")
            except errors.EstampeError as error:  # what cannot be told of a server that runs is no reason to remove it
                problem = str(error)
            except _NotYet as not_yet:
                problem = str(not_yet)
            if self.clock() >= deadline:
                return _unconfirmed(server, f"not confirmed within {self.timeout_seconds:g} s: {problem}")
            self.wait(_POLL_SECONDS)

    def _ask(self, resolved: decisions.Resolved, server: decisions.ResolvedServer) -> Confirmation:
        """Raises: _NotYet; as virt.base.Host."""
        answer = self.host.agent_command(str(server.uuid), "guest-get-host-name")
        name = answer.get("host-name") if isinstance(answer, dict) else None
        expected = {server.hostname, server.hostname.partition(".")[0]}
        if resolved.is_named and name not in expected:
            raise _NotYet(f"the guest still calls itself {name!r}")
        addresses = tuple(self.host.interface_addresses(str(server.uuid)))
        detail = f"the guest says that it is {server.hostname}" if resolved.is_named else "the guest agent answers"
        return Confirmation(name=server.name, is_confirmed=True, detail=detail, addresses=addresses)


def _unconfirmed(server: decisions.ResolvedServer, detail: str) -> Confirmation:
    return Confirmation(name=server.name, is_confirmed=False, detail=detail, addresses=())
