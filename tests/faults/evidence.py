"""The fault tests' report: one row for each kill."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kill:
    """One kill, and how its operation ended."""

    operation: str  # capture, cancelled capture, ...
    where: str  # the step and its event, or the time of a random one
    outcome: str  # the operation's state in the end
    seconds: float  # from the restart to the operation's end


class Evidence:
    """Kills, in order."""

    def __init__(self) -> None:
        self.kills: list[Kill] = []

    def add(self, operation: str, where: str, outcome: str, seconds: float) -> None:
        self.kills.append(Kill(operation, where, outcome, seconds))

    def table(self) -> str:
        """Markdown."""
        head = "| # | operation | killed at | ended | after the restart |\n| --- | --- | --- | --- | --- |\n"
        rows = [
            f"| {nth} | {kill.operation} | {kill.where} | {kill.outcome} | {kill.seconds:.1f} s |"
            for nth, kill in enumerate(self.kills, start=1)
        ]
        return head + "\n".join(rows) + "\n"
