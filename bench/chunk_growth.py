"""What later captures of a changing server add, by chunk size.

An ext4 image made from a directory of real files is changed nine times by 1 %, through a loop mount. After each change every
chunk that differs is identified and encoded, for all sizes in one pass: what captures into stores of these sizes would add.
Prints a Markdown table. Needs root (loop mount) and the directory's size of free space.

    bench/chunk_growth.py --source /usr/lib --work /var/tmp/estampe-bench
"""

from __future__ import annotations

import argparse
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import data
from estampe import units
from estampe.block import file
from estampe.model import chunk, extent
from estampe.store import allocator, codec

SIZES = tuple(size * units.KIB for size in (64, 128, 256, 512, 1024))  # the first divides the others
CAPTURES = 10


@dataclass
class Growing:
    """A store of one chunk size, as far as its bytes go."""

    size_bytes: int
    known: set[bytes] = field(default_factory=set)
    stored: list[int] = field(default_factory=lambda: [0])

    def capture(self, reader: file.FileReader, changed: set[int]) -> None:
        """Add the chunks that hold one of the `changed` pieces of SIZES[0]."""
        total, pieces = self.stored[-1], self.size_bytes // SIZES[0]
        for index in sorted({piece // pieces for piece in changed}):
            plain = _read(reader, index, self.size_bytes)
            if plain.strip(b"\0") and (chunk_id := codec.identify(plain)) not in self.known:
                self.known.add(chunk_id)
                total += len(codec.encode(plain))
        self.stored.append(total)


def _read(reader: file.FileReader, index: int, size: int) -> bytes:
    return reader.read(index * size, chunk.chunk_length(index, size_bytes=reader.size_bytes, chunk_size_bytes=size))


def changed_pieces(reader: file.FileReader, seen: dict[int, bytes]) -> Iterator[int]:
    """Pieces of SIZES[0] that are not as they were at the last call."""
    for index in extent.data_chunks(reader.extents(), SIZES[0]):
        piece_id = codec.identify(_read(reader, index, SIZES[0]))
        if seen.get(index) != piece_id:
            seen[index] = piece_id
            yield index


def grow(image: Path, work: Path, *, is_scattered: bool) -> None:
    stores, seen = [Growing(size) for size in SIZES], dict[int, bytes]()
    rng = random.Random(1)  # noqa: S311 - no secret
    for nth in range(CAPTURES):
        if nth:
            with data.mounted(image, work / "mnt") as root:
                data.change(root, rng, is_scattered=is_scattered)
        with file.FileReader(str(image)) as reader:
            changed = set(changed_pieces(reader, seen))
            for store in stores:
                store.capture(reader, changed)
    for store in stores:
        first, last = store.stored[1] / units.MIB, store.stored[-1] / units.MIB
        kind = "scattered files" if is_scattered else "subtrees"
        print(
            f"| {kind} | {store.size_bytes // units.KIB} KiB | {first:.0f} | {last:.0f} | {last / first:.3f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path("/usr"))
    parser.add_argument("--work", type=Path, required=True)
    asked = parser.parse_args()
    allocator.keep_freed_memory()
    asked.work.mkdir(parents=True)
    try:
        print(
            "| change | chunk | stored MiB, 1 capture | 10 captures | ratio |\n| --- | --- | --- | --- | --- |",
            flush=True,
        )
        for is_scattered in (False, True):
            image = asked.work / "image"
            image.unlink(missing_ok=True)
            data.make_image(asked.source, image)
            grow(image, asked.work, is_scattered=is_scattered)
    finally:
        shutil.rmtree(asked.work)


if __name__ == "__main__":
    main()
