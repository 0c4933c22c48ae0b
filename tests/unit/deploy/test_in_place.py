"""Writing qcow2 volumes in place: which, what comes of it, and who is kept out meanwhile."""

import os
import random
import subprocess
import tempfile
from pathlib import Path

import pytest
from site_under_test import CHUNK, CLEAN, SIZE, Site

from estampe import errors
from estampe.capture import exported, source
from estampe.deploy import in_place
from estampe.model import configuration, extent, operation
from estampe.virt import base as virt
from estampe.virt import image_lock, qemu_img

QCOW2 = configuration.VolumeFormat.QCOW2
MIB = 1024 * 1024
pytestmark = pytest.mark.requires_qemu


@pytest.fixture
def directory():
    with tempfile.TemporaryDirectory(prefix="place-", dir="/var/tmp") as path:  # sockets want a short path
        yield Path(path)


def _make(path: Path, *, size=8 * MIB, is_preallocated=True) -> virt.Layer:
    qemu_img.create(str(path), format=QCOW2, size_bytes=size, is_preallocated=is_preallocated)
    return virt.Layer(path=str(path), format=QCOW2, is_block_device=False)


def _as_raw(layer: virt.Layer) -> bytes:
    """What QEMU reads."""
    raw = Path(layer.path).with_suffix(".raw")
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", layer.path, raw], check=True)
    return raw.read_bytes()


def _is_in_place(layer: virt.Layer) -> bool:
    with in_place.open_writer(layer) as writer:
        return writer is not None


def _allocated(layer: virt.Layer) -> int:
    return Path(layer.path).stat().st_blocks * 512


# --- the writer ---


def test_qemu_reads_what_was_written_in_place_and_finds_the_volume_sound(tmp_path):
    layer = _make(tmp_path / "v.qcow2", size=513 * MIB + 512)  # more than one table of places
    data = random.Random(1).randbytes(MIB)
    at = (0, 511 * MIB + MIB // 2, 513 * MIB + 512 - len(data))
    with in_place.open_writer(layer) as writer:
        assert writer.size_bytes == 513 * MIB + 512
        assert writer.is_zeroed
        for offset in at:
            writer.write(offset, data)
        writer.flush()
    assert qemu_img.check([layer])
    expected = tmp_path / "expected.raw"
    with expected.open("wb") as stream:
        stream.truncate(513 * MIB + 512)
        for offset in at:
            os.pwrite(stream.fileno(), data, offset)
    argv = ["qemu-img", "compare", "-q", "-f", "qcow2", "-F", "raw", layer.path, expected]
    assert subprocess.run(argv, check=False).returncode == 0
    assert _allocated(layer) < 5 * MIB


def test_writing_again_after_a_cut_off_gives_the_same(tmp_path):
    layer = _make(tmp_path / "v.qcow2")
    pieces = {offset: random.Random(offset).randbytes(CHUNK) for offset in range(0, 8 * MIB, 5 * CHUNK)}
    for count in (7, len(pieces)):  # the first time not to the end, and never flushed
        with in_place.open_writer(layer) as writer:
            for offset, data in list(pieces.items())[:count]:
                writer.write(offset, data)
    expected = bytearray(8 * MIB)
    for offset, data in pieces.items():
        expected[offset : offset + CHUNK] = data
    assert _as_raw(layer) == expected
    assert qemu_img.check([layer])


def test_zeros_of_a_volume_that_was_written_in_place_are_no_data_to_a_capture(directory):
    layer = _make(directory / "v.qcow2", size=64 * MIB)
    with in_place.open_writer(layer) as writer:
        writer.write(MIB, b"d" * 2 * MIB)
    with exported.ExportedReader([layer], socket_directory=directory) as reader:
        assert extent.data_bytes(reader.extents()) == 2 * MIB
    volume = virt.DomainVolume(target="vda", bus="virtio", chain=(layer,), size_bytes=64 * MIB, serial=None)
    with source.open_all("s", [volume], writable_devices=[], socket_directory=directory) as (found,):
        assert extent.data_bytes(found.reader.extents()) == 2 * MIB
        assert found.reader.read(MIB - 1, 2 * MIB + 2) == b"\0" + b"d" * 2 * MIB + b"\0"


def test_a_volume_that_lacks_a_place_anywhere_is_not_written_in_place(tmp_path):
    assert _is_in_place(_make(tmp_path / "placed.qcow2"))
    assert not _is_in_place(_make(tmp_path / "plain.qcow2", is_preallocated=False))

    grown = _make(tmp_path / "grown.qcow2")
    qemu_img.resize(grown, 9 * MIB)
    assert not _is_in_place(grown)

    zeroed = _make(tmp_path / "zeroed.qcow2")
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -z 1M 64k", zeroed.path], check=True, capture_output=True)
    assert not _is_in_place(zeroed)

    data, packed = tmp_path / "data.raw", tmp_path / "packed.qcow2"
    data.write_bytes(b"z" * MIB)
    subprocess.run(["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", data, packed], check=True)
    assert not _is_in_place(virt.Layer(path=str(packed), format=QCOW2, is_block_device=False))


def test_writers_in_place_and_others_keep_each_other_out(tmp_path):
    layer = _make(tmp_path / "v.qcow2")
    with in_place.open_writer(layer):
        for taken in (
            image_lock.fence([layer.path]),
            image_lock.write_alone([layer.path]),
            in_place.open_writer(layer),
        ):
            with pytest.raises(errors.VolumeLocked), taken:
                pytest.fail("two at once")
        with pytest.raises(errors.VolumeLocked):
            qemu_img.resize(layer, 9 * MIB)
    with image_lock.write_alone([layer.path]), pytest.raises(errors.VolumeLocked), in_place.open_writer(layer):
        pytest.fail("two at once")


def _write_until_cancelled(layer: virt.Layer) -> None:
    with in_place.open_writer(layer) as writer:
        writer.write(0, b"x")
        raise errors.Cancelled


def test_a_cancel_leaves_the_volume_free(tmp_path):
    layer = _make(tmp_path / "v.qcow2")
    with pytest.raises(errors.Cancelled):
        _write_until_cancelled(layer)
    with image_lock.write_alone([layer.path]):
        assert qemu_img.info([layer], is_shared=True).size_bytes == 8 * MIB


def test_a_volume_that_is_not_written_in_place_is_free_for_another_writer(tmp_path):
    layer = _make(tmp_path / "v.qcow2", is_preallocated=False)
    with in_place.open_writer(layer) as writer, image_lock.write_alone([layer.path]):
        assert writer is None


# --- in a deploy ---


@pytest.fixture
def stocked(directory, migrated, short_directory):
    """A site with the template web@1 of a server that is shut off."""
    site = Site(directory, migrated, run_directory=short_directory)
    site.add_server()
    site.succeed(site.capture())
    yield site
    site.close()


def _new(site) -> virt.Layer:
    return site.host.get_domain("new").volumes[0].chain[0]


@pytest.mark.parametrize(("size", "is_placed"), [(SIZE, True), (2 * SIZE, True), (100 * SIZE, False)])
def test_a_volume_is_preallocated_where_its_data_are_worth_it_and_the_rest_is_zeros(stocked, size, is_placed):
    stocked.succeed(stocked.deploy(volume_format="qcow2", volume_sizes={"vda": size}, is_started=False))
    layer = _new(stocked)
    assert _is_in_place(layer) is is_placed
    assert _as_raw(layer) == stocked.volume_bytes("web.raw").ljust(size, b"\0")
    assert qemu_img.check([layer])
    assert _allocated(layer) < SIZE
    assert stocked.leftovers() == CLEAN


@pytest.mark.parametrize("event", ["begin", "inside", "end"])
@pytest.mark.parametrize("step", ["create volumes", "hydrate vda"])
def test_a_kill_loses_nothing_of_a_volume_in_place(stocked, step, event):
    started = stocked.deploy(volume_format="qcow2", is_started=False)
    stocked.kill_at(step, event)
    assert stocked.run() == 1
    assert stocked.outcome(started).state is operation.State.SUCCEEDED
    assert _as_raw(_new(stocked)) == stocked.volume_bytes("web.raw")
    assert qemu_img.check([_new(stocked)])


def test_a_volume_whose_making_was_cut_off_is_made_anew(stocked):
    started = stocked.deploy(volume_format="qcow2", is_started=False)
    stocked.kill_at("create volumes", "inside")
    assert stocked.engine.run_pending() is False
    (name,) = stocked.volumes() - {"web.raw"}
    os.truncate(stocked.pool.directory / name, 100_000)  # as the power failed: not all metadata are there
    stocked.engine = stocked.engine.relaunch()
    stocked._start_daemon()
    stocked.succeed(started)
    assert stocked.volumes() == {"web.raw", name}
    assert qemu_img.check([_new(stocked)])
    assert _as_raw(_new(stocked)) == stocked.volume_bytes("web.raw")


def test_a_server_deployed_in_place_is_captured_as_the_same(stocked):
    stocked.succeed(stocked.deploy(volume_format="qcow2", is_started=False))
    before = len(list(stocked.store.list_chunks()))
    stocked.succeed(stocked.capture(server="new", name="again"))
    assert len(list(stocked.store.list_chunks())) == before
    stocked.succeed(stocked.deploy(template="again", name="third", volume_format="raw", is_started=False))
    third = stocked.host.get_domain("third").volumes[0].chain[0]
    assert Path(third.path).read_bytes() == stocked.volume_bytes("web.raw")
