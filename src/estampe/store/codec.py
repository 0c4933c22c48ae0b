"""Bodies: how a chunk's plain bytes are stored. Format and musts: docs/format.md, "Chunk body".

| u8 0xE5 | u8 version | u8 codec | u8 0 | u32 plain length, little-endian | payload: one zstd frame, or the plain bytes |

The id is of the plain bytes, so how they are encoded may change from body to body.
"""

from __future__ import annotations

import enum
import struct
from typing import Final

import blake3
from backports import zstd

from estampe import errors

MAGIC: Final = 0xE5  # no ASCII, and no first byte of UTF-8 text that a person would put here
VERSION: Final = 1
HEADER: Final = struct.Struct("<BBBBI")
DEFAULT_LEVEL: Final = 1  # by measurement: docs/performance.md, "Chunk size"

# zstd must win 1/32 (3 %) or the plain bytes are stored: reading those back costs a copy instead of a decoder, and what is
# already compressed is what zstd decodes slowest for nothing.
_LEAST_GAIN: Final = 32

# RFC 8878 section 3.1.1.1.2 recommends that decoders support windows up to 8 MiB and frames need no more. It bounds what a
# hostile frame can make the decoder allocate beside the output.
_DECODE_OPTIONS: Final[dict[int, int]] = {zstd.DecompressionParameter.window_log_max: 23}


class Codec(enum.IntEnum):
    """How the payload is encoded."""

    NONE = 0
    ZSTD = 1


class Damage(enum.StrEnum):
    """What is wrong with a chunk; as a finding of a check, and (but for the last two) fact `kind` of errors.ChunkCorrupt."""

    FLIPPED = "flipped"  # all there, and not what it was
    TRUNCATED = "truncated"
    MISSING = "missing"
    UNREADABLE = "unreadable"  # the device below refuses
    NEWER = "newer"  # no damage that could be told: written by a later version of Estampe
    MISFIT = "misfit"  # whole, and of another length than a template needs: that template is damaged, not the chunk


def identify(plain: bytes | memoryview) -> bytes:
    """The id of a chunk: BLAKE3-256 of its plain bytes."""
    return blake3.blake3(plain).digest()


def encode(plain: bytes, *, level: int = DEFAULT_LEVEL) -> bytes:
    """The body of a chunk."""
    frame = zstd.compress(plain, level)
    if len(frame) > len(plain) - len(plain) // _LEAST_GAIN:
        return HEADER.pack(MAGIC, VERSION, Codec.NONE, 0, len(plain)) + plain
    return HEADER.pack(MAGIC, VERSION, Codec.ZSTD, 0, len(plain)) + frame


def decode(body: bytes, *, chunk_id: bytes, most_bytes: int) -> bytes:
    """The plain bytes of a body; at most `most_bytes` are ever allocated for them. They still have to be verified by id.

    Raises: errors.ChunkCorrupt with fact `kind` (Damage), errors.ChunkVersionUnsupported.
    """
    if len(body) < HEADER.size:
        raise damaged(chunk_id, Damage.TRUNCATED, f"only {len(body)} bytes are left of it")
    magic, version, codec, reserved, plain_bytes = HEADER.unpack_from(body)
    if magic == MAGIC and version > VERSION:
        raise errors.ChunkVersionUnsupported(chunk=chunk_id.hex(), version=version, supported=VERSION)
    if magic != MAGIC or version < 1 or reserved != 0:
        raise damaged(chunk_id, Damage.FLIPPED, "it does not begin as a chunk that this version of Estampe reads")
    if not 0 < plain_bytes <= most_bytes:
        raise damaged(
            chunk_id, Damage.FLIPPED, f"its header says {plain_bytes} bytes, {most_bytes} is the most it can be"
        )
    payload = memoryview(body)[HEADER.size :]
    if codec == Codec.NONE:
        return _checked_length(bytes(payload), plain_bytes, chunk_id)
    if codec == Codec.ZSTD:
        return _decompress(payload, plain_bytes, chunk_id)
    raise damaged(chunk_id, Damage.FLIPPED, f"its header names codec {codec}, which does not exist")


def damaged(chunk_id: bytes, kind: Damage, detail: str) -> errors.ChunkCorrupt:
    """The error that says so."""
    return errors.ChunkCorrupt(chunk=chunk_id.hex(), detail=detail, kind=str(kind))


def _decompress(frame: memoryview, plain_bytes: int, chunk_id: bytes) -> bytes:
    decoder = zstd.ZstdDecompressor(options=_DECODE_OPTIONS)
    try:
        plain = decoder.decompress(frame, max_length=plain_bytes)  # never more, whatever the frame says of itself
    except zstd.ZstdError as error:
        raise damaged(chunk_id, Damage.FLIPPED, f"zstd cannot decode it: {error}") from error
    if not decoder.eof and decoder.needs_input:
        raise damaged(chunk_id, Damage.TRUNCATED, "its zstd frame ends early")
    if not decoder.eof or decoder.unused_data:
        raise damaged(chunk_id, Damage.FLIPPED, "it goes on after its end")
    return _checked_length(plain, plain_bytes, chunk_id)


def _checked_length(plain: bytes, plain_bytes: int, chunk_id: bytes) -> bytes:
    if len(plain) != plain_bytes:
        kind = Damage.TRUNCATED if len(plain) < plain_bytes else Damage.FLIPPED
        raise damaged(chunk_id, kind, f"it holds {len(plain)} bytes, its header says {plain_bytes}")
    return plain
