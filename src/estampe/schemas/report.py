"""What a deploy changed on a server before its first boot, and what it left."""

from __future__ import annotations

from estampe.model import final
from estampe.schemas import wire


class ReportedChange(wire.Answer):
    """One line of a deployed server's report; `why` is set exactly where it was left."""

    what: str
    means: final.Means
    detail: str
    outcome: final.Outcome
    why: str | None
