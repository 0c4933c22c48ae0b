"""The directories that Estampe keeps: there, writable, durable, with space, and open to QEMU where QEMU must go."""

from __future__ import annotations

import dataclasses
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from estampe import config, durability, errors, units
from estampe.doctor import check
from estampe.store import durable, local_layout

_FEW_BYTES: Final = 10 * units.GIB  # less than one usual server's data
_NONE_BYTES: Final = 512 * units.MIB  # the seal's overlay alone may need that much
_SLOW_SYNC_SECONDS: Final = 0.5  # a disk takes 5-30 ms, a busy one ten times that
_VOLATILE: Final = frozenset({"tmpfs", "ramfs"})
_MOUNTS: Final = Path("/proc/self/mounts")
_AS_ROOT: Final = "sudo estampe doctor"


def check_places(settings: config.Settings) -> Iterator[check.Check]:
    """State, store, seeds and NVRAM."""
    mounts = _MOUNTS.read_text(errors="replace")
    yield check_directory("state directory", settings.state_directory, mounts=mounts, needs_bytes=_NONE_BYTES)
    yield check_store(settings.store, mounts=mounts)
    yield check_walkable(settings.state_directory)
    yield check_nvram(settings.nvram_directory)


def check_store(path: Path, *, mounts: str) -> check.Check:
    """The store's directory and, where there is a store already, whether this Estampe can read it."""
    name = "store"
    found = check_directory(name, path, mounts=mounts, needs_bytes=_FEW_BYTES)
    if found.status is check.Status.FAIL:
        return found
    try:
        if not path.exists() or not any(path.iterdir()):
            return found
        durable.require_syncfs()
        chunk_size = local_layout.Layout(str(path)).read_format()
    except errors.StoreMismatch as error:
        return check.fail(name, str(error), fix="set store_directory to a store or an empty directory")
    except errors.EstampeError as error:
        return check.fail(name, str(error), fix="apt-get install linux-image-cloud-amd64 && reboot")
    except OSError as error:
        return check.fail(name, f"{path} cannot be read: {error.strerror}", fix=_AS_ROOT)
    found_text = f"{found.found}, chunks of {units.format_bytes(chunk_size)}"
    return dataclasses.replace(found, found=found_text)


def check_directory(name: str, path: Path, *, mounts: str, needs_bytes: int) -> check.Check:
    """Whether files can be written in it (or in the parent that it will be made in), kept and made durable.

    `mounts` is the text of /proc/self/mounts. Below `needs_bytes` free is a warning.
    """
    there = path
    try:
        there = _nearest(path)
        seconds = _sync_seconds(there)
        space = os.statvfs(there)
    except PermissionError:
        return check.fail(name, f"you may not write in {there}", fix=_AS_ROOT)
    except OSError as error:
        return check.fail(
            name, f"{there} cannot be written: {error.strerror}", fix=f"df -h {there}; mount | grep {there}"
        )
    where = str(path) if there == path else f"{path} (made at the first start)"
    free = space.f_bavail * space.f_frsize
    kind = file_system(there, mounts)
    found = f"{where}, {kind}, {units.format_bytes(free)} free"
    if kind in _VOLATILE:
        return check.warn(
            name,
            f"{found}: all is lost when the machine stops",
            fix="choose a directory on a disk: set state_directory, store_directory",
        )
    if free < needs_bytes:
        return check.warn(
            name,
            f"{found}: that is little",
            fix="free some, or choose another place: set state_directory, store_directory",
        )
    if seconds > _SLOW_SYNC_SECONDS:
        return check.warn(
            name,
            f"{found}; making one file durable took {units.format_duration(seconds)}",
            fix="choose a faster disk, or look at what else writes: iostat -x 1",
        )
    return check.ok(name, found)


def check_walkable(state_directory: Path) -> check.Check:
    """QEMU runs as a user of its own and opens a deployed server's seed by its path below the state directory."""
    name = "way for QEMU to the seeds"
    try:
        closed = [
            place
            for place in (state_directory / "seeds", *state_directory.parents, state_directory)
            if place.exists() and not place.stat().st_mode & stat.S_IXOTH
        ]
    except OSError as error:
        return check.fail(name, f"you may not look: {error.strerror}: {error.filename}", fix=_AS_ROOT)
    if closed:
        paths = " ".join(map(str, closed))
        return check.fail(
            name, f"others may not enter {paths}: deployed servers cannot open their seeds", fix=f"chmod o+x {paths}"
        )
    return check.ok(name, str(state_directory / "seeds"))


def check_nvram(directory: Path) -> check.Check:
    """Where UEFI variables are kept."""
    name = "NVRAM directory"
    try:
        is_there = directory.is_dir()
    except OSError as error:  # /var/lib/libvirt/qemu is closed to others on Debian
        return check.fail(name, f"you may not look into {directory}: {error.strerror}", fix=_AS_ROOT)
    if not is_there:
        return check.warn(
            name,
            f"{directory} is not there: UEFI servers cannot be deployed",
            fix=f"install -d -o libvirt-qemu -g kvm {directory}",
        )
    if not os.access(directory, os.W_OK):
        return check.fail(name, f"you may not write in {directory}", fix=_AS_ROOT)
    return check.ok(name, str(directory))


def file_system(path: Path, mounts: str) -> str:
    """The kind of the file system that the path is on, by the longest mount point above it; the last of equals."""
    kind, longest = "unknown", -1
    real = os.path.realpath(path)
    for line in mounts.splitlines():
        _device, point, this_kind, *_rest = line.split()
        point = point.replace("\\040", " ")
        is_above = real == point or real.startswith(point.rstrip("/") + "/")
        if is_above and len(point) >= longest:
            kind, longest = this_kind, len(point)
    return kind


def _nearest(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def _sync_seconds(directory: Path) -> float:
    """How long it takes to make one new file durable, name included. Raises: OSError."""
    began = time.monotonic()
    with tempfile.NamedTemporaryFile(prefix=".estampe-doctor-", dir=directory) as file:
        file.write(b"\0" * 4096)
        file.flush()
        os.fsync(file.fileno())
        durability.sync_directory(directory)
    return time.monotonic() - began
