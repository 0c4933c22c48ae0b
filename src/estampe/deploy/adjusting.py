"""All that a deploy does to volumes, decided: what grows and shrinks, what is new, what is left out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from estampe import errors, units
from estampe.deploy import growth, shrinking, sizing
from estampe.deploy import request as requests
from estampe.model import adjustment, final, manifest
from estampe.model import guest as guests
from estampe.model import layout as layouts

_NOT_SEEN: Final = "nobody looked at the template's volumes when it was captured: capture with sealing"
_LINUX: Final = "linux"


def decide(
    request: requests.DeployRequest,
    found: manifest.Manifest,
    sizes: Mapping[str, int],
    added: Mapping[str, requests.NewVolumeRequest],
    *,
    template: str,
    is_seeded: bool,
) -> growth.Plan:
    """What is to be done to the template's volumes for these `sizes`, and to the new ones in `added`; all by target.

    `template` is how whoever asks names it. The manifest's own name is that of its capture, and its owner's.

    Raises: errors.CannotGrow, errors.VolumeTooSmall, errors.VolumeNotFound, errors.InvalidRequest, errors.GuestLacks.
    """
    wish = growth.Wish(chosen=request.grown, is_grown=request.is_grown, is_seeded=is_seeded)
    if request.is_renewed:
        _require_linux(found, template, "--renew-uuids: what names them is known of it alone; it")
    known = _known(found)
    made = _grown_unseen(found, sizes, wish) if known is None else growth.plan(known, sizes, wish)
    shrinking.plan(made, known, found, sizes)
    for target, volume in added.items():
        _add(made, found, target, volume, template)
    if request.left_out:
        _leave_out(made, known, request.left_out)
    return made


def _known(found: manifest.Manifest) -> growth.Known | None:
    return None if found.layout is None else growth.Known(layout=found.layout, guest=found.guest)


def _grown_unseen(found: manifest.Manifest, sizes: Mapping[str, int], wish: growth.Wish) -> growth.Plan:
    """Of older templates, and those captured without sealing: what a first boot does is all that is done."""
    if wish.chosen:
        raise errors.CannotGrow(what=wish.chosen[0], why=_NOT_SEEN, known="nothing")
    made = growth.Plan()
    for target, size in sizes.items():
        match sizing.growth(found, target, size):
            case "first boot" if wish.is_seeded and wish.is_grown:
                detail = f"partition and file system grow into the volume of {units.format_bytes(size)}"
                made.changes.append(final.Change(what=target, means=final.Means.FIRST_BOOT, detail=detail))
            case "none":
                pass
            case _:
                why = "nothing was to be grown" if not wish.is_grown else _NOT_SEEN
                made.leave(target, "the added space is not used", why)
    return made


def _add(
    made: growth.Plan, found: manifest.Manifest, target: str, volume: requests.NewVolumeRequest, template: str
) -> None:
    size = units.format_bytes(volume.size_bytes)
    if volume.kind is None:
        made.add(target, f"new volume {volume.name} of {size}, blank")
        return
    if volume.mount_point is not None or volume.kind == "swap":
        _require_linux(found, template, f"--add-volume {volume.name}: an entry in fstab")
    where = f", mounted on {volume.mount_point}" if volume.mount_point else ""
    action = adjustment.MakeFileSystem(target=target, kind=volume.kind, mount_point=volume.mount_point)
    made.add(target, f"new volume {volume.name} of {size}, {volume.kind}{where}", action)


def _leave_out(made: growth.Plan, known: growth.Known | None, left_out: tuple[str, ...]) -> None:
    if known is None:
        raise errors.InvalidRequest(field="left_out", problem=_NOT_SEEN)
    devices = {device for target in left_out for device in _devices_of(known, target)}
    _check_groups(known, devices)
    devices |= {f"{group.name}/{each.name}" for group, each in _logical(known) if devices & set(group.physical_volumes)}
    if known.root in devices:
        raise errors.InvalidRequest(field="left_out", problem=f"{known.root} is the root of the system")
    gone = [] if known.guest is None else [each for each in known.guest.file_systems if each.device in devices]
    actions = [_forget(gone)] if gone and known.guest is not None and known.guest.kind == _LINUX else []
    for target in left_out:
        made.add(target, "left out", *actions)
        actions = []
    if known.guest is None:
        made.leave("fstab", "not changed", "the guest is not known: it may wait for what is left out")


def _devices_of(known: growth.Known, target: str) -> set[str]:
    volume = known.layout.find_volume(target)
    parts = [] if volume is None else [layouts.partition_name(target, each.number) for each in volume.partitions]
    return {target, *parts}


def _logical(known: growth.Known) -> list[tuple[layouts.VolumeGroup, layouts.LogicalVolume]]:
    return [(group, each) for group in known.layout.groups for each in group.logical_volumes]


def _check_groups(known: growth.Known, devices: set[str]) -> None:
    for group in known.layout.groups:
        inside = devices & set(group.physical_volumes)
        if inside and inside != set(group.physical_volumes):
            lies_on = " and ".join(group.physical_volumes)
            raise errors.InvalidRequest(field="left_out", problem=f"volume group {group.name} lies on {lies_on}")


def _forget(gone: list[guests.FileSystem]) -> adjustment.ForgetMounts:
    return adjustment.ForgetMounts(
        uuids=tuple(each.uuid for each in gone if each.uuid),
        labels=tuple(each.label for each in gone if each.label),
        mount_points=tuple(each.mount_point for each in gone if each.mount_point),
    )


def _require_linux(found: manifest.Manifest, template: str, what: str) -> None:
    if found.guest is None or found.guest.kind != _LINUX:
        kind = "not known" if found.guest is None else found.guest.kind
        raise errors.GuestLacks(template=template, what="Linux", detail=f"{what} needs it, and the guest is {kind}")
