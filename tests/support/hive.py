"""Windows registry files, made from nothing: enough of the format for hivex and for what Estampe reads.

| base block 4 KiB: regf ... | hbin: cells, each int32 of minus its length, and nk (key), lh (list of keys), vk (value), data |

The format: https://github.com/msuhanov/regf/blob/master/Windows%20registry%20file%20format%20specification.md
"""

import functools
import operator
import struct

_NOTHING = 0xFFFFFFFF
_TEXT, _NUMBER = 1, 4


class _Cells:
    def __init__(self):
        self.data = bytearray(struct.pack("<4sIIQQI", b"hbin", 0, 0, 0, 0, 0))  # its size is put in at the end

    def add(self, content):
        """Offset of a new cell, as the format counts: from the end of the base block."""
        at, size = len(self.data), -(-(len(content) + 4) // 8) * 8
        self.data += struct.pack("<i", -size) + content.ljust(size - 4, b"\0")
        return at


def hive(tree):
    """A hive of nested mappings: a mapping is a key, a text or a number is a value."""
    cells = _Cells()
    root = _key(cells, "ROOT", tree, flags=0x2C)
    size = -(-len(cells.data) // 4096) * 4096
    cells.data[8:12] = struct.pack("<I", size)
    left = size - len(cells.data)
    if left:
        cells.data += struct.pack("<i", left).ljust(left, b"\0")
    base = struct.pack("<4sIIQIIIIIII", b"regf", 1, 1, 0, 1, 5, 0, 1, root, size, 1).ljust(508, b"\0")
    checksum = functools.reduce(operator.xor, struct.unpack("<127I", base))
    return (base + struct.pack("<I", checksum)).ljust(4096, b"\0") + bytes(cells.data)


def _key(cells, name, tree, *, flags=0x20):
    keys = {each: _key(cells, each, value) for each, value in sorted(tree.items()) if isinstance(value, dict)}
    values = [_value(cells, each, value) for each, value in tree.items() if not isinstance(value, dict)]
    entries = b"".join(struct.pack("<I4s", at, each[:4].encode().ljust(4, b"\0")) for each, at in keys.items())
    key_list = cells.add(struct.pack("<2sH", b"lf", len(keys)) + entries) if keys else _NOTHING
    value_list = cells.add(b"".join(struct.pack("<I", at) for at in values)) if values else _NOTHING
    at = cells.add(
        struct.pack(
            "<2sHQIIIIIIIIIIIIIIIHH", b"nk", flags, 0, 0, _NOTHING, len(keys), 0, key_list, _NOTHING, len(values), value_list,
            _NOTHING, _NOTHING, 0, 0, 0, 0, 0, len(name), 0,
        )
        + name.encode()
    )  # fmt: skip
    for child in keys.values():
        cells.data[child + 4 + 16 : child + 4 + 20] = struct.pack("<I", at)
    return at


def _value(cells, name, value):
    if isinstance(value, int):
        length, where, kind = 0x80000004, value, _NUMBER
    else:
        text = (value + "\0").encode("utf-16-le")
        length, where, kind = len(text), cells.add(text), _TEXT
    return cells.add(struct.pack("<2sHIIIHH", b"vk", len(name), length, where, kind, 1, 0) + name.encode())
