"""The header of a qcow2 file: what it says of itself, read without QEMU and without opening any file it names.

Layout: QEMU docs/interop/qcow2.txt. All integers are big-endian. A file may be hostile: nothing beyond `HEADER_BYTES` is
looked at, and every offset is checked against it.

    0 magic | 4 version | 8 backing file offset u64 | 16 backing file size u32 | 20 cluster bits | 24 virtual size u64
    | 32 crypt method u32 | ... | 72 incompatible features u64 (version 3) | ... | 100 header length u32 | extensions
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# The header, its extensions and the backing file's name lie in the first cluster, which has at most 2 MiB.
HEADER_BYTES: Final = 2 * 1024 * 1024
_MAGIC: Final = b"QFI\xfb"
_FIXED: Final = struct.Struct(">4sIQIIQI")  # up to and with the crypt method
_VERSION_2_LENGTH: Final = 72
_VERSION_3_LENGTH: Final = 104
_LONGEST_NAME: Final = 1023  # "Maximum is 1023 bytes"
_EXTENSION_END: Final = 0
_EXTENSION_BACKING_FORMAT: Final = 0xE2792ACA
_EXTERNAL_DATA_FILE: Final = 1 << 2  # incompatible feature


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a qcow2 file says of itself."""

    size_bytes: int  # virtual size
    backing_file: str | None
    backing_format: str | None
    is_encrypted: bool
    has_external_data: bool


def parse(data: bytes) -> Header:
    """The header at the begin of `data`, the file's first `HEADER_BYTES` or fewer.

    Raises: ValueError where it is not a qcow2 header.
    """
    if len(data) < _VERSION_2_LENGTH:
        raise ValueError("it is too short for a qcow2 header")
    magic, version, name_offset, name_length, _cluster_bits, size, crypt = _FIXED.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError("it does not begin as a qcow2 file")
    if version not in {2, 3}:
        raise ValueError(f"it has the qcow2 version {version}")
    features, header_length = _version_3_fields(data) if version == 3 else (0, _VERSION_2_LENGTH)
    extensions_end = name_offset or len(data)
    return Header(
        size_bytes=size,
        backing_file=_text(data, name_offset, name_length) if name_offset else None,
        backing_format=_backing_format(data, header_length, extensions_end),
        is_encrypted=crypt != 0,
        has_external_data=bool(features & _EXTERNAL_DATA_FILE),
    )


def _version_3_fields(data: bytes) -> tuple[int, int]:
    if len(data) < _VERSION_3_LENGTH:
        raise ValueError("its qcow2 header is cut off")
    return struct.unpack_from(">Q", data, 72)[0], struct.unpack_from(">I", data, 100)[0]


def _backing_format(data: bytes, start: int, end: int) -> str | None:
    for kind, body in _extensions(data, start, end):
        if kind == _EXTENSION_BACKING_FORMAT:
            return _decode(body)
    return None


def _extensions(data: bytes, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Header extensions: u32 type | u32 length | body, padded to 8 bytes."""
    while at + 8 <= min(end, len(data)):
        kind, length = struct.unpack_from(">II", data, at)
        if kind == _EXTENSION_END:
            return
        if at + 8 + length > len(data):
            raise ValueError("an extension of its qcow2 header goes past the header's end")
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + (length + 7) // 8 * 8


def _text(data: bytes, offset: int, length: int) -> str:
    if length > _LONGEST_NAME or offset + length > len(data):
        raise ValueError("the name of its backing file is out of bounds")
    return _decode(data[offset : offset + length])


def _decode(raw: bytes) -> str:
    if b"\0" in raw:
        raise ValueError("a name in its qcow2 header holds a zero byte")
    return raw.decode(errors="surrogateescape")
