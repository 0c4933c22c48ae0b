import json
import socket
import tempfile
from pathlib import Path

import pytest

from estampe import errors
from estampe.model import configuration
from estampe.virt import base, block_description, image_lock, qemu_img, qemu_nbd

pytestmark = pytest.mark.requires_qemu
RAW, QCOW2 = configuration.VolumeFormat.RAW, configuration.VolumeFormat.QCOW2
MIB = 1024 * 1024


@pytest.fixture
def directory():
    with tempfile.TemporaryDirectory(prefix="qemu-", dir="/var/tmp") as path:  # sockets want a short path
        yield Path(path)


def make(directory: Path, name: str, volume_format=RAW, backing: base.Layer | None = None, size=MIB) -> base.Layer:
    qemu_img.create(str(directory / name), format=volume_format, size_bytes=size, backing=backing)
    return base.Layer(path=str(directory / name), format=volume_format, is_block_device=False)


# --- descriptions ---


def test_a_description_names_every_driver_and_the_chains_end():
    top = base.Layer(path="/a.qcow2", format=QCOW2, is_block_device=False)
    bottom = base.Layer(path="/dev/vg/b", format=RAW, is_block_device=True)
    assert block_description.describe((top, bottom)) == {
        "driver": "qcow2",
        "file": {"driver": "file", "filename": "/a.qcow2"},
        "backing": {"driver": "raw", "file": {"driver": "host_device", "filename": "/dev/vg/b"}},
    }
    assert block_description.describe((top,))["backing"] is None
    name = block_description.file_name((top,))
    assert json.loads(name.removeprefix("json:")) == block_description.describe((top,))


# --- qemu-img ---


def test_info_tells_the_top_and_follows_nothing(directory):
    bottom = make(directory, "bottom.raw")
    top = make(directory, "top.qcow2", QCOW2, bottom)
    Path(bottom.path).unlink()
    found = qemu_img.info((top,))
    assert (found.size_bytes, found.format) == (MIB, QCOW2)
    assert (found.backing_file, found.backing_format) == (bottom.path, "raw")


def test_map_tells_layer_and_place_of_every_run(directory):
    bottom = make(directory, "bottom.raw")
    with Path(bottom.path).open("r+b") as file:
        file.write(b"x" * 65536)
    top = make(directory, "top.qcow2", QCOW2, bottom)
    with qemu_nbd.export((top, bottom), socket_dir=directory, is_read_only=False) as export:
        write_over_nbd(export, 512 * 1024, b"y" * 65536)
    runs = qemu_img.map((top, bottom))
    assert sum(run.length for run in runs) == MIB
    first = runs[0]
    assert (first.offset, first.depth, first.is_data, first.host_offset) == (0, 1, True, 0)
    (written,) = [run for run in runs if run.depth == 0 and run.is_data]
    assert (written.offset, written.length) == (512 * 1024, 65536)
    data = Path(top.path).read_bytes()
    assert data[written.host_offset : written.host_offset + 65536] == b"y" * 65536
    assert Path(bottom.path).read_bytes().count(b"y") == 0


def test_resize_grows_and_never_shrinks(directory):
    layer = make(directory, "grow.qcow2", QCOW2)
    qemu_img.resize(layer, 4 * MIB)
    assert qemu_img.info((layer,)).size_bytes == 4 * MIB
    with pytest.raises(ValueError, match="not made smaller"):
        qemu_img.resize(layer, MIB)


def test_check_finds_broken_metadata(directory):
    layer = make(directory, "check.qcow2", QCOW2)
    assert qemu_img.check((layer,))
    with qemu_nbd.export((layer,), socket_dir=directory, is_read_only=False) as export:
        write_over_nbd(export, 0, b"z" * 65536)
    with Path(layer.path).open("r+b") as file:
        file.seek(65536)  # the refcount table
        file.write(bytes(8))
    assert not qemu_img.check((layer,))
    assert qemu_img.check((make(directory, "always.raw"),))


def test_a_missing_image_and_a_lock_are_told(directory):
    gone = base.Layer(path=str(directory / "gone"), format=QCOW2, is_block_device=False)
    with pytest.raises(errors.VolumeGone, match="gone"):
        qemu_img.info((gone,))
    layer = make(directory, "locked.qcow2", QCOW2)
    with image_lock.write_alone([layer.path]):
        with pytest.raises(errors.VolumeLocked, match="locked"):
            qemu_img.resize(layer, 4 * MIB)
        assert qemu_img.info((layer,), is_shared=True).size_bytes == MIB


# --- locks ---


def test_fences_stand_beside_fences_and_against_writers(directory):
    path = make(directory, "volume").path
    with (
        image_lock.fence([path]),
        image_lock.fence([path]),
        pytest.raises(errors.VolumeLocked),
        image_lock.write_alone([path]),
    ):
        pytest.fail("a writer inside a fence")
    with image_lock.write_alone([path]):
        for other in (image_lock.fence, image_lock.write_alone):
            with pytest.raises(errors.VolumeLocked, match=path), other([path]):
                pass
    with image_lock.write_alone([path]):
        pass


def test_a_fence_of_several_lets_all_go_where_one_fails(directory):
    first, second = make(directory, "a").path, make(directory, "b").path
    with image_lock.write_alone([second]):
        with pytest.raises(errors.VolumeLocked), image_lock.fence([first, second]):
            pass
        with image_lock.write_alone([first]):
            pass
    with pytest.raises(errors.VolumeGone), image_lock.fence([first, str(directory / "gone")]):
        pass


# --- qemu-nbd ---


def _receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        assert part
        data += part
    return data


def connect(export: qemu_nbd.Export) -> tuple[socket.socket, int, int]:
    """A plain NBD client by NBD_OPT_EXPORT_NAME: (connection, size, transmission flags)."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(export.socket_path)
    assert _receive(connection, 18)[:16] == b"NBDMAGICIHAVEOPT"
    connection.sendall((3).to_bytes(4) + b"IHAVEOPT" + (1).to_bytes(4) + (0).to_bytes(4))
    answer = _receive(connection, 10)
    return connection, int.from_bytes(answer[:8]), int.from_bytes(answer[8:])


def _request(connection: socket.socket, command: int, offset: int, length: int, data: bytes = b"") -> int:
    head = 0x25609513.to_bytes(4) + bytes(2) + command.to_bytes(2) + bytes(8) + offset.to_bytes(8) + length.to_bytes(4)
    connection.sendall(head + data)
    return int.from_bytes(_receive(connection, 16)[4:8])


def write_over_nbd(export: qemu_nbd.Export, offset: int, data: bytes) -> None:
    connection, _size, _flags = connect(export)
    with connection:
        assert _request(connection, 1, offset, len(data), data) == 0
        assert _request(connection, 3, 0, 0) == 0  # flush


def test_an_export_serves_the_chain_read_only_and_ends_with_its_block(directory):
    bottom = make(directory, "bottom.raw")
    Path(bottom.path).write_bytes(b"b" * MIB)
    top = make(directory, "top.qcow2", QCOW2, bottom)
    with qemu_nbd.export((top, bottom), socket_dir=directory) as export:
        assert export.is_alive
        assert export.uri == f"nbd+unix:///?socket={export.socket_path}"
        connection, size, flags = connect(export)
        with connection:
            assert size == MIB
            assert flags & 0b10  # NBD_FLAG_READ_ONLY
            assert _request(connection, 0, 4096, 512) == 0
            assert _receive(connection, 512) == b"b" * 512
            assert _request(connection, 1, 0, 512, bytes(512)) != 0
    assert not export.is_alive
    assert sorted(each.name for each in directory.iterdir()) == ["bottom.raw", "top.qcow2"]


def test_an_export_that_cannot_be_made_says_why_and_leaves_nothing(directory):
    bottom = make(directory, "bottom.raw")
    top = make(directory, "top.qcow2", QCOW2, bottom)
    Path(bottom.path).unlink()
    with pytest.raises(errors.VolumeGone, match=r"bottom\.raw"), qemu_nbd.export((top, bottom), socket_dir=directory):
        pass
    broken = base.Layer(path=str(directory / "broken"), format=QCOW2, is_block_device=False)
    Path(broken.path).write_bytes(bytes(MIB))
    with (
        pytest.raises(errors.ProcessFailed, match="not in qcow2 format"),
        qemu_nbd.export((broken,), socket_dir=directory),
    ):
        pass
    assert not list(directory.glob("*.sock"))
    with pytest.raises(errors.InvalidSetting), qemu_nbd.export((broken,), socket_dir=directory / ("x" * 100)):
        pass


@pytest.mark.parametrize("volume_format", [RAW, QCOW2])
def test_two_writers_exclude_each_other_and_readers_do_not(directory, volume_format):
    layer = make(directory, "volume", volume_format)
    with (
        qemu_nbd.export((layer,), socket_dir=directory),
        qemu_nbd.export((layer,), socket_dir=directory),
        pytest.raises(errors.VolumeLocked),
        qemu_nbd.export((layer,), socket_dir=directory, is_read_only=False),
    ):
        pytest.fail("two writers")
    with (
        qemu_nbd.export((layer,), socket_dir=directory, is_read_only=False),
        pytest.raises(errors.VolumeLocked),
        qemu_nbd.export((layer,), socket_dir=directory),
    ):
        pytest.fail("a writer and a reader")


def test_a_hostile_header_opens_nothing_through_an_export(directory):
    secret = directory / "secret"
    secret.write_bytes(b"s" * MIB)
    bait = make(directory, "bait", QCOW2, base.Layer(path=str(secret), format=RAW, is_block_device=False))
    with qemu_nbd.export((bait,), socket_dir=directory) as export:
        connection, _size, _flags = connect(export)
        with connection:
            assert _request(connection, 0, 0, 512) == 0
            assert _receive(connection, 512) == bytes(512)
