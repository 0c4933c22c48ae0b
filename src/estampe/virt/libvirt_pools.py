"""Storage pools and their volumes, and networks."""

from __future__ import annotations

import contextlib
import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any, Final, TypeVar

import libvirt

from estampe import errors, units
from estampe.model import configuration
from estampe.virt import base, libvirt_connection, partition_pool

T = TypeVar("T")

_NO_SPACE: Final = re.compile(
    r"no space left|not enough (free )?space|insufficient free space|no large enough free extent", re.IGNORECASE
)
# For what libvirt still makes of a client that died: metadata of 2 TiB take 6 s, on a slow disk more.
_MAKING_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.2
_IN_THE_MAKING: Final = "being allocated"


class Pools:
    """The storage pools of one connection."""

    def __init__(self, connection: libvirt_connection.Connection) -> None:
        self._connection = connection

    def list_pools(self) -> list[base.Pool]:
        """Active pools, refreshed, by name."""

        def pools(connection: Any) -> list[base.Pool]:
            found = connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
            return sorted((_refreshed(pool) for pool in found), key=lambda pool: pool.name)

        return self._connection.run("list the storage pools", pools)

    def get_pool(self, name: str) -> base.Pool:
        """The active pool, refreshed. Raises: errors.PoolNotFound."""
        return self._on(name, f"read the storage pool {name}", _refreshed)

    def volume_name(self, pool: str, wanted: str) -> str:
        """See virt.base.Host.volume_name. Raises: errors.PoolNotFound."""

        def name(libvirt_pool: Any) -> str:
            if _refreshed(libvirt_pool).kind != partition_pool.KIND:
                return wanted
            return partition_pool.next_name(libvirt_pool)

        return self._on(pool, f"name a volume of {pool}", name)

    def create_volume(
        self,
        pool: str,
        name: str,
        *,
        size_bytes: int,
        format: configuration.VolumeFormat,
        is_preallocated: bool = False,
    ) -> base.PoolVolume:
        """See virt.base.Host.create_volume."""
        # libvirt refuses the flag for raw.
        has_metadata = is_preallocated and format is configuration.VolumeFormat.QCOW2
        flags = libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA if has_metadata else 0

        def create(libvirt_pool: Any) -> base.PoolVolume:
            facts = _refreshed(libvirt_pool)
            _check_creatable(libvirt_pool, facts, name, size_bytes, format)
            try:
                volume = libvirt_pool.createXML(_volume_xml(name, size_bytes, format, facts), flags)
            except libvirt.libvirtError as error:
                _raise_if_known(error, name, facts, size_bytes)
                raise
            return _volume(volume, facts)

        return self._on(pool, f"create the volume {name} in the pool {pool}", create, is_repeatable=False)

    def find_volume(self, pool: str, name: str) -> base.PoolVolume | None:
        """The volume, or None. Raises: errors.PoolNotFound."""

        def find(libvirt_pool: Any) -> base.PoolVolume | None:
            facts = _refreshed(libvirt_pool)
            volume = _find(libvirt_pool, name)
            return None if volume is None else _volume(volume, facts)

        return self._on(pool, f"look up the volume {name} in the pool {pool}", find)

    def find_volume_by_path(self, path: str) -> base.VolumeName | None:
        """See virt.base.Host.find_volume_by_path."""

        def find(connection: Any) -> base.VolumeName | None:
            volume = _look_up(lambda: connection.storageVolLookupByPath(path))
            if volume is None:
                return None
            return base.VolumeName(pool=volume.storagePoolLookupByVolume().name(), name=volume.name())

        return self._connection.run(f"look up the volume at {path}", find)

    def delete_volume(self, pool: str, name: str) -> None:
        """See virt.base.Host.delete_volume."""

        def delete(libvirt_pool: Any) -> None:
            facts = _refreshed(libvirt_pool)
            volume = _find(libvirt_pool, name)
            if volume is not None and facts.kind == partition_pool.KIND:
                partition_pool.delete(libvirt_pool, volume)
            elif volume is not None:
                _delete(volume)

        def delete_if_defined(connection: Any) -> None:
            if _look_up(lambda: connection.storagePoolLookupByName(pool)) is not None:
                delete(_active(connection, pool))

        self._connection.run(f"delete the volume {name} of the pool {pool}", delete_if_defined)

    def locate(self, pool: str, volume: str) -> str | None:
        """The path of a pool's volume, as a domain names it; None of a pool on the network.

        Raises: errors.VolumeGone, errors.PoolNotFound.
        """

        def path(libvirt_pool: Any) -> str | None:
            if _refreshed(libvirt_pool).is_network:
                return None
            found = _find(libvirt_pool, volume)
            if found is None:
                raise errors.VolumeGone(volume=volume, path=f"{pool}/{volume}", detail="the pool has no such volume")
            return str(found.path())

        return self._on(pool, f"look up the volume {volume} in the pool {pool}", path)

    def list_networks(self) -> list[str]:
        """Active networks' names."""

        def networks(connection: Any) -> list[str]:
            found = connection.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE)
            return sorted(network.name() for network in found)

        return self._connection.run("list the networks", networks)

    def _on(self, name: str, action: str, call: Callable[[Any], T], *, is_repeatable: bool = True) -> T:
        return self._connection.run(
            action, lambda connection: call(_active(connection, name)), is_repeatable=is_repeatable
        )


def _active(connection: Any, name: str) -> Any:
    """Raises: errors.PoolNotFound."""
    pool = _look_up(lambda: connection.storagePoolLookupByName(name))
    if pool is None or not pool.isActive():
        active = connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
        known = ", ".join(sorted(each.name() for each in active)) or "none"
        raise errors.PoolNotFound(pool=name, known=known)
    return pool


def _look_up(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except libvirt.libvirtError as error:
        if libvirt_connection.has_code(error, libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_NO_STORAGE_VOL):
            return None
        raise


def _find(pool: Any, name: str) -> Any:
    return _look_up(lambda: pool.storageVolLookupByName(name))


def _delete(volume: Any) -> None:
    """Once it is made: libvirt goes on making a volume for a client that died, and deletes none in the making."""
    deadline = time.monotonic() + _MAKING_SECONDS
    while True:
        try:
            volume.delete(0)
        except libvirt.libvirtError as error:
            if _IN_THE_MAKING not in libvirt_connection.message_of(error) or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return


def _refreshed(pool: Any) -> base.Pool:
    """The pool's facts after a refresh; it fails while another job works on the pool, and then the last ones serve."""
    with contextlib.suppress(libvirt.libvirtError):
        pool.refresh(0)
    return _facts(pool)


def _facts(pool: Any) -> base.Pool:
    root = ET.fromstring(pool.XMLDesc(0))  # noqa: S314 - libvirt wrote it
    _state, capacity, _allocation, available = pool.info()
    return base.Pool(
        name=pool.name(),
        kind=root.get("type", ""),
        path=root.findtext("target/path"),
        capacity_bytes=capacity,
        available_bytes=available,
    )


def _volume(volume: Any, pool: base.Pool) -> base.PoolVolume:
    root = ET.fromstring(volume.XMLDesc(0))  # noqa: S314 - libvirt wrote it
    element = root.find("target/format")
    is_qcow2 = element is not None and element.get("type") == configuration.VolumeFormat.QCOW2 and not pool.is_block
    return base.PoolVolume(
        pool=pool.name,
        name=volume.name(),
        path=volume.path(),
        format=configuration.VolumeFormat.QCOW2 if is_qcow2 else configuration.VolumeFormat.RAW,
        size_bytes=int(root.findtext("capacity", "0")),
        is_block_device=root.get("type") == "block",
        identity=partition_pool.identity(volume) if pool.kind == partition_pool.KIND else None,
    )


def _check_creatable(
    libvirt_pool: Any, pool: base.Pool, name: str, size_bytes: int, format: configuration.VolumeFormat
) -> None:
    if pool.is_block and format is not configuration.VolumeFormat.RAW:
        detail = f"the pool {pool.name} gives block devices, on which Estampe writes raw only"
        raise errors.HostLacks(what=f"volume {name}", detail=detail)
    is_taken_since = pool.kind == partition_pool.KIND and name != partition_pool.next_name(libvirt_pool)
    if is_taken_since or _find(libvirt_pool, name) is not None:
        raise errors.NameInUse(name=name, what=f"another volume of the pool {pool.name}")
    if pool.is_block and pool.available_bytes < size_bytes:
        raise _no_space(pool, size_bytes)


def _volume_xml(name: str, size_bytes: int, format: configuration.VolumeFormat, pool: base.Pool) -> str:
    root = ET.Element("volume")
    ET.SubElement(root, "name").text = name
    ET.SubElement(root, "capacity", unit="bytes").text = str(size_bytes)
    if not pool.is_block:
        ET.SubElement(root, "allocation", unit="bytes").text = "0"
        target = ET.SubElement(root, "target")
        ET.SubElement(target, "format", type=format.value)
        if format is configuration.VolumeFormat.QCOW2:
            ET.SubElement(target, "compat").text = "1.1"
    return ET.tostring(root, encoding="unicode")


def _raise_if_known(error: Any, name: str, pool: base.Pool, size_bytes: int) -> None:
    if libvirt_connection.has_code(error, libvirt.VIR_ERR_STORAGE_VOL_EXIST):
        raise errors.NameInUse(name=name, what=f"another volume of the pool {pool.name}") from error
    if _NO_SPACE.search(libvirt_connection.message_of(error)):
        raise _no_space(pool, size_bytes) from error


def _no_space(pool: base.Pool, size_bytes: int) -> errors.NoSpace:
    return errors.NoSpace(
        where=f"the storage pool {pool.name}",
        needed=units.format_bytes(size_bytes),
        available=units.format_bytes(pool.available_bytes),
    )
