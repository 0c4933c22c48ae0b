"""A store in memory with templates in it."""

import dataclasses
import datetime
import itertools
import random
import uuid
from collections.abc import Callable, Sequence

import pytest

from estampe.model import chunk, configuration, guest, manifest
from estampe.store import chunks, manifests, memory

CHUNK_SIZE = 4096
CREATED = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


class Templates:
    """Makes templates of one volume out of plain chunks; `None` is a zero chunk."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.store = memory.MemoryStore(chunk_size_bytes=CHUNK_SIZE, clock=lambda: self.now)
        self.chunks = chunks.Chunks(self.store)
        self._numbers = itertools.count(1)

    def add(
        self, plains: Sequence[bytes | None], nvram: bytes | None = None, inventory: bytes | None = None
    ) -> manifest.Manifest:
        with self.store.writer() as writer:
            ids = [plain and self.chunks.put(writer, plain).chunk_id for plain in plains]
            blob, listed = (data and chunks.put_blob(self.chunks, writer, data) for data in (nvram, inventory))
            writer.flush()
        made = dataclasses.replace(describe(ids, plains, blob, next(self._numbers)), inventory=listed)
        manifests.put(self.store, made)
        return made


def describe(ids, plains, blob, number) -> manifest.Manifest:
    size = sum(CHUNK_SIZE if plain is None else len(plain) for plain in plains)
    runs = [chunk.Run(index, chunk_id) for index, chunk_id in enumerate(ids) if chunk_id]
    return manifest.Manifest(
        template_id=uuid.UUID(int=number), owner_id=uuid.UUID(int=1), name="web", version=number, created_at=CREATED,
        chunk_size_bytes=CHUNK_SIZE, configuration=recorded(), nvram=blob, guest=None,
        sealing=guest.Sealing(is_sealed=False, why_not="a test", actions=(), trimmed_bytes=0),
        volumes=(manifest.ManifestVolume(target="vda", size_bytes=size, table=chunk.ChunkTable(runs)),),
    )  # fmt: skip


def recorded() -> configuration.Configuration:
    return configuration.Configuration(
        name="web-01", domain_uuid=str(uuid.UUID(int=2)), architecture="x86_64", machine="pc-q35-7.2", cpus=2,
        memory_bytes=1 << 30, cpu_mode=None, cpu_model=None, firmware=configuration.Firmware.UEFI, has_secure_boot=False,
        has_agent_channel=True, volumes=(
            configuration.VolumeConfiguration(target="vda", bus="virtio", size_bytes=0, format=configuration.VolumeFormat.RAW),
        ), interfaces=(), left_out=(), domain_xml="<domain/>",
    )  # fmt: skip


@pytest.fixture
def templates() -> Templates:
    return Templates()


@pytest.fixture
def plain() -> Callable[[int], bytes]:
    """Chunks by number: their second half compresses to nothing."""
    return lambda number: (
        random.Random(number).randbytes(CHUNK_SIZE // 2) + bytes([number % 255 + 1]) * (CHUNK_SIZE // 2)
    )
