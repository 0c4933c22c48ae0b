"""One launch's work on a new server's volumes: adjust them, then write the final configuration into them. Runs in the worker's process."""

from __future__ import annotations

from estampe import errors
from estampe.guest import adjusting, base, configuring, finishing, fstab, inspection, mounted, volumes
from estampe.model import adjustment


def adapt(launched: finishing.Launched, adaptation: adjustment.Adaptation) -> base.Adapted:
    """Do it all. Raises: errors.ApplianceFailed for whatever cannot be done: half of it would be no server."""
    adjuster = adjusting.Adjuster(launched.handle, launched.targets, launched.tell)
    for action in adaptation.actions:
        adjuster.carry_out(action)
    inside = [action for action in adaptation.actions if _is_inside(action)]
    if not inside and adaptation.configuration is None:
        return base.Adapted(changes=())
    return _inside(launched, adaptation, inside, adjuster)


def _is_inside(action: adjustment.Action) -> bool:
    """Whether the guest's own files say something of it."""
    if isinstance(action, adjustment.MakeFileSystem):
        return action.kind == "swap" or action.mount_point is not None
    return isinstance(action, adjustment.ForgetMounts)


def _inside(
    launched: finishing.Launched,
    adaptation: adjustment.Adaptation,
    actions: list[adjustment.Action],
    adjuster: adjusting.Adjuster,
) -> base.Adapted:
    launched.tell("inspecting")
    devices = volumes.Volumes(launched.handle, launched.targets)
    system = inspection.inspect(launched.handle, devices, devices.contents())
    if isinstance(system, str):
        raise errors.ApplianceFailed(detail=f"the guest's files cannot be reached: {system}")
    finishing.mount(launched.handle, devices, system, is_read_only=False)
    appliance = mounted.MountedGuest(launched.handle)
    launched.tell("configuring")
    for action in actions:
        if isinstance(action, adjustment.MakeFileSystem):
            uuid = adjuster.uuid(action.target)
            fstab.add(appliance, uuid=uuid, kind=action.kind, mount_point=action.mount_point)
        elif isinstance(action, adjustment.ForgetMounts):
            fstab.forget(appliance, action)
    wish = adaptation.configuration
    changes = () if wish is None else tuple(configuring.configure(appliance, wish))
    finishing.unmount(launched.handle)
    return base.Adapted(changes=changes)
