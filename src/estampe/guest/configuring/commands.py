"""Commands that the first boot runs, once and in order."""

from __future__ import annotations

from typing import Final

from estampe.guest import base, first_boot
from estampe.guest.configuring import telling
from estampe.model import final

_NAME: Final = "estampe-first-boot"


def configure(appliance: base.Appliance, wish: final.FinalConfiguration) -> list[final.Change]:
    """See to it that they are run. One that fails does not keep the next from running, as with cloud-init's runcmd."""
    if not wish.commands:
        return []
    job = first_boot.Job(
        name=_NAME,
        description="Commands given when this server was deployed by Estampe",
        script="".join(f"{command}\n" for command in wish.commands),
        is_network_needed=True,
    )
    told = f"{len(wish.commands)} command(s)"
    place = first_boot.install(appliance, job)
    if place is None:
        why = "the guest's init system is not known, so nothing would run them"
        return [telling.left("first-boot commands", told, why=why)]
    return [telling.done("first-boot commands", f"{told}, run by {place}")]
