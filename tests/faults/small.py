"""Small file systems of a test's own, which fill up."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.faults import site


@contextlib.contextmanager
def file_system(kind: str, size_mib: int) -> Iterator[Path]:
    """A mounted tmpfs, or ext4 on a file."""
    directory = Path(tempfile.mkdtemp(prefix="estampe-small-", dir="/var/tmp"))
    directory.chmod(0o711)
    mounted, image = directory / "mounted", directory / "image"
    mounted.mkdir()
    if kind == "tmpfs":
        argv = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m,mode=711", "estampe-faults", mounted]
    else:
        with image.open("wb") as stream:
            stream.truncate(size_mib * site.MIB)
        # No blocks kept for root, who we are.
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True, timeout=60)
        argv = ["mount", "-o", "loop", image, mounted]
    subprocess.run(argv, check=True, timeout=60)
    try:
        yield mounted
    finally:
        subprocess.run(["umount", mounted], check=True, timeout=60)
        shutil.rmtree(directory)


class Ballast:
    """A file that takes the space of a file system."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "ballast"

    def fill(self, *, but_mib: int = 0) -> None:
        """All the space there is, but for so much."""
        with self._path.open("wb", buffering=0) as stream:
            for length in (site.MIB, 4096, 1):
                with contextlib.suppress(OSError):
                    while stream.write(bytes(length)) == length:
                        pass
        if but_mib:
            with self._path.open("r+b") as stream:
                stream.truncate(max(0, self._path.stat().st_size - but_mib * site.MIB))

    def remove(self) -> None:
        self._path.unlink()
