"""One launch's work on a new server's volumes: adjust them, then write the final configuration into them. Runs in the worker's process."""

from __future__ import annotations

from estampe import errors
from estampe.guest import (
    adjusting,
    base,
    configuring,
    finishing,
    fstab,
    identifiers,
    inspection,
    mounted,
    renewal,
    renewing,
    volumes,
)
from estampe.model import adjustment, final


def adapt(launched: finishing.Launched, adaptation: adjustment.Adaptation) -> base.Adapted:
    """Do it all. Raises: errors.ApplianceFailed for whatever cannot be done: half of it would be no server."""
    adjuster = adjusting.Adjuster(launched.handle, launched.targets, launched.tell)
    for action in adaptation.actions:
        adjuster.carry_out(action)
    inside = [action for action in adaptation.actions if _is_inside(action)]
    if not inside and adaptation.configuration is None and not adaptation.renews_identifiers:
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
    if adaptation.renews_identifiers:
        made = {each.target for each in adaptation.actions if isinstance(each, adjustment.MakeFileSystem)}
        renewer = renewing.Renewing(
            handle=launched.handle, devices=devices, adjuster=adjuster, system=system, new=frozenset(made)
        )
        changes += _renew(launched, renewer, appliance)
    finishing.unmount(launched.handle)
    return base.Adapted(changes=changes)


def _renew(
    launched: finishing.Launched, renewer: renewing.Renewing, appliance: base.Appliance
) -> tuple[final.Change, ...]:
    """With the guest mounted before and after, and not while its file systems are changed."""
    launched.tell("looking for what names UUIDs")
    plan = renewer.plan(appliance)
    if not plan.renewed:
        return renewing.told(plan, (), ())
    finishing.unmount(launched.handle)
    launched.tell("renewing UUIDs")
    done = renewer.carry_out(plan)
    finishing.mount(launched.handle, renewer.devices, renewer.system, is_read_only=False)
    files = renewal.rewrite(appliance, plan, identifiers.Exchange(done))
    return renewing.told(plan, done, files)
