"""LZ4 as initial file systems are compressed with it: its legacy frame (lz4_Frame_format.md, lz4_Block_format.md of the lz4 project).

frame     02 21 4C 18 | block | block ...                  to the end, to zeros, or to another frame
block     length, 32 bits little-endian | sequences        8 MiB of plain bytes, the last one fewer
sequence  token: literals (4 bits), match (4 bits) | more of the first length | literals | offset, 16 bits | more of the second

What is written is not compressed: blocks of literals alone are as valid, and any kernel that reads this format reads them.
"""

from __future__ import annotations

import struct
from typing import Final

MAGIC: Final = b"\x02\x21\x4c\x18"
_BLOCK_BYTES: Final = 8 * 1024 * 1024
_LENGTH: Final = struct.Struct("<I")
_NIBBLE, _BYTE = 15, 255
_LEAST_MATCH: Final = 4


class Decompressor:
    """As those of the standard library: `eof` once the frame has ended, and what came behind it."""

    def __init__(self) -> None:
        self.eof = False
        self.unused_data = b""

    def decompress(self, data: bytes, most: int) -> bytes:
        """The plain bytes of a whole frame, at most so many. Raises: ValueError where it is none."""
        made, at = bytearray(), len(MAGIC)
        while at + _LENGTH.size <= len(data):
            [length] = _LENGTH.unpack_from(data, at)
            if length == 0 or data.startswith(MAGIC, at):
                break
            if at + _LENGTH.size + length > len(data):
                return bytes(made)  # it ends too early
            made += _block(data[at + _LENGTH.size : at + _LENGTH.size + length])
            at += _LENGTH.size + length
            if len(made) > most:
                return bytes(made[:most])
        self.eof, self.unused_data = True, data[at:]
        return bytes(made)


def stored(plain: bytes) -> bytes:
    """A frame of literals alone."""
    made = [MAGIC]
    for at in range(0, len(plain), _BLOCK_BYTES):
        piece = plain[at : at + _BLOCK_BYTES]
        block = _literals(piece)
        made += [_LENGTH.pack(len(block)), block]
    return b"".join(made)


def _literals(piece: bytes) -> bytes:
    if len(piece) < _NIBBLE:
        return bytes([len(piece) << 4]) + piece
    more, rest = divmod(len(piece) - _NIBBLE, _BYTE)
    return bytes([_NIBBLE << 4]) + bytes([_BYTE]) * more + bytes([rest]) + piece


def _block(data: bytes) -> bytearray:
    """Raises: ValueError."""
    made, at = bytearray(), 0
    try:
        while at < len(data):
            token = data[at]
            length, at = _length(data, at + 1, token >> 4)
            if at + length > len(data):
                raise ValueError("a block ends too early")
            made += data[at : at + length]
            at += length
            if at >= len(data):  # the last sequence has no match
                break
            offset = data[at] | data[at + 1] << 8
            length, at = _length(data, at + 2, token & _NIBBLE)
            _repeat(made, offset, length + _LEAST_MATCH)
            if len(made) > _BLOCK_BYTES:
                raise ValueError("a block is too long")
    except IndexError:
        raise ValueError("a block ends too early") from None
    return made


def _length(data: bytes, at: int, nibble: int) -> tuple[int, int]:
    """The length, and where it goes on."""
    length = nibble
    if nibble == _NIBBLE:
        while True:
            more = data[at]
            at += 1
            length += more
            if more != _BYTE:
                break
    return length, at


def _repeat(made: bytearray, offset: int, length: int) -> None:
    """A match may reach into what it writes itself: then it repeats."""
    begin = len(made) - offset
    if not 0 <= begin < len(made):
        raise ValueError("a match lies before the block")
    piece = made[begin : begin + length]
    if len(piece) < length:
        piece = (piece * (length // len(piece) + 1))[:length]
    made += piece
