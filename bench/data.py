"""The benchmarks' data: an ext4 volume of real files, and changes to it as a server in use makes them."""

from __future__ import annotations

import contextlib
import itertools
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

from estampe import units

CHANGED_SHARE = 0.01


def make_image(source: Path, image: Path) -> None:
    """An ext4 file system with the files of `source` and a quarter of free space."""
    used = int(subprocess.run(["du", "-sk", source], check=True, capture_output=True).stdout.split()[0]) * units.KIB
    size = f"{used * 5 // 4 // units.MIB + 512}M"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", source, image, size], check=True)


@contextlib.contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    """The file system through a loop device: its own allocator decides where changes go."""
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", image, at], check=True)
    try:
        yield at
    finally:
        # a process in a mount namespace of its own (QEMU under libvirt) may hold the mount: umount alone would not write it out
        subprocess.run(["sync", "-f", at], check=True)
        subprocess.run(["umount", at], check=True)


def change(root: Path, rng: random.Random, *, is_scattered: bool = False) -> int:
    """Remove files, 1 % of all bytes, and write others of the same sizes and compressibility anew; the bytes.

    Whole subtrees picked by chance (three levels down), as an upgrade of packages changes them; scattered: single files picked
    by chance from the whole tree, which no server does and which is the worst that can be.
    """
    groups: dict[Path, list[Path]] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            group = path if is_scattered else root.joinpath(*path.relative_to(root).parts[:3])
            groups.setdefault(group, []).append(path)
    sizes = {path: path.stat().st_size for paths in groups.values() for path in paths}
    picked = _pick(rng.sample(list(groups.values()), len(groups)), sizes)
    swap = bytes(rng.sample(range(256), 256))  # another alphabet: new content that compresses as the old
    written = []
    for path in picked:
        written.append((path, path.read_bytes().translate(swap)))
        path.unlink()
    for path, content in written:
        path.write_bytes(content)
    return sum(sizes[path] for path in picked)


def _pick(groups: list[list[Path]], sizes: dict[Path, int]) -> list[Path]:
    """Files in the order of `groups` until they are 1 % of all bytes (to a twentieth); one that would overshoot is left out."""
    budget, total, picked = CHANGED_SHARE * sum(sizes.values()), 0, list[Path]()
    for path in itertools.chain.from_iterable(groups):
        if total >= budget:
            break
        if total + sizes[path] <= budget * 1.05:
            picked.append(path)
            total += sizes[path]
    return picked


def needed_bytes(source: Path) -> int:
    """What a run holds at once, at the most: the volume twice (raw and qcow2, or raw and deployed) and three compressed ones."""
    used = int(subprocess.run(["du", "-sk", source], check=True, capture_output=True).stdout.split()[0]) * units.KIB
    return used * 16 // 5


def available_memory_bytes() -> int:
    """What a tmpfs may take without pushing programs out (MemAvailable, proc(5)), less 2 GiB for these."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) * units.KIB for line in lines if line.startswith("MemAvailable:"))
    return available - 2 * units.GIB


def warm(path: Path) -> None:
    """Into the page cache: what is measured is not the disk's first read."""
    subprocess.run(["cat", path], check=True, stdout=subprocess.DEVNULL)
