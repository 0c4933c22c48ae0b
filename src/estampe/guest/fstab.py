"""A guest's fstab(5): lines put in and taken out, all others as they were."""

from __future__ import annotations

import re
from typing import Final

from estampe.guest import base
from estampe.model import adjustment

_PATH: Final = "/etc/fstab"
_BY_TAG: Final = re.compile(r"(UUID|LABEL)=\"?([^\"]*)\"?")
_BY_LINK: Final = re.compile(r"/dev/disk/by-(uuid|label)/(.*)")


def add(appliance: base.Appliance, *, uuid: str, kind: str, mount_point: str | None) -> None:
    """Have a file system mounted (swap: used) at each boot; one that is away some day does not keep the guest from booting."""
    where, options = (mount_point or "none"), ("sw,nofail" if kind == "swap" else "defaults,nofail")
    if mount_point is not None:
        appliance.make_directory(mount_point)
    before = appliance.read(_PATH) if appliance.is_file(_PATH) else ""
    joint = "" if before.endswith("\n") or not before else "\n"
    fields = [f"UUID={uuid}", where, kind, options, "0", "0" if kind in {"swap", "xfs", "btrfs"} else "2"]
    appliance.write(_PATH, before + joint + " ".join(fields) + "\n")


def forget(appliance: base.Appliance, gone: adjustment.ForgetMounts) -> int:
    """Turn the lines of what is gone into comments: whoever gets the volume back finds them. Returns how many there were."""
    if not appliance.is_file(_PATH):
        return 0
    lines = appliance.read(_PATH).splitlines(keepends=True)
    changed = [f"# not on this server: {line}" if _is_of(line, gone) else line for line in lines]
    count = sum(before != after for before, after in zip(lines, changed, strict=True))
    if count:
        appliance.write(_PATH, "".join(changed))
    return count


def _is_of(line: str, gone: adjustment.ForgetMounts) -> bool:
    fields = line.split()
    if len(fields) < 2 or fields[0].startswith("#"):
        return False
    source, mount_point = fields[:2]
    match = _BY_TAG.fullmatch(source) or _BY_LINK.fullmatch(source)
    if match is not None:
        return match[2] in (gone.uuids if match[1].lower() == "uuid" else gone.labels)
    return mount_point in gone.mount_points
