"""libguestfs' appliance, in which copies of guests are inspected, sealed and trimmed. Without it templates are not sealed."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from estampe import errors, process, units
from estampe.doctor import check

_BOOT: Final = Path("/boot")
_MODULES: Final = Path("/lib/modules")
_LIBRARIES: Final = Path("/usr/lib")
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LAUNCH_SECONDS: Final = (
    180.0  # 10 s under full emulation, 25 s where the appliance is built first; a busy host is slower
)
_LAUNCH: Final = """
import guestfs
g = guestfs.GuestFS(python_return_dict=True)
g.set_memsize(512)
g.add_drive_scratch(16 << 20)
g.launch()
g.shutdown()
"""


@dataclass(frozen=True, slots=True)
class Tool:
    """What the appliance needs for a kind of file system: a program, whose package supermin copies from the host."""

    kind: str
    program: str
    package: str
    support: str = ""  # Debian's package that tells supermin to copy it; empty: libguestfs0 itself does


_TOOLS: Final = (
    Tool("ext4", "e2fsck", "e2fsprogs"),
    Tool("vfat", "fsck.vfat", "dosfstools"),
    Tool("xfs", "xfs_repair", "xfsprogs", "libguestfs-xfs"),
    Tool("btrfs", "btrfs", "btrfs-progs"),
    Tool("ntfs", "ntfs-3g", "ntfs-3g"),
    Tool("LVM", "lvm", "lvm2"),
)


def check_appliance(*, is_full: bool, is_kvm_usable: bool) -> Iterator[check.Check]:
    """Its kernel, its file systems and, when asked for, a launch."""
    kernel = check_kernel(boot=_BOOT, modules=_MODULES)
    yield kernel
    yield check_file_systems(listed=_listed(_LIBRARIES), installed=_installed())
    if is_full and kernel.status is not check.Status.FAIL:
        yield check_launch(is_kvm_usable=is_kvm_usable)


def check_kernel(*, boot: Path, modules: Path) -> check.Check:
    """A kernel in `boot` that may be read and has its modules: supermin takes the newest."""
    name = "appliance kernel"
    if "SUPERMIN_KERNEL" in os.environ:
        given = Path(os.environ["SUPERMIN_KERNEL"])
        found = f"{given} (SUPERMIN_KERNEL)"
        return (
            check.ok(name, found)
            if os.access(given, os.R_OK)
            else check.fail(name, f"{found} cannot be read", fix="unset SUPERMIN_KERNEL")
        )
    kernels = sorted(boot.glob("vmlinuz-*"))
    if not kernels:
        return check.fail(
            name, f"there is none in {boot}: copies cannot be sealed", fix="apt-get install linux-image-cloud-amd64"
        )
    readable = [kernel for kernel in kernels if os.access(kernel, os.R_OK)]
    if not readable:
        return check.fail(name, f"none in {boot} may be read by you", fix=f"chmod 0644 {boot}/vmlinuz-*")
    usable = [kernel for kernel in readable if (modules / kernel.name.removeprefix("vmlinuz-")).is_dir()]
    if not usable:
        found = f"{readable[-1]} has no modules in {modules}"
        return check.fail(name, found, fix="apt-get install linux-image-cloud-amd64")
    return check.ok(name, str(usable[-1]))


def check_file_systems(*, listed: Collection[str], installed: Collection[str]) -> check.Check:
    """Which file systems the appliance can open.

    `listed`: packages that supermin would copy, empty where that is not known; `installed`: programs of the host.
    """
    name = "appliance file systems"
    missing = [tool for tool in _TOOLS if tool.program not in installed or (listed and tool.package not in listed)]
    if not missing:
        return check.ok(name, ", ".join(tool.kind for tool in _TOOLS))
    packages = " ".join(tool.support or tool.package for tool in missing)
    found = f"it cannot open {', '.join(tool.kind for tool in missing)}: such guests are captured, but not sealed"
    return check.warn(name, found, fix=f"apt-get install {packages}")


def check_launch(*, is_kvm_usable: bool) -> check.Check:
    """Launch it, in a child with a deadline: where KVM does not work it would hang for ever."""
    name = "appliance launch"
    env = {**os.environ, "LIBGUESTFS_BACKEND": "direct"}
    if not is_kvm_usable:
        env["LIBGUESTFS_BACKEND_SETTINGS"] = "force_tcg"
    began = time.monotonic()
    try:
        process.run([sys.executable, "-c", _LAUNCH], deadline_seconds=_LAUNCH_SECONDS, env=env)
    except errors.EstampeError as error:
        return check.fail(name, str(error), fix="libguestfs-test-tool  # shows where it ends")
    return check.ok(name, f"up in {units.format_duration(time.monotonic() - began)}")


def _listed(libraries: Path) -> set[str]:
    """What the lists of supermin's prepared appliance name; they lie in a directory of the architecture on Debian."""
    lists = [*libraries.glob("guestfs/supermin.d/packages*"), *libraries.glob("*/guestfs/supermin.d/packages*")]
    return {word for path in lists for word in path.read_text(errors="replace").split()}


def _installed() -> set[str]:
    return {tool.program for tool in _TOOLS if shutil.which(tool.program, path=_PATH)}
