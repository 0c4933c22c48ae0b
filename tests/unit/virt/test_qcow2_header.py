import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estampe.virt import qcow2_header

BACKING_FORMAT = 0xE2792ACA


def header(
    *, version=3, size=1 << 20, backing=b"", extensions=b"", crypt=0, features=0, name_offset=None, name_length=None
) -> bytes:
    """A header with the backing file's name behind its extensions."""
    length = 104 if version == 3 else 72
    at = length + len(extensions) + 8 if backing else 0
    data = struct.pack(
        ">4sIQIIQI", b"QFI\xfb", version, at if name_offset is None else name_offset,
        len(backing) if name_length is None else name_length, 16, size, crypt,
    )  # fmt: skip
    data = data.ljust(72, b"\0")
    if version == 3:
        data += struct.pack(">QQQII", features, 0, 0, 4, 104)
    return data + extensions + bytes(8) + backing + bytes(64)


def extension(kind: int, body: bytes) -> bytes:
    return struct.pack(">II", kind, len(body)) + body + bytes(-len(body) % 8)


def test_a_plain_header_is_read():
    found = qcow2_header.parse(header(size=123 << 20))
    assert found == qcow2_header.Header(
        size_bytes=123 << 20, backing_file=None, backing_format=None, is_encrypted=False, has_external_data=False
    )


@pytest.mark.parametrize("version", [2, 3])
def test_backing_file_and_its_format_are_read(version):
    extensions = extension(0x6803F857, b"x" * 13) + extension(BACKING_FORMAT, b"raw")
    found = qcow2_header.parse(header(version=version, backing=b"base.img", extensions=extensions))
    assert (found.backing_file, found.backing_format) == ("base.img", "raw")


def test_a_backing_file_without_its_format():
    found = qcow2_header.parse(header(backing=b"base.img"))
    assert (found.backing_file, found.backing_format) == ("base.img", None)


def test_encryption_and_external_data_are_told():
    assert qcow2_header.parse(header(crypt=2)).is_encrypted
    assert qcow2_header.parse(header(features=1 << 2)).has_external_data
    assert not qcow2_header.parse(header(features=1)).has_external_data  # only marked dirty


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "too short"),
        (b"\0" * 512, "begin"),
        (header(version=4), "version 4"),
        (header()[:80], "cut off"),
        (header(backing=b"b", name_offset=1 << 40), "out of bounds"),
        (header(backing=b"b", name_length=5000), "out of bounds"),
        (header(backing=b"a\0b"), "zero byte"),
        (header(backing=b"b", extensions=struct.pack(">II", 7, 1 << 31)), "past the header"),
    ],
)
def test_a_broken_header_is_refused(data, problem):
    with pytest.raises(ValueError, match=problem):
        qcow2_header.parse(data)


@given(st.binary(max_size=400), st.integers(0, 200))
def test_no_bytes_break_the_reader(noise, at):
    whole = header(backing=b"base.img", extensions=extension(BACKING_FORMAT, b"qcow2"))
    data = whole[:at] + noise + whole[at + len(noise) :]
    try:
        found = qcow2_header.parse(data)
    except ValueError:
        return
    assert found.size_bytes >= 0
