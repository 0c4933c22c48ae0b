"""An initramfs as bytes: what it holds, and the same with words exchanged for others of their length.

image     segment ...                         (kernel.org, driver-api/early-userspace/buffer-format)
segment   cpio archive, as it is or compressed; zeros before it are padding

No program of the guest makes it anew: one that looks at the machine it runs on (dracut) would make it for the appliance. Names and contents
keep their lengths, so the archive stays one.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from backports import zstd

from estampe import errors
from estampe.guest import lz4

_MOST_PLAIN_BYTES: Final = 768 * 1024 * 1024  # images with all drivers and firmware come to 300 MiB
_MAGICS: Final = (b"070701", b"070702")  # cpio(5), newc; the second one with checksums
_HEADER_BYTES: Final = 110
_ALIGNED: Final = 4  # where the kernel looks for an archive that is not compressed
_ZSTD_LEVEL: Final = 9  # a twentieth larger than what Debian's level 19 makes, in a tenth of its time
_GZIP, _GZIP_LEVEL = 16 + zlib.MAX_WBITS, 9


@dataclass(frozen=True, slots=True)
class _Format:
    magic: bytes
    decompressor: Callable[[], Any]
    compress: Callable[[bytes], bytes]


def _gzip(plain: bytes) -> bytes:
    packer = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP)
    return packer.compress(plain) + packer.flush()


_FORMATS: Final = (
    _Format(b"\x1f\x8b", lambda: zlib.decompressobj(_GZIP), _gzip),
    # The kernel's decoder checks CRC-32 alone (kernel.org, staging/xz).
    _Format(b"\xfd7zXZ\x00", lzma.LZMADecompressor, lambda plain: lzma.compress(plain, check=lzma.CHECK_CRC32)),
    _Format(b"\x28\xb5\x2f\xfd", zstd.ZstdDecompressor, lambda plain: zstd.compress(plain, _ZSTD_LEVEL)),
    _Format(lz4.MAGIC, lz4.Decompressor, lz4.stored),
    _Format(b"BZh", bz2.BZ2Decompressor, bz2.compress),
    _Format(b"\x5d\x00\x00", lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE), lambda plain: lzma.compress(plain, lzma.FORMAT_ALONE)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Segment:
    padding: bytes  # before it
    packed: bytes
    plain: bytes
    compress: Callable[[bytes], bytes] | None


def named(image: bytes, words: Sequence[bytes], *, most_bytes: int = _MOST_PLAIN_BYTES) -> set[bytes]:
    """Which of the words it holds. Raises: errors.ApplianceFailed where it cannot be looked into, or unpacks to more than that."""
    found: set[bytes] = set()
    for segment in _segments(image, most_bytes):
        found |= {word for word in words if word in segment.plain}
    return found


def exchanged(image: bytes, exchange: Callable[[bytes], bytes]) -> bytes:
    """The image with what `exchange` makes of each archive, which must be as long as it was. Raises: errors.ApplianceFailed."""
    made = b""
    for segment in _segments(image, _MOST_PLAIN_BYTES):
        made += segment.padding
        if segment.compress is None:
            made += bytes(-len(made) % _ALIGNED)
        plain = exchange(segment.plain)
        if plain == segment.plain:
            made += segment.packed
        elif plain.startswith(_MAGICS[1]):
            raise errors.ApplianceFailed(detail="the initramfs has checksums of its files")
        else:
            made += plain if segment.compress is None else segment.compress(plain)
    return made


def _segments(image: bytes, most_bytes: int) -> Iterator[_Segment]:
    at = left = 0
    while at < len(image):
        begin = at
        at += len(image) - at - len(image[at:].lstrip(b"\0"))
        if at == len(image):
            return
        if image.startswith(_MAGICS, at):
            end = _end_of_archive(image, at)
            plain, compress = image[at:end], None
        else:
            plain, end, compress = _unpacked(image, at, most_bytes - left)
        left += len(plain)
        yield _Segment(image[begin:at], image[at:end], plain, compress)
        at = end


def _unpacked(image: bytes, at: int, most: int) -> tuple[bytes, int, Callable[[bytes], bytes]]:
    found = next((each for each in _FORMATS if image.startswith(each.magic, at)), None)
    if found is None:
        raise errors.ApplianceFailed(detail="it is compressed in a way that Estampe does not know")
    unpacker, rest = found.decompressor(), image[at:]
    try:
        plain = unpacker.decompress(rest, most)
    except (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, ValueError) as error:
        raise errors.ApplianceFailed(detail=f"it is damaged: {error}") from error
    if not unpacker.eof:
        raise errors.ApplianceFailed(detail="it is too large, or ends too early")
    return plain, len(image) - len(unpacker.unused_data), found.compress


def _end_of_archive(image: bytes, begin: int) -> int:
    """What is aligned in an archive is so from its own beginning."""
    at = begin
    while True:
        header = image[at : at + _HEADER_BYTES]
        try:
            size, name_size = int(header[54:62], 16), int(header[94:102], 16)
        except ValueError:
            raise errors.ApplianceFailed(detail="it is damaged: an archive in it does not end") from None
        name = image[at + _HEADER_BYTES : at + _HEADER_BYTES + name_size]
        at = begin + _aligned(_aligned(at + _HEADER_BYTES + name_size - begin) + size)
        if name == b"TRAILER!!!\0":
            return min(at, len(image))


def _aligned(length: int) -> int:
    return -(-length // _ALIGNED) * _ALIGNED
