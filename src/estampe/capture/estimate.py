"""Estimating a capture without touching the server: extents of its volumes, and a sample of their chunks."""

from __future__ import annotations

import array
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from estampe import errors
from estampe.block import base as block
from estampe.capture import request as requests
from estampe.capture import source
from estampe.model import extent
from estampe.store import base as stores
from estampe.store import chunks as store_chunks
from estampe.virt import base as virt

# Stored per plain byte where nothing could be read: a Debian root file system compresses to 0.38-0.45 (zstd level 1).
USUAL_RATIO: Final = 0.45
# 128 chunks of 256 KiB tell the ratio to about a tenth in well under a second.
SAMPLE_CHUNKS: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a volume would bring."""

    planned: requests.PlannedVolume
    new_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """Estimates volumes; `socket_directory` is for the export that reads a volume."""

    store: stores.Store
    chunks: store_chunks.Chunks
    socket_directory: Path

    def volume(self, volume: virt.DomainVolume, *, is_running: bool) -> Estimate:
        """Extents, and a sample of an offline server's volume, which nobody is kept from starting. Of a running one what it takes."""
        if is_running:
            return _by_allocation(volume)
        try:
            self.socket_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with source.open_shared(volume, socket_directory=self.socket_directory) as reader:
                size = self.store.chunk_size_bytes
                indexes = array.array("Q", extent.data_chunks(reader.extents(), size))
                data = min(len(indexes) * size, volume.size_bytes)
                return _estimate(volume, data, round(data * self._ratio(reader, indexes)))
        except errors.VolumeLocked:
            return _by_allocation(volume)

    def _ratio(self, reader: block.VolumeReader, indexes: array.array[int]) -> float:
        """New stored bytes per plain byte, of chunks picked by chance (the same ones for the same volume)."""
        if not indexes:
            return 0.0
        picked = random.Random(len(indexes)).sample(range(len(indexes)), min(SAMPLE_CHUNKS, len(indexes)))  # noqa: S311 - a sample, no secret
        plain_bytes = stored_bytes = 0
        size = self.store.chunk_size_bytes
        for index in sorted(indexes[nth] for nth in picked):
            plain = reader.read(index * size, min(size, reader.size_bytes - index * size))
            plain_bytes += len(plain)
            stored_bytes += self.chunks.estimate(plain)
        return stored_bytes / plain_bytes


def _by_allocation(volume: virt.DomainVolume) -> Estimate:
    allocated = min(_allocated_bytes(volume), volume.size_bytes)
    return _estimate(volume, allocated, round(allocated * USUAL_RATIO), is_estimated=True)


def _allocated_bytes(volume: virt.DomainVolume) -> int:
    """What the volume's layers take on their file system, without opening them.

    More than its data as a rule: zeros that were written, and what an upper layer covers, count; less only where clusters of
    qcow2 are compressed.
    """
    if any(layer.is_block_device for layer in volume.chain):
        return volume.size_bytes
    return sum(Path(layer.path).stat().st_blocks * 512 for layer in volume.chain)  # st_blocks: 512-byte units, stat(2)


def _estimate(volume: virt.DomainVolume, data_bytes: int, new_bytes: int, *, is_estimated: bool = False) -> Estimate:
    planned = requests.PlannedVolume(
        target=volume.target,
        bus=volume.bus,
        format=volume.chain[0].format,
        path=volume.chain[0].path,
        size_bytes=volume.size_bytes,
        data_bytes=data_bytes,
        skipped_bytes=volume.size_bytes - data_bytes,
        is_estimated=is_estimated,
    )
    return Estimate(planned=planned, new_bytes=new_bytes)
