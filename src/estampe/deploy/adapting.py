"""Adapting new servers before their first boot: one appliance launch on overlays over the template, then what it changed into the volumes.

    chunk store ──▶ NBD export of each volume ──▶ qcow2 overlay, of the new volume's size ──▶ one launch: adjust
                                                      ├── one more for each server that is configured ──▶ configure, in turns
    the server's volume: hydrated ◀── apply: only the ranges that changed, as often as a cut-off makes it do so

The overlays lie over the template and not over the server's volume: nothing of a server need be there yet, what fails costs no copying, a
volume that becomes smaller has its old end to move things from, and one launch serves all servers of a deploy.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from estampe import units
from estampe.block import base as block
from estampe.block import nbd, pipeline
from estampe.deploy import hydrate
from estampe.deploy import resolved as decisions
from estampe.export import nbdkit
from estampe.guest import appliance, overlay
from estampe.guest import base as guest
from estampe.model import adjustment, chunk, configuration, extent, manifest
from estampe.virt import base as virt
from estampe.virt import qemu_nbd

_DEADLINE_SECONDS: Final = 900.0  # launch, inspection and small file systems take 30-60 s under full emulation
_CHECKED_BYTES_PER_SECOND: Final = 100 * units.GIB / 60  # large ones are looked through before they are changed
_MOVED_BYTES_PER_SECOND: Final = (
    5 * units.MIB
)  # and what lies in the way is copied: 20-30 MiB/s where nothing else runs
_CONFIGURED_SECONDS: Final = 120.0  # each server's turn: 3-12 s under full emulation
_PIECE_BYTES: Final = 4 * units.MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one launch works; all of it goes with the operation."""

    directory: Path
    sockets: Path

    def overlay(self, target: str) -> Path:
        """The overlay over a volume: what is the same for all servers of the launch."""
        return self.directory / f"{target}.overlay.qcow2"

    def own(self, target: str, server: str) -> Path:
        """What lies over that, and is one server's alone."""
        return self.directory / f"{target}.own.{server}.qcow2"

    def layers(self, target: str, server: str, adaptation: adjustment.Adaptation) -> list[Path]:
        """All that was worked out for a server's volume, the top one first."""
        is_configured = any(each.server == server for each in adaptation.configurations)
        return [*([self.own(target, server)] if is_configured else []), self.overlay(target)]


class Adapting(Protocol):
    """What a deploy's steps have done to volumes. Each may be cut off anywhere, and is then done again from its beginning."""

    def adapt(
        self,
        found: manifest.Manifest,
        volumes: Sequence[decisions.ResolvedVolume],
        adaptation: adjustment.Adaptation,
        *,
        place: Place,
        check_cancelled: Callable[[], None],
        tell: Callable[[str], None],
    ) -> guest.Adapted:
        """Work out in `place` what the volumes are to become; nothing of a server is touched.

        Raises: errors.ApplianceFailed, errors.ChunkCorrupt, errors.ChunkMissing, what `check_cancelled` raises.
        """

    def apply(
        self,
        layers: Sequence[Path],
        writer: block.VolumeWriter,
        *,
        sockets: Path,
        advance: Callable[[int], None],
        check_cancelled: Callable[[], None],
    ) -> None:
        """Write what was worked out for one volume (its layers in the place) into it, hydrated, and flush it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """See `Adapting`: by launches of the appliance on this host, over this store."""

    store_location: str
    is_kvm_usable: Callable[[], bool]
    cache_directory: Path
    threads: int

    def adapt(
        self,
        found: manifest.Manifest,
        volumes: Sequence[decisions.ResolvedVolume],
        adaptation: adjustment.Adaptation,
        *,
        place: Place,
        check_cancelled: Callable[[], None],
        tell: Callable[[str], None],
    ) -> guest.Adapted:
        """Make the overlays anew, and have them adapted."""
        for directory in (place.directory, place.sockets):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            exports: list[nbdkit.Export] = []
            drives = [
                dataclasses.replace(
                    self._drive(stack, exports, found, volume, place), own=_own(place, volume, found, adaptation)
                )
                for volume in volumes
            ]
            try:
                return appliance.adapt(
                    appliance.Job(drives=tuple(drives), adaptation=adaptation),
                    is_kvm_usable=self.is_kvm_usable(),
                    work_directory=place.directory,
                    deadline_seconds=deadline_seconds(volumes, adaptation),
                    check_cancelled=check_cancelled,
                    tell=tell,
                    cache_directory=self.cache_directory,
                )
            finally:
                for export in exports:
                    export.check()  # a damaged chunk is why a file system could not be read

    def _drive(
        self,
        stack: contextlib.ExitStack,
        exports: list[nbdkit.Export],
        found: manifest.Manifest,
        volume: decisions.ResolvedVolume,
        place: Place,
    ) -> appliance.Drive:
        path = place.overlay(volume.target)
        source = found.find_volume(volume.target)
        if source is None:
            overlay.create_empty(path, size_bytes=volume.size_bytes)
            return appliance.Drive(target=volume.target, overlay=path)
        table = place.directory / f"{volume.target}.table"
        chunk.write_table(table, source.table, chunk.chunk_count(source.size_bytes, found.chunk_size_bytes))
        export = nbdkit.serve(
            self.store_location,
            table,
            size_bytes=source.size_bytes,
            chunk_size_bytes=found.chunk_size_bytes,
            socket=place.sockets / f"{volume.target}.sock",
        )
        exports.append(stack.enter_context(export))
        overlay.create(path, backing_socket=exports[-1].socket, size_bytes=_overlay_bytes(volume, found))
        return appliance.Drive(
            target=volume.target, overlay=path, sector_size_bytes=found.sector_size_bytes(volume.target)
        )

    def apply(
        self,
        layers: Sequence[Path],
        writer: block.VolumeWriter,
        *,
        sockets: Path,
        advance: Callable[[int], None],
        check_cancelled: Callable[[], None],
    ) -> None:
        """Only what has changed, as the overlays' own map tells."""
        # The overlays alone, cut from their backing: only changed ranges are read from them.
        qcow2 = configuration.VolumeFormat.QCOW2
        chain = [virt.Layer(path=str(path), format=qcow2, is_block_device=False) for path in layers]
        sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            qemu_nbd.export(chain, socket_dir=sockets, is_read_only=True, connections=self.threads) as export,
            nbd.NbdVolume(Path(export.socket_path), connections=self.threads) as reader,
        ):

            def work(piece: extent.Extent) -> None:
                if piece.kind is extent.Kind.DATA:
                    plain = reader.read(piece.offset, piece.length)
                    hydrate.write_sparse(writer, piece.offset, plain, is_zeroed=False)
                else:
                    writer.zero(piece.offset, piece.length)
                advance(piece.length)

            changed = _pieces(overlay.changed(*layers), end=writer.size_bytes)
            pipeline.run(changed, work, threads=self.threads, check_cancelled=check_cancelled)
        writer.flush()


def _own(
    place: Place, volume: decisions.ResolvedVolume, found: manifest.Manifest, adaptation: adjustment.Adaptation
) -> tuple[Path, ...]:
    """Made anew, one for each server that is configured."""
    paths = tuple(place.own(volume.target, each.server) for each in adaptation.configurations)
    for path in paths:
        overlay.create_empty(path, size_bytes=_overlay_bytes(volume, found))
    return paths


def _overlay_bytes(volume: decisions.ResolvedVolume, found: manifest.Manifest) -> int:
    """A volume that becomes smaller has its old end to move things from."""
    source = found.find_volume(volume.target)
    return volume.size_bytes if source is None else max(source.size_bytes, volume.size_bytes)


def _pieces(changed: Iterator[extent.Extent], *, end: int) -> Iterator[extent.Extent]:
    """In lengths that are read at once; what lies beyond a volume that has become smaller is no longer its."""
    for run in changed:
        for at in range(run.offset, min(run.end, end), _PIECE_BYTES):
            yield extent.Extent(at, min(_PIECE_BYTES, run.end - at, end - at), run.kind)


def deadline_seconds(volumes: Sequence[decisions.ResolvedVolume], adaptation: adjustment.Adaptation) -> float:
    """How long the appliance may take: a guest with much to move is no guest that hangs."""
    size = sum(volume.size_bytes for volume in volumes)
    moves = [move for each in adaptation.actions if isinstance(each, adjustment.Repartition) for move in each.moves]
    moved = sum(move.size_bytes for move in moves)
    configured = len(adaptation.configurations) * _CONFIGURED_SECONDS
    return _DEADLINE_SECONDS + size / _CHECKED_BYTES_PER_SECOND + moved / _MOVED_BYTES_PER_SECOND + configured
