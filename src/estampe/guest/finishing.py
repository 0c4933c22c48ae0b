"""One launch's work on the copy: inspect, mount, seal, trim. Runs in the worker's process, on a launched handle."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
from collections.abc import Callable, Sequence
from typing import Any

from estampe import errors
from estampe.guest import base, description, inspection, inventory, kinds, mounted, text, turning, volumes
from estampe.model import guest as guests
from estampe.model import inventory as inventories


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """A launched handle and how to tell what is being done on it."""

    handle: Any
    targets: Sequence[str]
    is_uefi: bool
    tell: Callable[[str], None]
    wish: guests.SealingWish = guests.NOTHING_WISHED
    put_over: Callable[[int], None] = turning.not_asked  # the files of a server, by its number, over what is shared


def finish(launched: Launched) -> base.Finished:
    """Inspect, and seal and trim where that can be done whole.

    Whatever is wrong with the guest is told in the result. Raises: errors.ApplianceFailed where the appliance itself is gone.
    """
    devices = volumes.Volumes(launched.handle, launched.targets)
    layout = None
    try:
        launched.tell("looking at the volumes")
        layout = devices.layout()  # first: it is told of volumes whose contents cannot be looked at, too
        contents = devices.contents()
        finished = _finish(launched, devices, contents)
    except errors.ApplianceFailed as error:
        _require_alive(launched.handle, error)
        finished = _left_alone(None, str(error.facts["detail"]))
    return dataclasses.replace(finished, layout=layout)


def _require_alive(handle: Any, error: errors.ApplianceFailed) -> None:
    """Tell an error of a guest's file system from the end of the appliance."""
    try:
        handle.ping_daemon()
    except RuntimeError:
        raise error from None


def _left_alone(guest: guests.Guest | None, why_not: str, notes: Sequence[str] = ()) -> base.Finished:
    sealing = guests.Sealing(is_sealed=False, why_not=why_not, actions=(), trimmed_bytes=0, notes=_plain(notes))
    return base.Finished(guest=guest, sealing=sealing, is_overlay_usable=False)


def _finish(launched: Launched, devices: volumes.Volumes, contents: Sequence[volumes.Content]) -> base.Finished:
    handle = launched.handle
    launched.tell("inspecting")
    system = inspection.inspect(handle, devices, contents)
    if isinstance(system, str):
        return _left_alone(None, system)
    kind = kinds.find(system.kind, system.distribution)
    why_not = _why_not(system, kind, devices, contents)
    mount_notes = mount(handle, devices, system, is_read_only=why_not is not None)
    packages = inventory.packages(handle, system.handle_root)
    guest = description.describe(
        handle,
        devices,
        description.Known(
            system=system, kind=kind, contents=contents, package_count=len(packages), is_uefi=launched.is_uefi
        ),
    )
    appliance = mounted.MountedGuest(handle)
    if kind is not None and why_not is None:
        why_not = kind.why_not_sealed(appliance)
    if kind is None or why_not is not None:
        taken = _inventory(launched, appliance, packages, guest)
        return dataclasses.replace(_left_alone(guest, str(why_not), mount_notes), inventory=taken)
    try:
        launched.tell("sealing")
        stripped = kind.seal(appliance, launched.wish)
        taken = _inventory(launched, appliance, packages, guest)
        launched.tell("trimming free space")
        notes = [*stripped.notes, *mount_notes, *_trim(handle, devices, system), *_untouched(contents, guest)]
        unmount(handle)
    except errors.ApplianceFailed as error:
        _require_alive(handle, error)
        return _left_alone(guest, f"sealing broke off, and nothing of it was kept: {error.facts['detail']}")
    sealing = guests.Sealing(
        is_sealed=True, why_not=None, actions=_plain(stripped.actions), trimmed_bytes=0, notes=_plain(notes)
    )
    return base.Finished(guest=guest, sealing=sealing, is_overlay_usable=True, inventory=taken)


def _inventory(
    launched: Launched, appliance: base.Appliance, packages: Sequence[inventories.Package], guest: guests.Guest
) -> inventories.Inventory | None:
    """None where it cannot be taken: no reason not to seal a guest."""
    launched.tell("taking the inventory")
    try:
        return inventory.take(appliance, packages, init=guest.init)
    except errors.ApplianceFailed as error:
        _require_alive(launched.handle, error)
        return None


def _plain(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(text.plain(line) for line in lines)


def _why_not(
    system: inspection.Inspection,
    kind: base.GuestKind | None,
    devices: volumes.Volumes,
    contents: Sequence[volumes.Content],
) -> str | None:
    """Why the guest must not be written to; None where it may."""
    if kind is None:
        return f"Estampe does not know how to seal {system.distribution} {system.version} ({system.kind})"
    used = {devices.device_of(mountable) for _point, mountable in system.mounts}
    for content in contents:
        damage = devices.damage(content) if content.device in used else None
        if damage is not None:
            return f"the file system {content.name} has errors ({damage}): check it in the server (fsck), and capture again"
    return None


def mount(handle: Any, devices: volumes.Volumes, system: inspection.Inspection, *, is_read_only: bool) -> list[str]:
    """Mount all, each under its parent. Sealing half the file systems would be no sealing, so one that fails ends it."""
    mount = handle.mount_ro if is_read_only else handle.mount
    notes = []
    for point, mountable in system.mounts:
        try:
            mount(mountable, point)
        except RuntimeError as error:
            problem = f"{devices.name(mountable)} could not be mounted on {point}: {error}"
            if not is_read_only or point == "/":
                raise errors.ApplianceFailed(detail=text.plain(problem)) from error
            notes.append(problem)
    return notes


def _trim(handle: Any, devices: volumes.Volumes, system: inspection.Inspection) -> list[str]:
    """Give free space back, of each file system once."""
    notes = []
    trimmed: set[str] = set()
    for point, mountable in system.mounts:
        device = devices.device_of(mountable)
        if device in trimmed:
            continue
        trimmed.add(device)
        try:
            handle.fstrim(point)
        except RuntimeError as error:
            can_not = handle.last_errno() in {errno.EOPNOTSUPP, errno.ENOTTY}
            reason = "its kind cannot be trimmed" if can_not else str(error)
            notes.append(f"the free space of {devices.name(device)} ({point}) was not trimmed: {reason}")
    return notes


def unmount(handle: Any) -> None:
    """After it everything is on the overlays; the cached writes that fail do so here."""
    with mounted.guest_errors("unmounting"):
        handle.umount_all()
        handle.sync()


def _untouched(contents: Sequence[volumes.Content], guest: guests.Guest) -> list[str]:
    """What was left as it is, since the guest does not mount it."""
    seen = {each.device for each in guest.file_systems if each.mount_point is not None}
    notes = []
    for content in contents:
        if content.kind == "swap":
            notes.append(f"{content.name} (swap) was left as it is: it may hold what was in the source's memory")
        elif content.kind == "crypto_LUKS":
            notes.append(f"{content.name} is encrypted and was left as it is")
        elif content.name not in seen and content.kind != "unknown":
            notes.append(f"{content.name} ({content.kind}) is not mounted by the guest and was left as it is")
    return notes


def shut_down(handle: Any) -> None:
    """End the appliance with everything flushed. Raises: errors.ApplianceFailed: the overlays cannot be trusted then."""
    with mounted.guest_errors("shutting the appliance down"):
        handle.shutdown()
    with contextlib.suppress(RuntimeError):
        handle.close()
