"""Which chunk size and zstd level: speed, files and bytes of one capture of a real file system, and of its restore.

An ext4 image is made from a directory of real files. For each setting a store is made on the disk under --work, and the image is
captured into it and restored once (got, decoded, verified). Prints a Markdown table. What later captures add is measured by
chunk_growth.py. Needs about six times the directory's size of free space.

    bench/chunk_size.py --source /usr/lib --work /var/tmp/estampe-bench
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import os
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import data
from estampe import units
from estampe.block import file, pipeline
from estampe.model import chunk, configuration, extent, guest, manifest
from estampe.store import allocator, chunks, local, manifests

SIZES = tuple(size * units.KIB for size in (256, 512, 1024, 2048, 4096))
LEVELS = (1, 3)


@dataclass
class Speed:
    """How long moving `data_bytes` took: on the clock, and of this process' CPU time (which other load does not change)."""

    data_bytes: int
    seconds: float
    cpu_seconds: float

    def __str__(self) -> str:
        per_second, per_cpu = (self.data_bytes / units.MIB / s for s in (self.seconds, self.cpu_seconds))
        return f"{per_second:.0f} ({per_cpu:.0f})"


@dataclass
class Setting:
    """One line of the table."""

    size_bytes: int
    level: int
    store: local.LocalStore
    stored_bytes: int = 0
    files: int = 0
    manifest_bytes: int = 0
    captured: Speed | None = None
    restored: Speed | None = None

    def line(self) -> str:
        """Its row of the table."""
        return (
            f"| {self.size_bytes // units.KIB} KiB | {self.level} | {self.captured} | {self.restored} | {self.files} |"
            f" {self.stored_bytes / units.MIB:.0f} | {self.manifest_bytes / units.KIB:.0f} |"
        )


HEAD = (
    "| chunk | zstd | capture MiB/s (per CPU s) | restore MiB/s (per CPU s) | files | stored MiB | manifest KiB |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


def timed(work: Callable[[], int]) -> Speed:
    clock, cpu = time.monotonic(), time.process_time()
    data_bytes = work()
    return Speed(data_bytes, time.monotonic() - clock, time.process_time() - cpu)


def capture(setting: Setting, image: Path, table_file: Path, threads: int) -> int:
    """Capture `image` as the product does, manifest included; the bytes read."""
    mover, size = chunks.Chunks(setting.store, level=setting.level), setting.size_bytes
    with (
        file.FileReader(str(image)) as reader,
        setting.store.writer() as writer,
        chunk.TableFile(table_file, chunk.chunk_count(reader.size_bytes, size), is_new=True) as table,
    ):
        indexes = list(extent.data_chunks(reader.extents(), size))

        def work(index: int) -> None:
            plain = reader.read(index * size, min(size, reader.size_bytes - index * size))
            stored = mover.put(writer, plain)
            if stored.chunk_id:
                table.put(index, stored.chunk_id)

        pipeline.run(indexes, work, threads=threads, check_cancelled=lambda: None)
        writer.flush()
        made = describe(setting, reader.size_bytes, table.table())
    manifests.put(setting.store, made)
    setting.manifest_bytes = len(manifest.encode(made))
    return len(indexes) * size


def restore(setting: Setting, threads: int) -> int:
    """Get, decode and verify every chunk of the one template; the bytes restored."""
    made = next(iter(manifests.each(setting.store)))
    mover, found = chunks.Chunks(setting.store), list(made.chunks())
    pipeline.run(found, lambda one: void(mover.get(*one)), threads=threads, check_cancelled=lambda: None)
    return sum(length for _id, length in found)


def void(_plain: bytes) -> None:
    return


def describe(setting: Setting, size_bytes: int, table: chunk.ChunkTable) -> manifest.Manifest:
    recorded = configuration.Configuration(
        name="bench", domain_uuid=str(uuid.UUID(int=0)), architecture="x86_64", machine="q35", cpus=1, memory_bytes=units.GIB,
        cpu_mode=None, cpu_model=None, firmware=configuration.Firmware.BIOS, has_secure_boot=False, has_agent_channel=False,
        volumes=(), interfaces=(), left_out=(), domain_xml="<domain/>",
    )  # fmt: skip
    return manifest.Manifest(
        template_id=uuid.uuid4(), owner_id=uuid.UUID(int=0), name="bench", version=1,
        created_at=datetime.datetime.now(datetime.UTC), chunk_size_bytes=setting.size_bytes, configuration=recorded, nvram=None,
        guest=None, sealing=guest.Sealing(is_sealed=False, why_not="bench", actions=(), trimmed_bytes=0),
        volumes=(manifest.ManifestVolume(target="vda", size_bytes=size_bytes, table=table),),
    )  # fmt: skip


def measure(setting: Setting, image: Path, work: Path, threads: int) -> None:
    setting.captured = timed(lambda: capture(setting, image, work / "table", threads))
    listed = list(setting.store.list_chunks())
    setting.stored_bytes, setting.files = sum(one.stored_bytes for one in listed), len(listed)
    setting.restored = timed(lambda: restore(setting, threads))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path("/usr"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=(os.cpu_count() or 1) + 1)
    parser.add_argument("--sizes", type=int, nargs="+", default=[size // units.KIB for size in SIZES], help="in KiB")
    parser.add_argument("--levels", type=int, nargs="+", default=LEVELS)
    asked = parser.parse_args()
    allocator.keep_freed_memory()
    asked.work.mkdir(parents=True)
    image = asked.work / "image"
    try:
        data.make_image(asked.source, image)
        data.warm(image)
        print(HEAD, flush=True)
        for size, level in itertools.product(asked.sizes, asked.levels):
            store = local.LocalStore.create(asked.work / f"store-{size}-{level}", chunk_size_bytes=size * units.KIB)
            setting = Setting(size * units.KIB, level, store)
            measure(setting, image, asked.work, asked.threads)
            print(setting.line(), flush=True)
    finally:
        shutil.rmtree(
            asked.work
        )  # all stores at the end: ext4 avoids inodes freed in the last minutes, which costs the next one


if __name__ == "__main__":
    main()
