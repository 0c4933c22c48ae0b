"""Growth: who gets the space of larger volumes, and what is to be done for it. Pure: figures in, actions and words out.

    | table | boot | root            | swap | recovery |                          |
    | table | boot | root                                        | swap | recovery |      what lies behind goes to the end

What gets the space is, unless somebody says otherwise: the root file system, be it in a partition or in a logical volume; on a
volume without it, the last thing that can grow. It is grown by the guest's own first boot where that is known to do it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from estampe import errors, units
from estampe.deploy import placing
from estampe.model import adjustment, final
from estampe.model import guest as guests
from estampe.model import layout as layouts

GROWABLE: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "ntfs"})
_LOGICAL_VOLUME: Final = "lv:"
# Copied in the appliance at some 30 MiB/s under full emulation: two minutes. Whoever wants more moved says so with --grow.
_MOST_MOVED_BYTES: Final = 4 * units.GIB
_LINEAR: Final = "linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the template's volumes and of the system on them."""

    layout: layouts.Layout
    guest: guests.Guest | None

    def group_of(self, device: str) -> layouts.VolumeGroup | None:
        """The volume group that the device is a physical volume of."""
        return next((group for group in self.layout.groups if device in group.physical_volumes), None)

    @property
    def root(self) -> str:
        """vda2, vg0/root, or nothing."""
        return "" if self.guest is None else self.guest.root_device


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody says of growth."""

    chosen: tuple[str, ...] = ()  # vda2, vdb, lv:vg0/data
    is_grown: bool = True
    is_seeded: bool = False  # the guest gets a seed, so that its first boot does all that it can


@dataclass(slots=True)
class Plan:
    """What is to be done, and what is told of it."""

    actions: list[adjustment.Action] = field(default_factory=list)
    changes: list[final.Change] = field(default_factory=list)

    def add(self, what: str, detail: str, *actions: adjustment.Action) -> None:
        """Something that is done in the appliance."""
        self.actions.extend(actions)
        self.changes.append(final.Change(what=what, means=final.Means.APPLIANCE, detail=detail))

    def leave(self, what: str, detail: str, why: str) -> None:
        """Something that is not done."""
        means, outcome = final.Means.APPLIANCE, final.Outcome.LEFT
        self.changes.append(final.Change(what=what, means=means, detail=detail, outcome=outcome, why=why))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """What gets a volume's space: a partition (None: all of the volume) and what is in it."""

    volume: layouts.VolumeLayout
    partition: layouts.Partition | None
    logical_volume: str | None = None  # asked for by name

    @property
    def device(self) -> str:
        return self.volume.target if self.partition is None else _name(self.volume, self.partition)

    @property
    def content(self) -> str:
        return (self.volume.content or layouts.UNKNOWN) if self.partition is None else self.partition.content


def plan(known: Known, sizes: Mapping[str, int], wish: Wish) -> Plan:
    """What is done with the space of the volumes that `sizes` (by target) makes larger than they were.

    Raises: errors.CannotGrow for what was chosen and cannot have it, errors.VolumeNotFound for what is not there.
    """
    made = Plan()
    larger = [each for each in known.layout.volumes if sizes.get(each.target, each.size_bytes) > each.size_bytes]
    chosen = _chosen(known, larger, wish.chosen)
    gained: dict[str, str | None] = {}  # groups that have more space, with the logical volume that was asked for
    for volume in larger:
        if not wish.is_grown:
            made.leave(volume.target, "the added space is not used", _why_not_grown(known, volume, wish))
            continue
        choice = chosen.get(volume.target) or _usual(known, volume)
        if isinstance(choice, str):
            made.leave(volume.target, "the added space is not used", choice)
        elif wish.is_seeded and volume.target not in chosen and _grows_by_itself(known, choice):
            size = units.format_bytes(sizes[volume.target])
            detail = f"partition and file system grow into the volume of {size}"
            made.changes.append(final.Change(what=choice.device, means=final.Means.FIRST_BOOT, detail=detail))
        else:
            grown = _grow(made, known, choice, sizes[volume.target], is_asked=volume.target in chosen)
            if grown is not None:
                gained[grown] = choice.logical_volume or gained.get(grown)
    for group in known.layout.groups:
        if group.name in gained:
            _grow_logical(made, known, group, gained[group.name])
    return made


def _why_not_grown(known: Known, volume: layouts.VolumeLayout, wish: Wish) -> str:
    """A first boot that grows root does so unasked."""
    usual = _usual(known, volume)
    if wish.is_seeded and not isinstance(usual, str) and _grows_by_itself(known, usual):
        return f"nothing was to be grown; but the guest's first boot grows {usual.device} by itself, unless user data say no"
    return "nothing was to be grown"


def _grows_by_itself(known: Known, choice: _Choice) -> bool:
    return known.guest is not None and known.guest.can_grow_root and choice.device == known.root


# --- what gets the space ------------------------------------------------------------------------------------------------


def _chosen(known: Known, larger: Sequence[layouts.VolumeLayout], names: Sequence[str]) -> dict[str, _Choice]:
    """By volume, what was asked for."""
    found: dict[str, _Choice] = {}
    for name in names:
        choices = _logical_choices(known, name) if name.startswith(_LOGICAL_VOLUME) else [_named(known, name)]
        fitting = [choice for choice in choices if choice.volume in larger]
        if not fitting:
            raise _cannot(known, name, "its volume is not made larger (--volume)")
        for choice in fitting:
            other = found.setdefault(choice.volume.target, choice)
            if other != choice:
                raise _cannot(known, name, f"the space of {choice.volume.target} is to go to {other.device} already")
            why_not = _why_not(known, choice)
            if why_not is not None:
                raise _cannot(known, name, why_not)
    return found


def _named(known: Known, name: str) -> _Choice:
    for volume in known.layout.volumes:
        if volume.target == name and volume.table is layouts.TableKind.NONE:
            return _Choice(volume=volume, partition=None)
        for partition in volume.partitions:
            if _name(volume, partition) == name:
                return _Choice(volume=volume, partition=partition)
    raise _unknown(known, name)


def _logical_choices(known: Known, name: str) -> list[_Choice]:
    """The physical volumes of the logical volume's group."""
    group_name, _, wanted = name.removeprefix(_LOGICAL_VOLUME).partition("/")
    group = next((each for each in known.layout.groups if each.name == group_name), None)
    logical = next((each for each in group.logical_volumes if each.name == wanted), None) if group else None
    if group is None or logical is None:
        raise _unknown(known, name)
    why_not = _why_not_logical(logical)
    if why_not is not None:
        raise _cannot(known, name, why_not)
    choices = [_named(known, device) for device in group.physical_volumes]
    last: dict[str, _Choice] = {choice.volume.target: choice for choice in choices}
    return [_Choice(volume=each.volume, partition=each.partition, logical_volume=wanted) for each in last.values()]


def _usual(known: Known, volume: layouts.VolumeLayout) -> _Choice | str:
    """What gets the space where nobody says, or why nothing does."""
    choices = _choices(volume)
    able = [choice for choice in choices if _why_not(known, choice) is None]
    root = next((choice for choice in able if _holds(known, choice, known.root)), None)
    choice = root or (able[-1] if able else None)
    if choice is None:
        return "nothing on it is known to be able to grow" if choices else "its content is not known"
    if choice.content not in GROWABLE and choice.content != layouts.PHYSICAL_VOLUME:
        return f"{choice.device} ({choice.content}) was not asked to grow"
    moved = 0 if choice.partition is None else placing.moved_bytes(volume, choice.partition)
    if moved > _MOST_MOVED_BYTES:
        behind = f"{units.format_bytes(moved)} behind {choice.device} would have to be moved"
        return f"{behind}: say what gets the space (--grow {choice.device}, or one of {_candidates(known, volume)})"
    return choice


def _choices(volume: layouts.VolumeLayout) -> list[_Choice]:
    """Everything on the volume, in order."""
    if volume.table is layouts.TableKind.NONE:
        is_known = volume.content not in {None, layouts.UNKNOWN}
        return [_Choice(volume=volume, partition=None)] if is_known else []
    return [_Choice(volume=volume, partition=each) for each in volume.partitions]


def _holds(known: Known, choice: _Choice, device: str) -> bool:
    group = known.group_of(choice.device)
    return choice.device == device or (group is not None and device.startswith(f"{group.name}/"))


def _why_not(known: Known, choice: _Choice) -> str | None:
    """Why it cannot have the space, whoever asks."""
    if choice.content == layouts.PHYSICAL_VOLUME and known.group_of(choice.device) is None:
        return "it belongs to no volume group that is there"
    if choice.content not in GROWABLE | {layouts.PHYSICAL_VOLUME, layouts.ENCRYPTED}:
        return f"its content ({choice.content}) is of no kind that can be grown"
    if choice.content == "btrfs" and _is_spread(known, choice.device):
        return "its btrfs lies on several devices"
    return None if choice.partition is None else placing.why_fixed(choice.volume, choice.partition)


def _is_spread(known: Known, device: str) -> bool:
    """Whether another device has a file system of the same UUID."""
    systems = () if known.guest is None else known.guest.file_systems
    uuids = {each.uuid for each in systems if each.device == device and each.uuid}
    return any(each.device != device and each.uuid in uuids for each in systems)


def _candidates(known: Known, volume: layouts.VolumeLayout) -> str:
    return ", ".join(choice.device for choice in _choices(volume) if _why_not(known, choice) is None) or "nothing"


def _all_names(known: Known) -> Iterator[str]:
    for volume in known.layout.volumes:
        yield from (choice.device for choice in _choices(volume) if _why_not(known, choice) is None)
    for group in known.layout.groups:
        yield from (f"{_LOGICAL_VOLUME}{group.name}/{each.name}" for each in group.logical_volumes)


def _cannot(known: Known, name: str, why: str) -> errors.CannotGrow:
    return errors.CannotGrow(what=name, why=why, known=", ".join(_all_names(known)) or "nothing")


def _unknown(known: Known, name: str) -> errors.VolumeNotFound:
    return errors.VolumeNotFound(owner="the template", volume=name, known=", ".join(_all_names(known)) or "none")


# --- what is done -------------------------------------------------------------------------------------------------------


def _grow(made: Plan, known: Known, choice: _Choice, size_bytes: int, *, is_asked: bool) -> str | None:
    """Returns the volume group that has gained space."""
    before = choice.volume.size_bytes
    new_bytes = size_bytes
    if choice.partition is not None:
        repartition = placing.grown(choice.volume, choice.partition, size_bytes)
        if isinstance(repartition, str):
            if is_asked:
                raise _cannot(known, choice.device, repartition)
            made.leave(choice.volume.target, "the added space is not used", repartition)
            return None
        made.actions.append(repartition)
        _tell_moves(made, choice.volume, repartition)
        before = choice.partition.size_bytes
        new_bytes = next(place.size_bytes for place in repartition.places if place.number == choice.partition.number)
    grown = f"from {units.format_bytes(before)} to {units.format_bytes(new_bytes)}"
    if choice.content == layouts.PHYSICAL_VOLUME:
        made.add(choice.device, f"physical volume grown {grown}", adjustment.GrowPhysicalVolume(device=choice.device))
        group = known.group_of(choice.device)
        return None if group is None else group.name
    if choice.content in GROWABLE:
        action = adjustment.GrowFileSystem(device=choice.device, kind=choice.content)
        made.add(choice.device, f"{choice.content} grown {grown}", action)
    else:
        made.add(choice.device, f"partition grown {grown}")
        why = "it is encrypted, and is not opened: grow the file system from inside the server"
        made.leave(choice.device, f"what is in the {choice.content} stays as it is", why)
    return None


def _tell_moves(made: Plan, volume: layouts.VolumeLayout, repartition: adjustment.Repartition) -> None:
    for move in reversed(repartition.moves):
        name = layouts.partition_name(volume.target, move.number)
        how = "made anew at the end, with its UUID and label" if move.content == "swap" else "moved to the end as it is"
        made.add(name, f"{move.content} of {units.format_bytes(move.size_bytes)} {how}")


def _grow_logical(made: Plan, known: Known, group: layouts.VolumeGroup, asked: str | None) -> None:
    volumes = {each.name: each for each in group.logical_volumes}
    in_root = known.root.removeprefix(f"{group.name}/")
    name = asked or (in_root if in_root in volumes else None) or (next(iter(volumes)) if len(volumes) == 1 else None)
    if name is None:
        why = f"it was not said which logical volume gets it: --grow {_LOGICAL_VOLUME}{group.name}/NAME"
        made.leave(group.name, "the added space is free in the volume group", why)
        return
    logical, device = volumes[name], f"{group.name}/{name}"
    why_not = _why_not_logical(logical)
    if why_not is not None:
        made.leave(device, "the added space is free in the volume group", why_not)
        return
    made.add(
        device,
        f"logical volume and {logical.content} grown into what {group.name} has gained",
        adjustment.GrowLogicalVolume(group=group.name, name=name),
        *([adjustment.GrowFileSystem(device=device, kind=logical.content)] if logical.content in GROWABLE else []),
    )


def _why_not_logical(logical: layouts.LogicalVolume) -> str | None:
    if logical.kind != _LINEAR:
        return f"it is {logical.kind}, and only linear logical volumes are grown"
    if logical.content not in GROWABLE:
        return f"its content ({logical.content}) is of no kind that can be grown"
    return None


def _name(volume: layouts.VolumeLayout, partition: layouts.Partition) -> str:
    return layouts.partition_name(volume.target, partition.number)
