"""The kinds of guests that Estampe can seal. A further kind is a class as base.GuestKind says, and a line here."""

from __future__ import annotations

from typing import Final

from estampe.guest import base, debian, linux_facts

KINDS: Final[tuple[base.GuestKind, ...]] = (debian.Debian(),)


def find(os_type: str, distribution: str) -> base.GuestKind | None:
    """The first kind that says it is for this operating system (libguestfs' words), or None."""
    return next((kind for kind in KINDS if kind.matches(os_type, distribution)), None)


def facts(kind: base.GuestKind | None, appliance: base.Appliance, *, os_type: str, root_kind: str) -> base.Facts:
    """What the kind tells; of a Linux that no kind is for, what holds of every Linux. Raises: errors.ApplianceFailed."""
    if kind is not None:
        return kind.facts(appliance, root_kind=root_kind)
    if os_type == "linux":
        return linux_facts.read(appliance, root_kind=root_kind)
    return base.Facts(has_cloud_init=False, has_guest_agent=False, can_grow_root=False)
