r"""The manifest: one immutable, self-contained description of a template. Bytes and musts: docs/format.md.

    | "ESTAMPE\n" 8 | u16 version | u16 0 | u32 header length | header: canonical JSON | chunk tables ... | root digest 32 |
                                                                '- one per volume, in the header's order -'
The root digest is BLAKE3 over every byte before it. All integers are little-endian.
"""

from __future__ import annotations

import datetime
import functools
import itertools
import json
import re
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import blake3
import pydantic

from estampe import errors
from estampe.model import chunk
from estampe.model import configuration as configurations  # a field has the module's name, and pydantic would find that
from estampe.model import guest as guests
from estampe.model import inventory as inventories
from estampe.model import layout as layouts

FORMAT_VERSION: Final = 1
MAGIC: Final = b"ESTAMPE\n"
_PREFIX: Final = struct.Struct("<8sHHI")
_DIGEST_BYTES: Final = 32
_CHUNK_ID: Final = re.compile(r"[0-9a-f]{64}")
# Targets become parts of files' and volumes' names; libvirt's are letters with a number now and then.
_TARGET: Final = re.compile(r"[A-Za-z0-9]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A small file kept in the chunk store: the NVRAM, the inventory, a TPM's state. Its pieces are chunk-sized but for the last."""

    size_bytes: int
    chunk_ids: tuple[str, ...]  # hexadecimal

    def piece_lengths(self, chunk_size_bytes: int) -> Iterator[int]:
        """Bytes in each piece, in order."""
        for index in range(chunk.chunk_count(self.size_bytes, chunk_size_bytes)):
            yield chunk.chunk_length(index, size_bytes=self.size_bytes, chunk_size_bytes=chunk_size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vtpm:
    """The state of the server's emulated TPM: keys, which are in a template only where its capture was asked for them."""

    version: str  # of the TPM's specification: 1.2, 2.0
    state: Blob  # as swtpm keeps it


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestVolume:
    """One volume's content."""

    target: str
    size_bytes: int
    table: chunk.ChunkTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a template is. `name`, `version` and `owner` are as at capture; the catalogue's may have changed since."""

    template_id: uuid.UUID
    owner_id: uuid.UUID
    name: str
    version: int
    created_at: datetime.datetime  # UTC
    chunk_size_bytes: int
    configuration: configurations.Configuration
    nvram: Blob | None
    guest: guests.Guest | None  # None: could not be inspected
    sealing: guests.Sealing
    volumes: tuple[ManifestVolume, ...]
    layout: layouts.Layout | None = None  # how the volumes are cut up; None: nobody looked
    inventory: Blob | None = None  # model.inventory, encoded; None: could not be taken
    vtpm: Vtpm | None = None  # None: it was not asked for

    def find_volume(self, target: str) -> ManifestVolume | None:
        """The volume of that target."""
        return next((each for each in self.volumes if each.target == target), None)

    def sector_size_bytes(self, target: str) -> int:
        """In what the volume's partition table counts; the usual where nobody looked."""
        found = None if self.layout is None else self.layout.find_volume(target)
        return layouts.SECTOR_BYTES if found is None else found.sector_size_bytes

    def chunk_ids(self) -> Iterator[bytes]:
        """Every chunk id the template needs, repeats included."""
        for chunk_id, _length in self.chunks():
            yield chunk_id

    def chunks(self) -> Iterator[tuple[bytes, int]]:
        """Every chunk the template needs as (id, plain length), repeats included."""
        for volume in self.volumes:
            whole = volume.size_bytes // self.chunk_size_bytes  # chunks before a short last one
            for index, chunk_id in volume.table:
                yield chunk_id, self.chunk_size_bytes if index < whole else volume.size_bytes % self.chunk_size_bytes
        for blob in (self.nvram, self.inventory, self.vtpm and self.vtpm.state):
            if blob:
                yield from zip(
                    map(bytes.fromhex, blob.chunk_ids), blob.piece_lengths(self.chunk_size_bytes), strict=True
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class _HeaderVolume:
    target: str
    size_bytes: int
    table_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    template_id: uuid.UUID
    owner_id: uuid.UUID
    name: str
    version: int
    created_at: datetime.datetime
    chunk_size_bytes: int
    configuration: configurations.Configuration
    nvram: Blob | None
    guest: guests.Guest | None
    sealing: guests.Sealing
    volumes: tuple[_HeaderVolume, ...]
    layout: layouts.Layout | None = None
    inventory: Blob | None = None
    vtpm: Vtpm | None = None


_SHARED: Final = tuple(name for name in _Header.__dataclass_fields__ if name != "volumes")


@functools.cache
def _header_adapter() -> pydantic.TypeAdapter[_Header]:
    return pydantic.TypeAdapter(_Header)


def encode(manifest: Manifest) -> bytes:
    """The manifest's bytes; equal manifests give equal bytes."""
    volumes = tuple(
        _HeaderVolume(target=volume.target, size_bytes=volume.size_bytes, table_bytes=volume.table.encoded_bytes)
        for volume in manifest.volumes
    )
    header = _Header(volumes=volumes, **{name: getattr(manifest, name) for name in _SHARED})
    plain = _header_adapter().dump_python(header, mode="json")
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    tables = itertools.chain.from_iterable(volume.table.encoded_parts() for volume in manifest.volumes)
    parts = [_PREFIX.pack(MAGIC, FORMAT_VERSION, 0, len(text)), text, *tables]
    digest = blake3.blake3()
    for part in parts:
        digest.update(part)
    return b"".join([*parts, digest.digest()])


def decode(data: bytes, *, template: str) -> Manifest:
    """The manifest in `data`; `template` names it in errors.

    Raises: errors.ManifestCorrupt, errors.ManifestVersionUnsupported.
    """
    if len(data) < _PREFIX.size + _DIGEST_BYTES:
        raise errors.ManifestCorrupt(template=template, detail="it is too short")
    body, digest = memoryview(data)[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    magic, version, reserved, header_bytes = _PREFIX.unpack_from(body)
    if magic != MAGIC:
        raise errors.ManifestCorrupt(template=template, detail="it does not begin as a manifest")
    if version > FORMAT_VERSION:
        raise errors.ManifestVersionUnsupported(template=template, version=version, supported=FORMAT_VERSION)
    if blake3.blake3(body).digest() != digest:
        raise errors.ManifestCorrupt(template=template, detail="its root digest does not fit its content")
    if version < 1 or reserved != 0:
        raise errors.ManifestCorrupt(template=template, detail="its first bytes are no version of the format")
    try:
        return _parse(body, header_bytes)
    except ValueError as error:  # pydantic's ValidationError is one
        raise errors.ManifestCorrupt(template=template, detail=str(error).splitlines()[0]) from error


def _parse(body: memoryview, header_bytes: int) -> Manifest:
    """A digest that fits says nothing about who wrote it: every number is checked before it is used."""
    header = _header_adapter().validate_json(bytes(body[_PREFIX.size : _PREFIX.size + header_bytes]))
    _check_header(header)
    at = _PREFIX.size + header_bytes
    volumes = []
    for volume in header.volumes:
        table = chunk.ChunkTable.decode(body[at : at + volume.table_bytes])
        if table.last_index >= chunk.chunk_count(volume.size_bytes, header.chunk_size_bytes):
            raise ValueError(f"the chunk table of {volume.target} goes past the volume's end")
        volumes.append(ManifestVolume(target=volume.target, size_bytes=volume.size_bytes, table=table))
        at += volume.table_bytes
    if at != len(body):
        raise ValueError("its length does not fit its header")
    shared: dict[str, Any] = {name: getattr(header, name) for name in _SHARED}
    return Manifest(volumes=tuple(volumes), **shared)


def _check_header(header: _Header) -> None:
    if header.chunk_size_bytes <= 0:
        raise ValueError("its chunk size is not a size")
    targets = {volume.target for volume in header.volumes}
    if len(targets) != len(header.volumes):
        raise ValueError("it names a volume twice")
    if not all(_TARGET.fullmatch(target) for target in targets):
        raise ValueError("it names a volume by something that is no target")
    recorded = [volume.target for volume in header.configuration.volumes]
    if len(recorded) != len(targets) or set(recorded) != targets:
        raise ValueError("its recorded configuration has other volumes than it holds")
    if any(volume.size_bytes < 0 or volume.table_bytes < 0 for volume in header.volumes):
        raise ValueError("it has a volume of negative size")
    _check_blobs(header)


def _check_blobs(header: _Header) -> None:
    if header.nvram is not None:
        _check_blob("NVRAM", header.nvram, header.chunk_size_bytes)
    if header.vtpm is not None:
        if header.vtpm.version not in configurations.TPM_VERSIONS:
            raise ValueError("its TPM is of no known version")
        _check_blob("TPM's state", header.vtpm.state, header.chunk_size_bytes)
    if header.inventory is not None:
        _check_blob("inventory", header.inventory, header.chunk_size_bytes)
        if header.inventory.size_bytes > inventories.MOST_BYTES:
            raise ValueError("its inventory is longer than any")


def _check_blob(what: str, blob: Blob, chunk_size_bytes: int) -> None:
    if blob.size_bytes < 0 or len(blob.chunk_ids) != chunk.chunk_count(blob.size_bytes, chunk_size_bytes):
        raise ValueError(f"its {what} has too few or too many pieces")
    if not all(_CHUNK_ID.fullmatch(text) for text in blob.chunk_ids):
        raise ValueError(f"its {what} names a piece by something that is no chunk id")
