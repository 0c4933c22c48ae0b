"""Finishing the copy, never the source: inspect, seal and trim on overlays over what was captured.

chunk store ──▶ NBD export of each volume ──▶ qcow2 overlay ──▶ one appliance launch: inspect, seal, trim
                                                  │
                                                  └──▶ only the ranges that changed become new chunks
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from estampe import errors, units
from estampe.block import nbd
from estampe.capture import volume
from estampe.export import nbdkit
from estampe.guest import appliance, overlay
from estampe.guest import base as guest
from estampe.model import chunk, configuration
from estampe.model import guest as guests
from estampe.virt import base as virt
from estampe.virt import qemu_nbd

_DEADLINE_SECONDS: Final = 600.0  # launch, inspection, seal and trim take 20-40 s under full emulation
_TRIM_BYTES_PER_SECOND: Final = 100 * units.GIB / 60  # what more there is to trim takes more time: a minute per 100 GiB
_CONNECTIONS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One captured volume: its table and where the finished one goes."""

    target: str
    size_bytes: int
    table: Path
    finished_table: Path
    sector_size_bytes: int = 512  # the logical one of the volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Finisher:
    """Knows how to launch the appliance on this host."""

    store_location: str
    chunk_size_bytes: int
    is_kvm_usable: Callable[[], bool]
    cache_directory: Path  # keeps the built appliance: 400 MB that take 10 s to make

    def run(
        self,
        copies: Sequence[Copy],
        *,
        is_uefi: bool,
        wish: guests.SealingWish,
        workspace: Path,
        sockets: Path,
        check_cancelled: Callable[[], None],
    ) -> guest.Finished:
        """Inspect, seal and trim on overlays in `workspace`. A guest that cannot be worked on is told as not sealed."""
        with contextlib.ExitStack() as stack:
            exports = [self._export(stack, copy, sockets) for copy in copies]
            drives = [_drive(copy, export.socket, workspace) for copy, export in zip(copies, exports, strict=True)]
            try:
                finished = appliance.finish(
                    appliance.Job(drives=tuple(drives), is_uefi=is_uefi, wish=wish),
                    is_kvm_usable=self.is_kvm_usable(),
                    work_directory=workspace,
                    deadline_seconds=deadline_seconds(copies),
                    check_cancelled=check_cancelled,
                    cache_directory=self.cache_directory,
                )
            except (errors.ApplianceFailed, errors.DeadlineExceeded, errors.ProgramMissing) as error:
                finished = guest.Finished(guest=None, sealing=not_sealed(str(error)))
            for export in exports:
                export.check()  # a damaged chunk is no reason to call the guest unknown
            return finished

    def _export(self, stack: contextlib.ExitStack, copy: Copy, sockets: Path) -> nbdkit.Export:
        socket = sockets / f"{copy.target}.copy.sock"
        return stack.enter_context(
            nbdkit.serve(
                self.store_location,
                copy.table,
                size_bytes=copy.size_bytes,
                chunk_size_bytes=self.chunk_size_bytes,
                socket=socket,
            )
        )


def deadline_seconds(copies: Sequence[Copy]) -> float:
    """How long the appliance may take: a guest with much to trim is no guest that hangs."""
    return _DEADLINE_SECONDS + sum(copy.size_bytes for copy in copies) / _TRIM_BYTES_PER_SECOND


def _drive(copy: Copy, socket: Path, workspace: Path) -> appliance.Drive:
    path = overlay_path(workspace, copy.target)
    path.unlink(missing_ok=True)  # a step that was cut off runs again, from the copy as it was
    overlay.create(path, backing_socket=socket, size_bytes=copy.size_bytes)
    return appliance.Drive(target=copy.target, overlay=path, sector_size_bytes=copy.sector_size_bytes)


def overlay_path(workspace: Path, target: str) -> Path:
    """Where the overlay over a copied volume lies."""
    return workspace / f"{target}.overlay.qcow2"


def not_sealed(why_not: str) -> guests.Sealing:
    """A copy left as it was."""
    return guests.Sealing(is_sealed=False, why_not=why_not, actions=(), trimmed_bytes=0)


def absorb(copier: volume.Copier, copy: Copy, *, workspace: Path, sockets: Path) -> volume.Copied:
    """Write the finished table: the copy's with the overlay's changed ranges worked in as new chunks."""
    count = chunk.chunk_count(copy.size_bytes, copier.chunk_size_bytes)
    with chunk.TableFile(copy.table, count) as copied:
        chunk.write_table(copy.finished_table, copied.table(), count)
    path = overlay_path(workspace, copy.target)
    changed = overlay.changed(path)
    # The overlay alone, cut from its backing: only changed ranges are read from it.
    top = virt.Layer(path=str(path), format=configuration.VolumeFormat.QCOW2, is_block_device=False)
    with (
        qemu_nbd.export([top], socket_dir=sockets, is_read_only=True, connections=_CONNECTIONS) as export,
        nbd.NbdVolume(Path(export.socket_path), connections=_CONNECTIONS) as reader,
        chunk.TableFile(copy.finished_table, count) as finished,
    ):
        patched = copier.patch(reader, changed, finished, size_bytes=copy.size_bytes)
        finished.sync()
    return patched
