"""One launch's work on new servers' volumes: adjust them, then write each server's final configuration. Runs in the worker's process.

What is the same for all servers is done once, on the shared overlays. Then each server has its turn: its own overlays over the shared ones, its
configuration, and everything let go of again.
"""

from __future__ import annotations

from typing import Final

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

_ALL_CACHES: Final = 3  # as drop_caches takes it (guestfs(3)): pages, and what is known of files


def adapt(launched: finishing.Launched, adaptation: adjustment.Adaptation) -> base.Adapted:
    """Do it all. Raises: errors.ApplianceFailed for whatever cannot be done: half of it would be no server."""
    adjuster = adjusting.Adjuster(launched.handle, launched.targets, launched.tell)
    for action in adaptation.actions:
        adjuster.carry_out(action)
    inside = [action for action in adaptation.actions if _is_inside(action)]
    if not inside and not adaptation.configurations and adaptation.renewed is None:
        return base.Adapted(changes={})
    guest = _Guest(launched)
    if inside:
        _write_down(guest, inside, adjuster)
    changes = {
        each.server: _configure(guest, nth, each.server, each.wish)
        for nth, each in enumerate(adaptation.configurations)
    }
    if adaptation.renewed is not None:
        new = frozenset(each.target for each in adaptation.actions if isinstance(each, adjustment.MakeFileSystem))
        changes[adaptation.renewed] = changes.get(adaptation.renewed, ()) + _renew(guest, adjuster, new)
    return base.Adapted(changes=changes)


def _is_inside(action: adjustment.Action) -> bool:
    """Whether the guest's own files say something of it."""
    if isinstance(action, adjustment.MakeFileSystem):
        return action.kind == "swap" or action.mount_point is not None
    return isinstance(action, adjustment.ForgetMounts)


class _Guest:
    """The guest on the launch's drives: inspected once, mounted and let go of as often as is needed."""

    def __init__(self, launched: finishing.Launched) -> None:
        self.launched, self._handle = launched, launched.handle
        launched.tell("inspecting")
        self.devices = volumes.Volumes(self._handle, launched.targets)
        system = inspection.inspect(self._handle, self.devices, self.devices.contents())
        if isinstance(system, str):
            raise errors.ApplianceFailed(detail=f"the guest's files cannot be reached: {system}")
        self.system = system

    def mounted(self) -> base.Appliance:
        """Its files, to be written."""
        finishing.mount(self._handle, self.devices, self.system, is_read_only=False)
        return mounted.MountedGuest(self._handle)

    def unmount(self) -> None:
        """After it everything is on the overlays."""
        finishing.unmount(self._handle)

    def turn_to(self, nth: int) -> None:
        """Put the overlays of a server in place. What the kernel remembers of the drives would be another's: it is made to forget all."""
        has_groups = self.devices.has_groups()
        with mounted.guest_errors("letting go of the volumes"):
            self._handle.umount_all()
            if has_groups:
                self._handle.vg_activate_all(False)
            self._handle.sync()
            for device in self.devices.drives():
                self._handle.blockdev_flushbufs(device)
            self._handle.drop_caches(_ALL_CACHES)
        self.launched.put_over(nth)
        if has_groups:
            with mounted.guest_errors("LVM"):
                self._handle.vg_activate_all(True)


def _write_down(guest: _Guest, actions: list[adjustment.Action], adjuster: adjusting.Adjuster) -> None:
    """Tell the guest's files of volumes that it has, or has no longer."""
    appliance = guest.mounted()
    for action in actions:
        if isinstance(action, adjustment.MakeFileSystem):
            uuid = adjuster.uuid(action.target)
            fstab.add(appliance, uuid=uuid, kind=action.kind, mount_point=action.mount_point)
        elif isinstance(action, adjustment.ForgetMounts):
            fstab.forget(appliance, action)
    guest.unmount()


def _configure(guest: _Guest, nth: int, server: str, wish: final.FinalConfiguration) -> tuple[final.Change, ...]:
    guest.launched.tell(f"configuring {server}")
    try:
        guest.turn_to(nth)
        changes = tuple(configuring.configure(guest.mounted(), wish))
        guest.unmount()
    except errors.ApplianceFailed as error:
        raise errors.ApplianceFailed(detail=f"{server}: {error.facts['detail']}") from error
    return changes


def _renew(guest: _Guest, adjuster: adjusting.Adjuster, new: frozenset[str]) -> tuple[final.Change, ...]:
    """UUIDs of its own for the server that is in place; `new` are volumes that this launch has made, whose UUIDs are."""
    renewer = renewing.Renewing(
        handle=guest.launched.handle, devices=guest.devices, adjuster=adjuster, system=guest.system, new=new
    )
    guest.launched.tell("looking for what names UUIDs")
    plan = renewer.plan(guest.mounted())
    guest.unmount()
    if not plan.renewed:
        return renewing.told(plan, (), ())
    guest.launched.tell("renewing UUIDs")
    done = renewer.carry_out(plan)
    files = renewal.rewrite(guest.mounted(), plan, identifiers.Exchange(done))
    guest.unmount()
    return renewing.told(plan, done, files)
