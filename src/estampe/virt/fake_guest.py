"""The guest inside a fake server: what it obeys, how long it takes, what its agent answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from estampe import errors


@dataclass(slots=True, kw_only=True)
class FakeGuest:
    """A guest's behaviour; tests change it as they like."""

    obeys: frozenset[Literal["agent", "acpi"]] = frozenset({"agent", "acpi"})
    missed_requests: int = 0  # so many requests to shut down get lost first, as in early boot
    polls_until_off: int = 1  # after a request it obeys: power_state tells so many times that it is still on
    has_agent: bool = True
    answers: dict[str, Any] = field(default_factory=dict)  # command -> value, or a function of the arguments
    addresses: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)  # every request to shut down, in order
    polls_left: int | None = None  # None: it is not shutting down

    def request_shutdown(self, by: Literal["agent", "acpi"]) -> None:
        """Take a request, or miss it."""
        self.requests.append(by)
        if self.missed_requests > 0:
            self.missed_requests -= 1
        elif by in self.obeys and self.polls_left is None:
            self.polls_left = self.polls_until_off

    def is_off_at_poll(self) -> bool:
        """Whether it has reached the end of its shutdown; called once a poll."""
        if self.polls_left is None:
            return False
        self.polls_left -= 1
        return self.polls_left < 0

    def answer(self, server: str, command: str, arguments: dict[str, Any] | None) -> Any:
        """The agent's answer. Raises: errors.AgentUnavailable."""
        if not self.has_agent:
            raise errors.AgentUnavailable(server=server, detail="it is not connected")
        if command == "guest-ping":
            return {}
        if command not in self.answers:
            raise errors.AgentUnavailable(server=server, detail=f"the command {command} has not been found")
        answer: Any | Callable[[dict[str, Any]], Any] = self.answers[command]
        return answer(arguments or {}) if callable(answer) else answer
