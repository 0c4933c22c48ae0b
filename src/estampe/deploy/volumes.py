"""Making and removing a deploy's volumes, so that after any cut-off it is known which ones are its own.

Before a volume is made, a claim is written: a file in the operation's directory, named as the volume is to be called here,
that holds its name in the pool. What is there under a claimed name that carries part of the server's UUID was made by this
operation; what is there without a claim is somebody else's, and is never touched.

In a pool of partitions the kernel chooses the name, and whoever makes the next partition gets it. There a claim proves nothing
by itself: once the volume is made, its identity is added, and only a volume of that identity is taken up again or removed.

    claim {name} ──▶ create ──▶ claim {name, identity}
             ✂ cut off here, in a pool of partitions: what is there under the name may be ours or not. It is left, and told.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from estampe import durability, errors
from estampe.deploy import resolved as decisions
from estampe.jobs import attempts
from estampe.virt import base as virt


class PoolLocks:
    """One lock for each pool: from the choice of a name to the made volume, one deploy at a time."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def of(self, pool: str) -> threading.Lock:
        """The pool's lock."""
        with self._guard:
            return self._locks[pool]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """One claim: its file's name is what the volume is called here, `name` what the pool calls it."""

    path: Path
    name: str
    identity: str | None = None  # None: not known to be made, or its name is enough

    def write(self) -> None:
        _write_durably(self.path, json.dumps({"name": self.name, "identity": self.identity}))

    @classmethod
    def read(cls, path: Path) -> _Claim:
        return cls(path=path, **json.loads(path.read_text()))

    def proves(self, found: virt.PoolVolume) -> bool:
        """Whether what is there under the name is this deploy's."""
        return self.name == self.path.name or (self.identity is not None and self.identity == found.identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """The volumes of one deploy in one pool; `claims` is a directory of the operation's own."""

    host: virt.Host
    pool: str
    claims: Path
    locks: PoolLocks

    def ensure(self, volume: decisions.ResolvedVolume) -> virt.PoolVolume:
        """The volume, made unless it was before the cut-off (a preallocated one: made anew).

        Raises: errors.NameInUse, errors.NoSpace, errors.PoolNotFound.
        """
        path = self.claims / volume.volume_name
        with self.locks.of(self.pool):
            found = self._find(_Claim.read(path)) if path.exists() else None
            if found is not None and volume.is_preallocated:
                # Nothing but its metadata is in it: some seconds' work, which a host that went down may have left half done.
                self.host.delete_volume(self.pool, found.name)
                found = None
            return self._make(volume, path) if found is None else found

    def remove_all(self, removing: attempts.Attempts, *, kept: Collection[str] = ()) -> None:
        """Remove every claimed volume, newest first (a partition's number may depend on those before), then its claim.

        Those whose names here are in `kept` stay, and so do the claims of what could not be removed, which `removing` is told.
        """
        with self.locks.of(self.pool):
            for path in sorted(self._claimed(), key=lambda path: path.stat().st_mtime_ns, reverse=True):
                if path.name in kept:
                    continue
                with removing.of(path.name):
                    self._remove(_Claim.read(path))

    def _find(self, claim: _Claim) -> virt.PoolVolume | None:
        """What was made under the claim, None where nothing is there. Raises: errors.NameInUse where it may be another's."""
        found = self.host.find_volume(self.pool, claim.name)
        if found is None or claim.proves(found):
            return found
        what = f"a volume of pool {self.pool} that may be another's, and is left alone"
        raise errors.NameInUse(name=claim.name, what=what)

    def _make(self, volume: decisions.ResolvedVolume, path: Path) -> virt.PoolVolume:
        name = self.host.volume_name(self.pool, volume.volume_name)
        if self.host.find_volume(self.pool, name) is not None:
            raise errors.NameInUse(name=name, what=f"a volume of pool {self.pool}")
        claim = _Claim(path=path, name=name)
        claim.write()
        try:
            made = self.host.create_volume(
                self.pool,
                name,
                size_bytes=volume.size_bytes,
                format=volume.format,
                is_preallocated=volume.is_preallocated,
            )
        except errors.EstampeError as error:
            self._withdraw(claim, error)
            raise
        if made.identity is not None:
            _Claim(path=path, name=name, identity=made.identity).write()
        return made

    def _withdraw(self, claim: _Claim, error: errors.EstampeError) -> None:
        """Nothing of ours is under the name: it was taken in between, or nothing was made. A lost connection proves neither."""
        if isinstance(error, errors.HypervisorUnavailable):
            return
        with contextlib.suppress(errors.EstampeError):
            if isinstance(error, errors.NameInUse) or self.host.find_volume(self.pool, claim.name) is None:
                claim.path.unlink()

    def _remove(self, claim: _Claim) -> None:
        # A name of our own needs no look, and the pool itself may be gone.
        if claim.name == claim.path.name or self._find(claim) is not None:
            self.host.delete_volume(self.pool, claim.name)
        claim.path.unlink()

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
    durability.sync_directory(path.parent)
