"""The kinds of guests that Estampe can seal. A further kind is a class as base.GuestKind says, and a line here."""

from __future__ import annotations

from typing import Final

from estampe.guest import base, linux_kind, windows_kind

KINDS: Final[tuple[base.GuestKind, ...]] = (linux_kind.Linux(), windows_kind.Windows())


def find(os_type: str, distribution: str) -> base.GuestKind | None:
    """The first kind that says it is for this operating system (libguestfs' words), or None."""
    return next((kind for kind in KINDS if kind.matches(os_type, distribution)), None)


def facts(kind: base.GuestKind | None, appliance: base.Appliance, *, root_kind: str) -> base.Facts:
    """What the kind tells; nothing of a guest that no kind is for. Raises: errors.ApplianceFailed."""
    if kind is not None:
        return kind.facts(appliance, root_kind=root_kind)
    return base.Facts(has_cloud_init=False, has_guest_agent=False, can_grow_root=False)
