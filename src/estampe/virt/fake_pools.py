"""Fake storage pools: directories with real files, so that code that reads volumes can read these."""

from __future__ import annotations

import shutil
import uuid as uuids
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from estampe import errors, units
from estampe.model import configuration
from estampe.virt import backing_chain, base, qemu_img

_QCOW2_HEADS: Final = {b"QFI\xfb\0\0\0\2", b"QFI\xfb\0\0\0\3"}  # magic and version
_USED_BYTES: Final = b"\xa5" * 4096  # what a block device holds from its last use


@dataclass(slots=True)
class FakePool:
    """One pool. A block kind's volumes are told to be block devices, but are files: QEMU's host_device does not open them."""

    name: str
    directory: Path
    kind: str
    capacity_bytes: int
    made: set[str] = field(default_factory=set)  # names of volumes
    identities: dict[str, str] = field(default_factory=dict)  # of partitions, by volume name
    takes_direct_io: bool = True

    def facts(self) -> base.Pool:
        """As a host lists it."""
        used = sum(path.stat().st_blocks * 512 for path in self.directory.iterdir() if path.is_file())
        return base.Pool(
            name=self.name,
            kind=self.kind,
            path=str(self.directory),
            capacity_bytes=self.capacity_bytes,
            available_bytes=max(self.capacity_bytes - used, 0),
        )

    def volume_name(self, wanted: str) -> str:
        """As virt.base.Host.volume_name."""
        if self.kind != "disk":
            return wanted
        return next(name for number in range(1, 129) if (name := f"part{number}") not in self.made)

    def create(
        self, name: str, size_bytes: int, volume_format: configuration.VolumeFormat, *, is_preallocated: bool = False
    ) -> base.PoolVolume:
        """As virt.base.Host.create_volume."""
        facts = self.facts()
        if (self.directory / name).exists() or name != self.volume_name(name):
            raise errors.NameInUse(name=name, what=f"another volume of the pool {self.name}")
        if facts.is_block and volume_format is not configuration.VolumeFormat.RAW:
            raise errors.HostLacks(what=f"volume {name}", detail=f"the pool {self.name} gives block devices")
        if facts.is_block and facts.available_bytes < size_bytes:
            needed, available = units.format_bytes(size_bytes), units.format_bytes(facts.available_bytes)
            raise errors.NoSpace(where=f"the storage pool {self.name}", needed=needed, available=available)
        if volume_format is configuration.VolumeFormat.QCOW2:
            path = str(self.directory / name)
            qemu_img.create(path, format=volume_format, size_bytes=size_bytes, is_preallocated=is_preallocated)
        else:
            self._make_raw(self.directory / name, size_bytes, is_used=facts.is_block)
        self.made.add(name)
        if self.kind == "disk":
            self.identities[name] = str(uuids.uuid4())
        return self.volume(name)

    def _make_raw(self, path: Path, size: int, *, is_used: bool) -> None:
        with path.open("wb") as file:
            file.write(_USED_BYTES * (is_used and size >= len(_USED_BYTES)))
            file.truncate(size)

    def volume(self, name: str) -> base.PoolVolume:
        """The volume of that name, which must be there."""
        path = self.directory / name
        probed = self._probed(path)
        return base.PoolVolume(
            pool=self.name,
            name=name,
            path=str(path),
            format=probed,
            size_bytes=_size(path, probed),
            is_block_device=self.facts().is_block,
            identity=self.identities.get(name),
        )

    def _probed(self, path: Path) -> configuration.VolumeFormat:
        """By content, as libvirt does at a pool's refresh; anything but qcow2 is told as raw."""
        with path.open("rb") as file:
            is_qcow2 = file.read(8) in _QCOW2_HEADS and not self.facts().is_block
        return configuration.VolumeFormat.QCOW2 if is_qcow2 else configuration.VolumeFormat.RAW

    def find(self, name: str) -> base.PoolVolume | None:
        """The volume, or None."""
        return self.volume(name) if (self.directory / name).is_file() else None

    def delete(self, name: str) -> None:
        """Remove a volume; a missing one is fine."""
        (self.directory / name).unlink(missing_ok=True)
        self.made.discard(name)
        self.identities.pop(name, None)


class FakePools:
    """All pools of a fake host."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pools: dict[str, FakePool] = {}
        self._stopped: set[str] = set()

    def add(self, name: str, *, kind: str, capacity_bytes: int) -> FakePool:
        """Make a pool with a directory of its own."""
        directory = self._directory / name
        directory.mkdir(parents=True)
        self._pools[name] = FakePool(name, directory, kind, capacity_bytes)
        return self._pools[name]

    def remove(self, name: str) -> None:
        """Drop a pool with its volumes."""
        shutil.rmtree(self._pools.pop(name).directory)

    def stop(self, name: str) -> None:
        """Make a pool inactive."""
        self._stopped.add(name)

    def is_defined(self, name: str) -> bool:
        """Whether there is such a pool, active or not."""
        return name in self._pools

    def get(self, name: str) -> FakePool:
        """Raises: errors.PoolNotFound where it is not active."""
        if name not in self._pools or name in self._stopped:
            known = ", ".join(pool.name for pool in self.all())
            raise errors.PoolNotFound(pool=name, known=known or "none")
        return self._pools[name]

    def all(self) -> list[FakePool]:
        """All active ones, by name."""
        return [self._pools[name] for name in sorted(self._pools) if name not in self._stopped]

    def locate(self, pool: str, volume: str) -> str | None:
        """The path of a pool's volume; None of a pool on the network. Raises: errors.PoolNotFound, errors.VolumeGone."""
        if self.get(pool).facts().is_network:
            return None
        found = self.get(pool).find(volume)
        if found is None:
            raise errors.VolumeGone(volume=volume, path=f"{pool}/{volume}", detail="the pool has no such volume")
        return found.path


def _size(path: Path, volume_format: configuration.VolumeFormat) -> int:
    """The size that the format gives; a file that only begins like its format has the size of its bytes."""
    raw = base.Layer(path=str(path), format=configuration.VolumeFormat.RAW, is_block_device=False)
    try:
        return backing_chain.virtual_size(path.name, replace(raw, format=volume_format))
    except errors.ChainUnsupported:
        return backing_chain.virtual_size(path.name, raw)
