"""What lies on a guest's volumes, named as the server names them, not as the appliance does.

the appliance      /dev/sda2   /dev/vg0/root   btrfsvol:/dev/sdb/@home
Estampe            vda2        vg0/root        vdb
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from estampe import errors
from estampe.guest import mounted, text

_PLAIN_DEVICE: Final = re.compile(r"(/dev/[a-z]+)(\d*)")
_UNKNOWN: Final = "unknown"
_LAST_PRIMARY: Final = 4  # of an MBR; from 5 on, partitions lie inside the extended one


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one partition, logical volume or whole volume holds."""

    device: str  # the appliance's name
    name: str  # ours
    kind: str  # ext4, swap, crypto_LUKS, unknown, ...
    size_bytes: int
    uuid: str | None
    label: str | None


class Volumes:
    """The volumes of a launched handle."""

    def __init__(self, handle: Any, targets: Sequence[str]) -> None:
        """`targets` in the order in which the drives were added."""
        self._handle, self._targets = handle, targets
        self._drives: frozenset[str] | None = None

    def _on_a_drive(self, device: str) -> re.Match[str] | None:
        """(drive, number of the partition) of a drive or its partition; None of what has a name of its own.

        Its look alone does not tell: the array /dev/md127 is no partition 127 of a drive /dev/md.
        """
        if self._drives is None:
            with mounted.guest_errors("listing the volumes"):
                self._drives = frozenset(self._handle.list_devices())
        match = _PLAIN_DEVICE.fullmatch(device)
        return match if match is not None and match[1] in self._drives else None

    def name(self, device: str) -> str:
        """Our name of a device or a partition."""
        match = self._on_a_drive(device)
        if match is None:
            return text.plain(device.removeprefix("/dev/").removeprefix("mapper/"))
        target = self._targets[self._handle.device_index(match[1])]
        separator = "p" if target[-1].isdigit() and match[2] else ""
        return f"{target}{separator}{match[2]}"

    def contents(self) -> list[Content]:
        """Everything that holds something, in the volumes' order; only containers of others (LVM, RAID members) are left out.

        Raises: errors.ApplianceFailed.
        """
        with mounted.guest_errors("looking at the volumes"):
            candidates = self._candidates()
        found = (self._content(device) for device in candidates)
        return [each for each in found if each is not None]

    def _candidates(self) -> list[str]:
        handle = self._handle
        partitions: list[str] = handle.list_partitions()
        parents = {match[1] for each in partitions if (match := _PLAIN_DEVICE.fullmatch(each))}
        whole = [device for device in handle.list_devices() if device not in parents]
        return [*whole, *partitions, *handle.list_md_devices(), *handle.lvs()]

    def _content(self, device: str) -> Content | None:
        with mounted.guest_errors(self.name(device)):
            told: dict[str, str] = self._handle.blkid(device)
            kind = told.get("TYPE", _UNKNOWN)
            if kind.endswith("_member") or (
                kind == _UNKNOWN and "PTTYPE" in told
            ):  # a container; an extended partition
                return None
            size = self._handle.blockdev_getsize64(device)
        return Content(
            device=device,
            name=self.name(device),
            kind=text.plain(kind),
            size_bytes=size,
            uuid=_shown(told.get("UUID")),
            label=_shown(told.get("LABEL")),
        )

    def is_last(self, device: str) -> bool:
        """Whether nothing on its volume comes after it, so that it can be grown in place. Not said of LVM and RAID."""
        match = self._on_a_drive(device)
        if match is None:
            return False
        if not match[2]:
            return True
        with mounted.guest_errors(self.name(device)):
            partitions = self._handle.part_list(match[1])
            is_mbr = self._handle.part_get_parttype(match[1]) == "msdos"
        last = max(partitions, key=lambda each: int(each["part_end"]))
        number = int(match[2])
        return bool(last["part_num"] == number) and not (is_mbr and number > _LAST_PRIMARY)

    def damage(self, content: Content) -> str | None:
        """What an ext file system says of itself where it has seen errors, else None; others tell when they are mounted."""
        if content.kind not in {"ext2", "ext3", "ext4"}:
            return None
        try:
            state: str = self._handle.tune2fs_l(content.device).get("Filesystem state", "")
        except RuntimeError as error:
            return text.plain(str(error))
        return text.plain(state) if "errors" in state else None

    def device_of(self, mountable: str) -> str:
        """The device under a mountable: a btrfs subvolume's file system. Raises: errors.ApplianceFailed."""
        if not mountable.startswith("btrfsvol:"):
            return mountable
        try:
            device: str = self._handle.mountable_device(mountable)
        except RuntimeError as error:
            raise errors.ApplianceFailed(detail=text.plain(str(error))) from error
        return device


def _shown(told: str | None) -> str | None:
    return None if told is None else text.plain(told)
