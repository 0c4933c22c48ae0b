"""Adjustments: what is to be done to a new server's volumes before its first boot, in order.

They are decided by figures alone (`deploy.growth` and its like) and carried out in the appliance (`guest.adjusting`). Devices have our
names: vda2, vg0/root, vdb (the whole volume).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from estampe.model import final


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a partition of a table lies."""

    number: int
    start_bytes: int
    size_bytes: int

    @property
    def end_bytes(self) -> int:
        """The first byte behind it."""
        return self.start_bytes + self.size_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """The content of a partition that gets another place."""

    number: int
    from_bytes: int
    to_bytes: int
    size_bytes: int
    content: str  # swap is not copied, but made anew with the same UUID and label


@dataclass(frozen=True, slots=True, kw_only=True)
class Repartition:
    """Move contents, then write the table for the volume's new size with these places; an extended partition is one, too."""

    target: str
    places: tuple[Place, ...]
    moves: tuple[Move, ...] = ()
    end_bytes: int | None = None  # where the volume is to end, which is larger yet; None: where it ends
    do: Literal["repartition"] = "repartition"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowPhysicalVolume:
    """Tell LVM that the device is larger."""

    device: str
    do: Literal["grow-physical-volume"] = "grow-physical-volume"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowLogicalVolume:
    """Give a logical volume what its group has gained by the physical volumes that grew; what was free before stays so."""

    group: str
    name: str
    do: Literal["grow-logical-volume"] = "grow-logical-volume"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowFileSystem:
    """Let a file system use all of its device."""

    device: str
    kind: str
    do: Literal["grow-file-system"] = "grow-file-system"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShrinkFileSystem:
    """Move what a file system holds into its first bytes."""

    device: str
    kind: str
    size_bytes: int
    do: Literal["shrink-file-system"] = "shrink-file-system"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShrinkLogicalVolume:
    """Make a logical volume smaller; its file system was made so before."""

    group: str
    name: str
    size_bytes: int
    do: Literal["shrink-logical-volume"] = "shrink-logical-volume"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShrinkPhysicalVolume:
    """Let LVM use only the first bytes of a device."""

    device: str
    size_bytes: int
    do: Literal["shrink-physical-volume"] = "shrink-physical-volume"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFileSystem:
    """See that a file system is whole after it was moved."""

    device: str
    kind: str
    do: Literal["check-file-system"] = "check-file-system"


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeFileSystem:
    """Make a file system (or swap) on the whole of a new volume, and enter it into the guest's fstab where it is to be mounted."""

    target: str
    kind: str
    mount_point: str | None
    do: Literal["make-file-system"] = "make-file-system"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetMounts:
    """Take out of the guest's fstab what lay on volumes that its new server does not get: it would wait for them."""

    uuids: tuple[str, ...]
    labels: tuple[str, ...]
    mount_points: tuple[str, ...]
    do: Literal["forget-mounts"] = "forget-mounts"


Action = (
    Repartition
    | GrowPhysicalVolume
    | GrowLogicalVolume
    | GrowFileSystem
    | ShrinkFileSystem
    | ShrinkLogicalVolume
    | ShrinkPhysicalVolume
    | CheckFileSystem
    | MakeFileSystem
    | ForgetMounts
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuring:
    """The final configuration that is written into one server's files."""

    server: str
    wish: final.FinalConfiguration


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """All that one launch does to new servers' volumes: the actions once, for all, then what each server is to be on top of that."""

    actions: tuple[Action, ...] = ()
    configurations: tuple[Configuring, ...] = ()  # none: a seed gives them, or nothing can
    renewed: str | None = (
        None  # the server that gets UUIDs of its own on file systems, partitions, LVM; alone in its launch
    )
