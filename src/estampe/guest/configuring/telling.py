"""Lines of the report on what was written into a guest, and what was not."""

from __future__ import annotations

from estampe.model import final


def done(what: str, detail: str) -> final.Change:
    """Written into the guest's own files."""
    return final.Change(what=what, means=final.Means.APPLIANCE, detail=detail)


def left(what: str, detail: str, *, why: str) -> final.Change:
    """Wished, and not so."""
    return final.Change(what=what, means=final.Means.APPLIANCE, detail=detail, outcome=final.Outcome.LEFT, why=why)
