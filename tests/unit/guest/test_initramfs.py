"""An initramfs with words exchanged, in every compression that kernels read."""

import bz2
import gzip
import lzma
import os
import random
import subprocess

import pytest
from backports import zstd
from tests.support import cpio

from estampe import errors
from estampe.guest import initramfs, lz4

OLD, NEW = b"aaaaaaaa-0000-4000-8000-00000000000a", b"bbbbbbbb-0000-4000-8000-00000000000b"
EARLY = cpio.archive({"kernel/x86/microcode/GenuineIntel.bin": b"code" * 99})


def filtered(plain, *command):
    return subprocess.run(command, input=plain, capture_output=True, check=True, timeout=60).stdout


COMPRESSIONS = {
    "none": bytes,
    "gzip": gzip.compress,
    "xz": lambda plain: lzma.compress(plain, check=lzma.CHECK_CRC32),
    "lzma": lambda plain: lzma.compress(plain, lzma.FORMAT_ALONE),
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
    "lz4": lambda plain: filtered(plain, "lz4", "-9", "-l", "-c"),
}
TOOLS = {
    "lz4": ["lz4", "-dc"],
    "none": ["cat"],
    "gzip": ["gzip", "-dc"],
    "xz": ["xz", "-dc"],
    "zstd": ["zstd", "-dqc"],
    "bzip2": ["bzip2", "-dc"],
}


def plain(uuid):
    hook = b"hooks/devexists-" + uuid + b".sh"
    return cpio.archive({hook.decode(): b"[ -e /dev/disk/by-uuid/" + uuid + b" ]\n", "init": b"#!/bin/sh\n" * 500})


def exchange(content):
    return content.replace(OLD, NEW)


@pytest.mark.parametrize("early", [b"", EARLY + bytes(-len(EARLY) % 512)], ids=["alone", "early"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_names_and_contents_are_exchanged_and_the_rest_is_as_it_was(compression, early):
    image = early + COMPRESSIONS[compression](plain(OLD))
    assert initramfs.named(image, [OLD, NEW]) == {OLD}
    made = initramfs.exchanged(image, exchange)
    assert made[: len(early)] == early
    assert initramfs.named(made, [OLD, NEW]) == {NEW}
    if compression in TOOLS:
        ran = subprocess.run(TOOLS[compression], input=made[len(early) :], capture_output=True, check=True, timeout=30)
        assert ran.stdout == plain(NEW)


def test_each_archive_begins_where_the_kernel_looks_for_it():
    image = gzip.compress(plain(OLD)) + bytes(3) + gzip.compress(b"more") + bytes(2) + EARLY
    made = initramfs.exchanged(image, exchange)
    assert made.endswith(EARLY)
    assert made.index(EARLY) % 4 == 0


@pytest.mark.parametrize("compression", ["gzip", "xz", "lzma", "zstd", "bzip2"])
def test_a_cut_off_image_is_told(compression):
    image = COMPRESSIONS[compression](plain(OLD))
    with pytest.raises(errors.ApplianceFailed, match=r"too large, or ends too early|damaged"):
        initramfs.named(image[:-9], [OLD])


def test_lz4_of_many_blocks_and_of_every_match_is_read():
    plain = b"".join(random.Random(7).choice((b"ab", b"abc" * 99, bytes(5000), os.urandom(300))) for _ in range(12_000))
    image = filtered(plain, "lz4", "-9", "-l", "-c")
    reader = lz4.Decompressor()
    assert reader.decompress(image + bytes(4), 1 << 30) == plain
    assert (reader.eof, reader.unused_data) == (True, bytes(4))
    assert filtered(lz4.stored(plain), "lz4", "-dc") == plain


@pytest.mark.parametrize(
    "block", [b"\x10", b"\xf0", b"\x10a\x05\x00", b"\x10a\x00\x00", b"\x1fa\x01\x00" + b"\xff" * 40_000 + b"\x00"]
)
def test_an_lz4_block_that_makes_no_sense_is_told(block):
    image = lz4.MAGIC + len(block).to_bytes(4, "little") + block
    with pytest.raises(errors.ApplianceFailed):
        initramfs.named(image, [OLD])


@pytest.mark.parametrize("image", [b"\x02\x21\x4c\x18lz4+", b"070701" + b"x" * 200, EARLY[:-50], b"nonsense"])
def test_what_is_no_image_is_told(image):
    with pytest.raises(errors.ApplianceFailed):
        initramfs.named(image, [OLD])


def test_a_bomb_is_not_unpacked():
    with pytest.raises(errors.ApplianceFailed, match="too large"):
        initramfs.named(gzip.compress(bytes(8 << 20)), [OLD], most_bytes=1 << 20)


def test_an_archive_with_checksums_is_not_changed():
    image = plain(OLD).replace(b"070701", b"070702")
    assert initramfs.named(image, [OLD]) == {OLD}
    with pytest.raises(errors.ApplianceFailed, match="checksums"):
        initramfs.exchanged(image, exchange)
