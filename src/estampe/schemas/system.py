"""The daemon itself."""

from __future__ import annotations

from estampe.schemas import wire


class Health(wire.Answer):
    """Whether the daemon answers: it does, or nobody says so."""

    status: str


class Version(wire.Answer):
    """Which Estampe this is."""

    version: str
    api: str


class Readiness(wire.Answer):
    """That the daemon can do its work: `parts` all answer. Where one does not, the answer is a problem that names it."""

    status: str
    parts: list[str]
