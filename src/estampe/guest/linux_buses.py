"""Which buses a Linux guest is known to find its volumes on when it boots: a template may be deployed on another one.

Known is little: its kernels have the driver, its initramfs is made with all drivers there are, and nothing calls a volume by a
name that another bus changes (/dev/vda1). Whatever is not understood counts as not known.
"""

from __future__ import annotations

import re
from typing import Final

from estampe.guest import base

_DRIVERS: Final = {
    "virtio-blk": ("drivers/block/virtio_blk",),
    "virtio-scsi": ("drivers/scsi/virtio_scsi", "drivers/scsi/sd_mod"),
}
_MODULE_DIRECTORIES: Final = ("/lib/modules", "/usr/lib/modules")
_NAMED_BY_BUS: Final = re.compile(r"/dev/(vd|sd|hd|xvd)[a-z]")
_NAMING_FILES: Final = ("/etc/fstab", "/etc/crypttab", "/boot/grub/grub.cfg", "/etc/default/grub")
# initramfs-tools(7), initramfs.conf(5): `most` adds every block and SCSI driver, the lists add theirs to whatever is chosen;
# the last file that says something wins.
_INITRAMFS_FILES: Final = ("/etc/initramfs-tools/initramfs.conf", "/etc/initramfs-tools/conf.d/*")
_LISTS: Final = ("/etc/initramfs-tools/modules", "/usr/share/initramfs-tools/modules.d/*")
_MODULES: Final = re.compile(r"^\s*MODULES=[\"']?(\w+)[\"']?", re.MULTILINE)


def known(appliance: base.Appliance) -> tuple[str, ...]:
    """Of virtio-blk and virtio-scsi those that are known. Reads only. Raises: errors.ApplianceFailed."""
    kernels = [path.partition("vmlinuz-")[2] for path in appliance.glob("/boot/vmlinuz-*")]
    if not kernels or _names_by_bus(appliance):
        return ()
    in_initramfs = _in_initramfs(appliance)
    return tuple(
        bus
        for bus, drivers in _DRIVERS.items()
        if all(
            _is_builtin(appliance, kernel, driver) or (driver in in_initramfs and _is_module(appliance, kernel, driver))
            for kernel in kernels
            for driver in drivers
        )
    )


def _in_initramfs(appliance: base.Appliance) -> set[str]:
    """The drivers that every initramfs of the guest is made with, as far as its kernel has them."""
    said = [word for path in _files(appliance, *_INITRAMFS_FILES) for word in _MODULES.findall(appliance.read(path))]
    drivers = {driver for needed in _DRIVERS.values() for driver in needed}
    if said[-1:] == ["most"]:
        return drivers
    if not said:  # another program makes it
        return set()
    listed = {
        line.split()[0]
        for path in _files(appliance, *_LISTS)
        for line in appliance.read(path).splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    }
    return {driver for driver in drivers if driver.rpartition("/")[2] in listed}


def _files(appliance: base.Appliance, *patterns: str) -> list[str]:
    """In the order of the patterns."""
    return [path for pattern in patterns for path in appliance.glob(pattern) if appliance.is_file(path)]


def _names_by_bus(appliance: base.Appliance) -> bool:
    return any(
        _NAMED_BY_BUS.search(line.partition("#")[0])
        for path in _NAMING_FILES
        if appliance.is_file(path)
        for line in appliance.read(path).splitlines()
    )


def _is_module(appliance: base.Appliance, kernel: str, driver: str) -> bool:
    return any(appliance.glob(f"{directory}/{kernel}/kernel/{driver}.ko*") for directory in _MODULE_DIRECTORIES)


def _is_builtin(appliance: base.Appliance, kernel: str, driver: str) -> bool:
    """Whether it is part of that kernel (modules.builtin, one path a line)."""
    files = _files(appliance, *(f"{directory}/{kernel}/modules.builtin" for directory in _MODULE_DIRECTORIES))
    return any(f"kernel/{driver}.ko" in appliance.read(path).splitlines() for path in files)
