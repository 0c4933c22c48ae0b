"""Identities that a guest does not make anew by itself: removed, and made by a script that its next boot runs once.

Only what the guest has the program for; what nothing would make again is kept and told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from estampe.guest import base, first_boot, linux

_NAME: Final = "estampe-identity"
# What must find its identity made. Services only: see first_boot.
_BEFORE: Final = ("ssh", "sshd", "dropbear", "iscsid", "open-iscsi", "nvmf-autoconnect")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One identity: `command` makes it, where it is not there."""

    what: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """What came of taking one identity away."""

    actions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()  # what the first boot has to do for it


def can_run(appliance: base.Appliance) -> bool:
    """Whether the guest has something that would run the job."""
    return first_boot.can_run(appliance)


def install(appliance: base.Appliance, parts: Sequence[Part]) -> list[str]:
    """Make the guest's next boot make them all. What was done, in lines."""
    if not parts:
        return []
    job = first_boot.Job(
        name=_NAME,
        description="Make the identities anew that were removed when this server's image template was sealed",
        script="".join(f"{part.command}\n" for part in parts),
        before=_BEFORE,
    )
    place = first_boot.install(appliance, job)
    return [f"added {place}: the first boot makes new {linux.listed([part.what for part in parts])}"]
