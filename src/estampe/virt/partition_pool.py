"""Pools of the kind disk: their volumes are the partitions of one block device, which the kernel names.

Two traps of libvirt (seen in 9.0): a volume created by another name than the kernel's next is refused, but its partition
stays; and on a device whose own name ends in a digit (nvme0n1, loop0) deleting asks parted for partition "p1", which there is not.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any, Final

from estampe import errors, process

KIND: Final = "disk"
_MOST_PARTITIONS: Final = 128  # of a GPT as parted makes it
_PARTED_SECONDS: Final = 60.0


def next_name(pool: Any) -> str:
    """The name of the partition that comes next: `sdb3` after `sdb2`, `loop0p1` on an empty `loop0`.

    Raises: errors.HostLacks where there is room for no more.
    """
    taken = {volume.name() for volume in pool.listAllVolumes()}
    stem = _stem(_device(pool))
    for number in range(1, _MOST_PARTITIONS + 1):
        if f"{stem}{number}" not in taken:
            return f"{stem}{number}"
    raise errors.HostLacks(what="volume", detail=f"the pool {pool.name()} has {_MOST_PARTITIONS} partitions already")


def delete(pool: Any, volume: Any) -> None:
    """Remove the partition. Raises: errors.ProgramMissing, errors.ProcessFailed; libvirt's own errors."""
    device = _device(pool)
    if not device[-1:].isdigit():
        volume.delete(0)
        return
    number = volume.name().removeprefix(_stem(device))
    parted = process.find_program("parted", package="parted")
    process.run([parted, "--script", device, "rm", number], deadline_seconds=_PARTED_SECONDS)
    pool.refresh(0)


def identity(volume: Any) -> str | None:
    """Start, length and UUID of the partition, by the partition table; None where it cannot be read.

    In a GPT the UUID is made anew with each partition, so that one which comes later under the same number, in the same place,
    differs. An MBR has none: there it is the table's own with the number, and place and length must do.
    """
    device = _device(volume.storagePoolLookupByVolume())
    number = volume.name().removeprefix(_stem(device))
    partx = process.find_program("partx", package="util-linux")
    argv = [partx, "--raw", "--noheadings", "--output", "START,SECTORS,UUID", "--nr", number, device]
    try:
        told = process.run(argv, deadline_seconds=_PARTED_SECONDS)
    except (errors.ProcessFailed, errors.DeadlineExceeded):
        return None
    return " ".join(told.decode(errors="replace").split()) or None


def _device(pool: Any) -> str:
    root = ET.fromstring(pool.XMLDesc(0))  # noqa: S314 - libvirt wrote it
    device = root.find("source/device")
    return "" if device is None else device.get("path", "")


def _stem(device: str) -> str:
    name = device.rsplit("/", 1)[-1]
    return f"{name}p" if name[-1:].isdigit() else name
