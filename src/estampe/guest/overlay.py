"""A writable qcow2 overlay over a volume served by NBD, and what was written into it.

export  |############............####|      never written to
overlay |--data--|------|zero|-------|      depth 0: exactly what was changed, in whole clusters
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from estampe import process, units
from estampe.model import extent

_PACKAGE: Final = "qemu-utils"
_JSON: Final = "json:"
_DEADLINE_SECONDS: Final = 300.0  # metadata only; seconds per TiB

# A cluster is freed whole or not at all, so what a deleted file left in a smaller gap stays in the copy: 0.8 % of a deleted
# 100 MiB file with 64 KiB clusters, nothing with 4 KiB ones, a file system's usual block. The cost: 8 bytes of table for each
# cluster that is freed. Measured for an empty volume, the worst: 0.15 CPU seconds and 2 MiB per GiB with 4 KiB clusters,
# 0.007 s and 0.5 MiB with 16 KiB, 0.0006 s and 0.13 MiB with 64 KiB.
_CLUSTER_SIZES: Final = ((64 * units.GIB, 4096), (units.TIB, 16384))  # (up to this volume size, bytes)
_LARGEST_CLUSTER: Final = 65536
# Who may write to every second cluster makes a map of as many runs as there are clusters: 115 MiB of Python's objects per
# GiB of 4 KiB clusters. So a map is asked for piece by piece: at most 30 MiB at a time, and one more qemu-img (some 20 ms)
# per 256 MiB of the smallest clusters.
WINDOW_CLUSTERS: Final = 65536


def create(path: Path, *, backing_socket: Path, size_bytes: int) -> None:
    """Make the overlay, replacing a file at `path`.

    The backing is named whole, format and all, so that nobody ever guesses a format from what a guest wrote. A new file,
    not the old one emptied: a QEMU of a killed appliance may hold the old one's lock for some seconds more.

    Raises: errors.ProgramMissing, errors.ProcessFailed, errors.DeadlineExceeded.
    """
    path.unlink(missing_ok=True)
    cluster = _cluster(size_bytes)
    arguments = ["-f", "qcow2", "-F", "raw", "-b", _json_name(_backing(backing_socket))]
    _qemu_img("create", "-q", "-u", "-o", f"cluster_size={cluster}", *arguments, str(path), str(size_bytes))


def create_empty(path: Path, *, size_bytes: int) -> None:
    """Make one that names nothing beneath: over a new volume, or put over another by whoever opens it. Raises: as `create`."""
    path.unlink(missing_ok=True)
    _qemu_img("create", "-q", "-f", "qcow2", "-o", f"cluster_size={_cluster(size_bytes)}", str(path), str(size_bytes))


def _cluster(size_bytes: int) -> int:
    return next((cluster for limit, cluster in _CLUSTER_SIZES if size_bytes <= limit), _LARGEST_CLUSTER)


def changed(*layers: Path, window_clusters: int = WINDOW_CLUSTERS) -> Iterator[extent.Extent]:
    """The ranges that overlays (the top one first) themselves hold: DATA, or ZERO where they say zeros whatever lies beneath. Ascending.

    Told as they are looked up, window by window. What lies beneath the last one need not be there any more.
    Raises, at the first range or a later one: errors.ProgramMissing, errors.ProcessFailed, errors.DeadlineExceeded.
    """
    header = _header(layers[0])
    looks = (_present(_map(_alone(*layers), window)) for window in header.windows(window_clusters))
    yield from extent.merge(each for look in looks for each in look)


def freed_bytes(path: Path, *, window_clusters: int = WINDOW_CLUSTERS) -> int:
    """How many bytes of data beneath the overlay now read as zeros; the export must still be served.

    Raises: errors.ProgramMissing, errors.ProcessFailed, errors.DeadlineExceeded.
    """
    header, total = _header(path), 0
    for window in header.windows(window_clusters):
        zeros = [each for each in _present(_map(_alone(path), window)) if each.kind is extent.Kind.ZERO]
        if zeros and header.backing is not None:
            beneath = [each for each in _present(_map(header.backing, window)) if each.kind is extent.Kind.DATA]
            total += _common_bytes(zeros, beneath)
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """What the overlay says of itself."""

    size_bytes: int
    cluster_bytes: int
    backing: dict[str, Any] | None  # None: a new volume's

    def windows(self, clusters: int) -> Iterator[tuple[int, int]]:
        """(offset, length) of pieces of so many clusters, to the end of the volume."""
        step = clusters * self.cluster_bytes
        for offset in range(0, self.size_bytes, step):
            yield offset, min(step, self.size_bytes - offset)


def _header(path: Path) -> _Header:
    told = json.loads(_qemu_img("info", "--output=json", "-f", "qcow2", str(path)))
    backing = told.get("backing-filename")
    return _Header(
        size_bytes=told["virtual-size"],
        cluster_bytes=told["cluster-size"],
        backing=json.loads(backing.removeprefix(_JSON)) if backing else None,
    )


def _common_bytes(some: list[extent.Extent], others: list[extent.Extent]) -> int:
    """Bytes in both of two ascending lists."""
    total = at = nth = 0
    while at < len(some) and nth < len(others):
        left, right = some[at], others[nth]
        total += max(0, min(left.end, right.end) - max(left.offset, right.offset))
        if left.end <= right.end:
            at += 1
        else:
            nth += 1
    return total


def _backing(socket: Path) -> dict[str, Any]:
    return {"driver": "raw", "file": {"driver": "nbd", "server": {"type": "unix", "path": str(socket)}}}


def _alone(*layers: Path) -> dict[str, Any]:
    """The overlays without what lies beneath."""
    beneath = _alone(*layers[1:]) if layers[1:] else None
    return {"driver": "qcow2", "file": {"driver": "file", "filename": str(layers[0])}, "backing": beneath}


def _map(options: dict[str, Any], window: tuple[int, int]) -> list[dict[str, Any]]:
    part = (f"--start-offset={window[0]}", f"--max-length={window[1]}")
    ranges: list[dict[str, Any]] = json.loads(_qemu_img("map", *part, "--output=json", _json_name(options)))
    return ranges


def _present(ranges: list[dict[str, Any]]) -> Iterator[extent.Extent]:
    """qemu-img(1), map: `present` is false where no layer says anything (since QEMU 6.1), `zero` where it reads as zeros."""
    for each in ranges:
        if each["present"]:
            kind = extent.Kind.ZERO if each["zero"] else extent.Kind.DATA
            yield extent.Extent(each["start"], each["length"], kind)


def _json_name(options: dict[str, Any]) -> str:
    """QEMU's file name for a whole block node: see qemu-block-drivers(7), "json:"."""
    return _JSON + json.dumps(options)


def _qemu_img(*arguments: str) -> bytes:
    program = process.find_program("qemu-img", package=_PACKAGE)
    return process.run([program, *arguments], deadline_seconds=_DEADLINE_SECONDS)
