"""Making and removing a deploy's volumes, so that after any cut-off it is known which ones are its own.

Before a volume is made, a claim is written: a file in the operation's directory, named as the volume is to be called here,
that holds its name in the pool (in a pool of partitions the kernel chooses the name). A volume that is there under a
claimed name was made by this operation; one that is there without a claim is somebody else's, and is never touched.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from estampe import errors
from estampe.deploy import resolved as decisions
from estampe.virt import base as virt


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """The volumes of one deploy in one pool; `claims` is a directory of the operation's own."""

    host: virt.Host
    pool: str
    claims: Path

    def ensure(self, volume: decisions.ResolvedVolume) -> virt.PoolVolume:
        """The volume, made unless it was before the cut-off (a preallocated one: made anew).

        Raises: errors.NameInUse, errors.NoSpace, errors.PoolNotFound.
        """
        claim = self.claims / volume.volume_name
        if claim.exists():
            name = claim.read_text()
            found = self.host.find_volume(self.pool, name)
            if found is not None:
                if not volume.is_preallocated:
                    return found
                # Nothing but its metadata is in it: some seconds' work, which a host that went down may have left half done.
                self.host.delete_volume(self.pool, name)
        else:
            name = self.host.volume_name(self.pool, volume.volume_name)
            if self.host.find_volume(self.pool, name) is not None:
                raise errors.NameInUse(name=name, what=f"a volume of pool {self.pool}")
            _write_durably(claim, name)
        return self.host.create_volume(
            self.pool, name, size_bytes=volume.size_bytes, format=volume.format, is_preallocated=volume.is_preallocated
        )

    def remove_all(self) -> None:
        """Remove every claimed volume, newest first (a partition's number may depend on those before), then its claim."""
        for claim in sorted(self._claimed(), key=lambda path: path.stat().st_mtime_ns, reverse=True):
            self.host.delete_volume(self.pool, claim.read_text())
            claim.unlink()

    def _claimed(self) -> Iterator[Path]:
        if self.claims.is_dir():
            yield from self.claims.iterdir()


def _write_durably(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.parent.parent / f".{path.name}"
    with draft.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.rename(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
