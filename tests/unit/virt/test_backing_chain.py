import os
from pathlib import Path

import pytest

from estampe import errors
from estampe.model import configuration
from estampe.virt import backing_chain, base, qemu_img

pytestmark = pytest.mark.requires_qemu
RAW, QCOW2 = configuration.VolumeFormat.RAW, configuration.VolumeFormat.QCOW2
MIB = 1024 * 1024


@pytest.fixture
def make(tmp_path):
    def make(name: str, volume_format=RAW, backing: base.Layer | None = None) -> base.Layer:
        path = tmp_path / name
        qemu_img.create(str(path), format=volume_format, size_bytes=MIB, backing=backing)
        return base.Layer(path=str(path), format=volume_format, is_block_device=False)

    return make


def resolve(layer: base.Layer, **given) -> tuple[base.Layer, ...]:
    return backing_chain.resolve("vda", [(layer.path, str(layer.format))], **({"is_complete": False} | given))


def set_backing(layer: base.Layer, name: str) -> None:
    """Write another name, not longer, over the backing file's in the header."""
    path = Path(layer.path)
    data = bytearray(path.read_bytes())
    offset, length = int.from_bytes(data[8:16]), int.from_bytes(data[16:20])
    assert len(name) <= length
    data[16:20] = len(name).to_bytes(4)
    data[offset : offset + len(name)] = name.encode()
    path.write_bytes(data)


def remove_format(layer: base.Layer) -> None:
    """Make the extension that tells the backing format one that nobody knows."""
    path = Path(layer.path)
    path.write_bytes(path.read_bytes().replace(bytes.fromhex("e2792aca"), bytes.fromhex("00000001"), 1))


def test_a_chain_is_followed_to_its_end_by_explicit_formats(make):
    bottom = make("bottom.raw")
    middle = make("middle", QCOW2, bottom)
    top = make("top", QCOW2, middle)
    assert resolve(top) == (top, middle, bottom)


def test_a_chain_that_is_told_whole_is_not_followed(make):
    top = make("top", QCOW2, make("bottom.raw"))
    assert resolve(top, is_complete=True) == (top,)


def test_a_chain_that_is_told_in_part_is_followed_from_there(make):
    bottom = make("bottom.raw")
    middle = make("middle", QCOW2, bottom)
    top = make("top", QCOW2, middle)
    told = [(top.path, "qcow2"), (middle.path, "qcow2")]
    assert backing_chain.resolve("vda", told, is_complete=False) == (top, middle, bottom)


def test_a_relative_name_is_relative_to_its_overlay(make, tmp_path):
    bottom = make("bottom.raw")
    top = make("top", QCOW2, bottom)
    set_backing(top, "bottom.raw")
    assert resolve(top)[1].path == str(tmp_path / "bottom.raw")


def test_raw_ends_the_chain_whatever_it_holds(make):
    disguised = make("disguised", QCOW2, make("secret.raw"))
    as_raw = base.Layer(path=disguised.path, format=RAW, is_block_device=False)
    assert resolve(as_raw) == (as_raw,)


def test_a_backing_file_without_its_format_is_refused_with_the_remedy(make):
    top = make("top", QCOW2, make("bottom.raw"))
    remove_format(top)
    with pytest.raises(errors.ChainUnsupported, match=r"qemu-img rebase -u .* -F FORMAT"):
        resolve(top)


@pytest.mark.parametrize("name", ["json:{}", "nbd://127.0.0.1/x", "nbd:unix:/s", "fat:/etc", "file.x:y"])
def test_a_header_may_name_plain_files_only(make, name):
    top = make("top", QCOW2, make("a-file-with-a-rather-long-name.raw"))
    set_backing(top, name)
    with pytest.raises(errors.ChainUnsupported, match="files and block devices only"):
        resolve(top)


def test_a_missing_layer_is_named(make):
    bottom = make("bottom.raw")
    top = make("top", QCOW2, bottom)
    Path(bottom.path).unlink()
    with pytest.raises(errors.VolumeGone, match=r"vda .*bottom\.raw"):
        resolve(top)
    Path(top.path).unlink()
    with pytest.raises(errors.VolumeGone, match="top"):
        resolve(top)


def test_an_endless_chain_is_refused(make):
    bottom = make("bbb", QCOW2, make("raw"))
    top = make("ttt", QCOW2, bottom)
    looping = make("lll", QCOW2, top)
    set_backing(bottom, "lll")
    with pytest.raises(errors.ChainUnsupported, match="endless"):
        resolve(looping)


def test_external_data_and_encryption_are_refused(make, tmp_path):
    argv_layer = make("plain", QCOW2)
    path = Path(argv_layer.path)
    data = bytearray(path.read_bytes())
    data[79] |= 1 << 2  # incompatible features, last byte
    path.write_bytes(data)
    with pytest.raises(errors.ChainUnsupported, match="another file"):
        resolve(argv_layer)
    data[79] &= ~(1 << 2)
    data[35] = 2
    path.write_bytes(data)
    with pytest.raises(errors.ChainUnsupported, match="encrypted"):
        resolve(argv_layer)


def test_what_is_told_to_be_qcow2_must_be(make):
    with pytest.raises(errors.ChainUnsupported, match="does not begin as a qcow2 file"):
        resolve(base.Layer(path=make("x").path, format=QCOW2, is_block_device=False))


def test_other_formats_and_other_kinds_of_files_are_refused(make, tmp_path):
    with pytest.raises(errors.FormatUnsupported, match="vmdk"):
        backing_chain.resolve("vda", [(make("x").path, "vmdk")], is_complete=True)
    with pytest.raises(errors.ChainUnsupported, match="neither a file"):
        backing_chain.resolve("vda", [(str(tmp_path), "raw")], is_complete=True)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(errors.ChainUnsupported, match="neither a file"):
        backing_chain.resolve("vda", [(str(tmp_path / "pipe"), "qcow2")], is_complete=True)
    with pytest.raises(errors.ChainUnsupported, match="raw, and cannot have"):
        backing_chain.resolve("vda", [(make("y").path, "raw"), (make("z").path, "raw")], is_complete=True)


def test_the_virtual_size_is_the_headers_or_the_files_in_whole_sectors(make, tmp_path):
    assert backing_chain.virtual_size("vda", make("q", QCOW2)) == MIB
    odd = tmp_path / "odd"
    odd.write_bytes(bytes(1_000_001))
    layer = base.Layer(path=str(odd), format=RAW, is_block_device=False)
    assert backing_chain.virtual_size("vda", layer) == 1_000_448 == qemu_img.info((layer,)).size_bytes
