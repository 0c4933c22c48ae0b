"""Windows: a kind of guest that seals itself. What sysprep has generalised becomes another machine when it boots."""

from __future__ import annotations

from typing import Final

from estampe.guest import base, sparing, windows_ways
from estampe.model import guest as guests

NOT_GENERALISED: Final = (
    "Windows is not generalised: it keeps the source's name, addresses and identity (SID), and does not go through setup "
    "again; run `sysprep /generalize /oobe /shutdown` in the source and capture it while it is off"
)


class Windows:
    """See base.GuestKind."""

    name = "windows"

    def matches(self, os_type: str, distribution: str) -> bool:  # noqa: ARG002 - all of them
        """See base.GuestKind."""
        return os_type == "windows"

    def facts(self, appliance: base.Appliance, *, root_kind: str) -> base.Facts:  # noqa: ARG002 - nothing of a Linux
        """See base.GuestKind."""
        return base.Facts(has_cloud_init=False, has_guest_agent=False, can_grow_root=False)

    def why_not_sealed(self, appliance: base.Appliance) -> str | None:
        """See base.GuestKind."""
        return None if windows_ways.read(appliance).is_generalised else NOT_GENERALISED

    def seal(self, appliance: base.Appliance, wish: guests.SealingWish) -> base.Stripped:
        """See base.GuestKind. Only what was asked for is removed: what identifies the source went with sysprep."""
        actions = ["found Windows generalised by sysprep: its next boot gives it a new identity"]
        actions += sparing.remove_wished(appliance, wish)
        return base.Stripped(actions=tuple(actions), notes=())
