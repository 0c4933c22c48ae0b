import random

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from estampe import errors
from estampe.store import codec

MOST = 1 << 20
TEXT = b"a text that compresses very well. " * 1000
TEXT_BYTES = len(TEXT)
NOISE = random.Random(1).randbytes(30_000)


def _decode(body: bytes, most_bytes: int = MOST) -> bytes:
    return codec.decode(body, chunk_id=bytes(32), most_bytes=most_bytes)


def _damage(body: bytes, most_bytes: int = MOST) -> str:
    with pytest.raises(errors.ChunkCorrupt) as caught:
        _decode(body, most_bytes)
    assert bytes(32).hex() in str(caught.value)
    return caught.value.facts["kind"]


def _header(*, magic=codec.MAGIC, version=codec.VERSION, kind=codec.Codec.ZSTD, reserved=0, length=TEXT_BYTES) -> bytes:
    return codec.HEADER.pack(magic, version, kind, reserved, length)


@given(st.binary(min_size=1, max_size=20_000), st.sampled_from([1, 3]))
def test_any_chunk_comes_back(plain, level):
    assert _decode(codec.encode(plain, level=level)) == plain


def test_what_compresses_is_one_zstd_frame_behind_the_header():
    body = codec.encode(TEXT)
    assert body[:8] == bytes([0xE5, 1, 1, 0]) + len(TEXT).to_bytes(4, "little")
    assert zstd.decompress(body[8:]) == TEXT
    assert zstd.get_frame_size(body[8:]) == len(body) - 8


def test_what_does_not_compress_is_stored_as_it_is():
    assert codec.encode(NOISE) == bytes([0xE5, 1, 0, 0]) + len(NOISE).to_bytes(4, "little") + NOISE


def test_a_body_is_never_longer_than_its_chunk_and_the_header():
    assert all(len(codec.encode(plain)) <= len(plain) + 8 for plain in (TEXT, NOISE, b"x"))


@pytest.mark.parametrize("plain", [TEXT, NOISE])
def test_a_body_cut_short_anywhere_is_truncated(plain):
    body = codec.encode(plain)
    for length in {0, 1, 7, 8, 9, len(body) // 2, len(body) - 1}:
        assert _damage(body[:length]) == "truncated"


@pytest.mark.parametrize("plain", [TEXT, NOISE])
def test_bytes_after_the_end_are_damage(plain):
    assert _damage(codec.encode(plain) + b"x") == "flipped"


@pytest.mark.parametrize(
    "header",
    [
        _header(magic=0),
        _header(version=0),
        _header(kind=9),
        _header(reserved=1),
        _header(length=0),
        _header(length=2**32 - 1),
    ],
)
def test_a_header_that_cannot_be_is_damage(header):
    assert _damage(header + zstd.compress(TEXT)) == "flipped"


def test_a_newer_version_asks_for_an_upgrade():
    with pytest.raises(errors.ChunkVersionUnsupported, match=r"version 2.*upgrade"):
        _decode(_header(version=2) + zstd.compress(TEXT))


def test_a_frame_of_another_length_than_the_header_says_is_damage():
    frame = zstd.compress(TEXT)
    assert _damage(_header(length=len(TEXT) - 1) + frame) == "flipped"
    assert _damage(_header(length=len(TEXT) + 1) + frame) == "truncated"


def test_more_than_the_reader_allows_is_never_allocated():
    bomb = zstd.compress(bytes(1 << 30))  # 1 GiB of zeros in 33 KiB
    assert _damage(_header(length=1 << 30) + bomb) == "flipped"
    assert _damage(_header(length=4096) + bomb, most_bytes=4096) == "flipped"


def test_a_frame_with_a_giant_window_is_refused():
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0}
    writer = zstd.ZstdCompressor(options=options)
    frame = writer.compress(TEXT) + writer.flush()
    assert _damage(_header() + frame) == "flipped"


@given(st.binary(max_size=200))
def test_hostile_bytes_are_an_error_or_a_chunk_and_nothing_else(tail):
    for kind in codec.Codec:
        try:
            assert len(_decode(_header(kind=kind, length=100) + tail)) == 100
        except errors.ChunkCorrupt:
            continue


def test_the_id_is_blake3():
    assert codec.identify(b"abc").hex() == "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
