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


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmer:
    """Asks, again and again until a deadline. Clock and wait are passed in."""

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
            detail = "not asked: the guest is not known to run a guest agent"
            return Confirmation(name=server.name, is_confirmed=False, detail=detail, addresses=())
        while True:
            check_cancelled()
            problem = self._problem(resolved, server)
            if problem is None:
                addresses = tuple(self.host.interface_addresses(str(server.uuid)))
                detail = (
                    f"the guest says that it is {server.hostname}" if resolved.is_seeded else "the guest agent answers"
                )
                return Confirmation(name=server.name, is_confirmed=True, detail=detail, addresses=addresses)
            if self.clock() >= deadline:
                detail = f"not confirmed within {self.timeout_seconds:g} s: {problem}"
                return Confirmation(name=server.name, is_confirmed=False, detail=detail, addresses=())
            self.wait(_POLL_SECONDS)

    def _problem(self, resolved: decisions.Resolved, server: decisions.ResolvedServer) -> str | None:
        try:
            answer = self.host.agent_command(str(server.uuid), "guest-get-host-name")
        except errors.AgentUnavailable as error:
            return str(error)
        name = answer.get("host-name") if isinstance(answer, dict) else None
        expected = {server.hostname, server.hostname.partition(".")[0]}
        if resolved.is_seeded and name not in expected:
            return f"the guest still calls itself {name!r}"
        return None
