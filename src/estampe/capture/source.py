"""The source's volumes, fenced and open for reading.

While an offline server is read, Estampe holds QEMU's own image locks on every file of every volume, and marks every block
device read-only: a QEMU that wants to write (a start of the server by anybody, by any means) is refused. Besides, each
layer's size and times are compared at the end: a writer that takes no locks is found out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from estampe import errors
from estampe.block import base as block
from estampe.block import file, mapped
from estampe.capture import exported
from estampe.model import configuration, extent
from estampe.virt import base as virt
from estampe.virt import device_fence, image_lock, qemu_img


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One volume of the server, open."""

    target: str
    reader: block.VolumeReader


@contextlib.contextmanager
def open_all(
    server: str, volumes: Sequence[virt.DomainVolume], *, writable_devices: Sequence[str], socket_directory: Path
) -> Iterator[list[Source]]:
    """Fence and open `volumes`; leaving without an error checks that nobody wrote to them meanwhile.

    `writable_devices` are those of their block devices that may be written to otherwise.

    Raises: errors.VolumeLocked, errors.VolumeGone, errors.ServerStarted.
    """
    layers = [(volume.target, layer) for volume in volumes for layer in volume.chain]
    with contextlib.ExitStack() as stack:
        stack.enter_context(image_lock.fence([layer.path for _target, layer in layers if not layer.is_block_device]))
        stack.enter_context(device_fence.fence(writable_devices))
        sources = [_open(stack, volume, socket_directory) for volume in volumes]
        before = [_fingerprint(target, layer.path) for target, layer in layers]
        yield sources
        after = [_fingerprint(target, layer.path) for target, layer in layers]
    for (target, _layer), was, now in zip(layers, before, after, strict=True):
        if was != now:
            raise errors.ServerStarted(server=server, volume=target)


@contextlib.contextmanager
def open_shared(volume: virt.DomainVolume, *, socket_directory: Path) -> Iterator[block.VolumeReader]:
    """Open a volume without a fence: nobody is kept from starting the server, and beside a writer what is read is an estimate.

    Raises: errors.VolumeLocked, errors.VolumeGone, errors.BlockIOFailed.
    """
    with _reader(volume, socket_directory, is_shared=True) as reader:
        yield reader


def devices(volumes: Sequence[virt.DomainVolume]) -> list[str]:
    """The block devices among the layers of `volumes`."""
    return [layer.path for volume in volumes for layer in volume.chain if layer.is_block_device]


def _open(stack: contextlib.ExitStack, volume: virt.DomainVolume, socket_directory: Path) -> Source:
    reader = stack.enter_context(_reader(volume, socket_directory, is_shared=False))
    return Source(target=volume.target, reader=reader)


def _reader(volume: virt.DomainVolume, socket_directory: Path, *, is_shared: bool) -> block.VolumeReader:
    """In place, under the fence: a copy through qemu-nbd's socket costs a third of the CPU time of a whole capture."""
    top = volume.chain[0]
    if len(volume.chain) == 1 and top.format is configuration.VolumeFormat.RAW:
        return file.FileReader(top.path)
    other = exported.ExportedReader(volume.chain, socket_directory=socket_directory, is_shared=is_shared)
    return mapped.MappedReader(
        other, [layer.path for layer in volume.chain], _look_up(volume.chain, is_shared=is_shared)
    )


def _look_up(chain: Sequence[virt.Layer], *, is_shared: bool) -> mapped.LookUp:
    def look_up(offset: int, length: int) -> list[mapped.Placed]:
        return [_placed(run) for run in qemu_img.map(chain, offset=offset, length=length, is_shared=is_shared)]

    return look_up


def _placed(run: qemu_img.MapExtent) -> mapped.Placed:
    kind = extent.Kind.ZERO if run.is_zero and run.is_present else extent.Kind.HOLE
    if run.is_data and not run.is_zero:
        kind = extent.Kind.DATA
    return mapped.Placed(extent.Extent(run.offset, run.length, kind), run.depth, run.host_offset)


def _fingerprint(target: str, path: str) -> tuple[int, ...]:
    try:
        found = Path(path).stat()
    except OSError as error:
        raise errors.VolumeGone(volume=target, path=path, detail=error.strerror or str(error)) from error
    return found.st_ino, found.st_size, found.st_mtime_ns
