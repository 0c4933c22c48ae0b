"""The contract of block.base, on every implementation: memory, raw file, block device, NBD over raw and over qcow2, qcow2 in place."""

import concurrent.futures
import itertools
import os
import random
import socket as socketlib
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from estampe import errors
from estampe.block import file, memory, nbd
from estampe.capture import exported
from estampe.deploy import in_place
from estampe.model import configuration, extent
from estampe.virt import base as virt
from estampe.virt import qemu_img

SIZE = 8 * 1024 * 1024 + 512 * 3  # not a multiple of any chunk
pytestmark = [pytest.mark.requires_qemu, pytest.mark.requires_root]


def _nbd_server(tmp_path: Path, path: Path, fmt: str) -> tuple[subprocess.Popen[bytes], Path]:
    socket = tmp_path / "nbd.sock"
    child = subprocess.Popen(
        [
            "qemu-nbd",
            "-f",
            fmt,
            "-k",
            socket,
            "--shared=8",
            "--persistent",
            "--discard=unmap",
            "--cache=writeback",
            path,
        ]
    )
    deadline = time.monotonic() + 30
    while not _listens(socket):  # that its name is there does not say so: bind(2) comes before listen(2)
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)  # waiting for another process, not for our own code
    return child, socket


def _listens(path: Path) -> bool:
    with socketlib.socket(socketlib.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _placed_layer(path: Path) -> virt.Layer:
    qemu_img.create(str(path), format=configuration.VolumeFormat.QCOW2, size_bytes=SIZE, is_preallocated=True)
    return virt.Layer(path=str(path), format=configuration.VolumeFormat.QCOW2, is_block_device=False)


class Endpoint:
    """Opens one volume again and again, as writer and as reader."""

    def __init__(self, kind: str, tmp_path: Path, *, size: int = SIZE) -> None:
        self.kind, self.path = kind, tmp_path / "volume"
        self.child, self.loop, self.memory = None, None, None
        if kind == "memory":
            self.memory = memory.MemoryVolume(SIZE)
        elif kind in {"file", "device", "nbd-raw"}:
            with self.path.open("wb") as stream:
                stream.truncate(size)
        if kind == "device":
            argv = ["losetup", "--find", "--show", str(self.path)]
            self.loop = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
        if kind == "nbd-qcow2":
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.path, str(SIZE)], check=True)
        if kind == "mapped":
            self.layer = _placed_layer(self.path)
            self.sockets = tempfile.TemporaryDirectory(dir="/var/tmp")  # a short path
        if kind.startswith("nbd"):
            self.child, self.socket = _nbd_server(tmp_path, self.path, kind.removeprefix("nbd-"))

    def writer(self):
        if self.memory is not None:
            return self.memory
        if self.child is not None:
            return nbd.NbdVolume(self.socket, connections=3, is_writable=True, is_zeroed=True)
        if self.kind == "mapped":
            return in_place.open_writer(self.layer)
        return file.FileWriter(self.loop or str(self.path), is_zeroed=True)

    def reader(self):
        if self.memory is not None:
            return self.memory
        if self.child is not None:
            return nbd.NbdVolume(self.socket, connections=3)
        if self.kind == "mapped":  # as QEMU reads it
            return exported.ExportedReader([self.layer], socket_directory=Path(self.sockets.name))
        return file.FileReader(self.loop or str(self.path))

    def close(self) -> None:
        if self.kind == "mapped":
            self.sockets.cleanup()
            assert qemu_img.check([self.layer])
        if self.loop:
            subprocess.run(["losetup", "--detach", self.loop], check=True)
        if self.child:
            self.child.terminate()
            self.child.wait(10)


@pytest.fixture(params=["memory", "file", "device", "nbd-raw", "nbd-qcow2", "mapped"])
def endpoint(request, tmp_path):
    opened = Endpoint(request.param, tmp_path)
    yield opened
    opened.close()


def test_a_new_volume_reads_as_zeros_and_tells_its_size(endpoint):
    with endpoint.reader() as reader:
        assert reader.size_bytes == SIZE
        assert reader.read(0, SIZE) == bytes(SIZE)


def test_what_is_written_is_read_back_around_it_stays_zero(endpoint):
    data = random.Random(1).randbytes(300_000)
    with endpoint.writer() as writer:
        writer.write(1_000_003, data)
        writer.flush()
    with endpoint.reader() as reader:
        assert reader.read(1_000_000, 300_010) == bytes(3) + data + bytes(7)


def test_the_last_odd_bytes_are_written_and_read(endpoint):
    with endpoint.writer() as writer:
        writer.write(SIZE - 700, b"x" * 700)
        writer.flush()
    with endpoint.reader() as reader:
        assert reader.read(SIZE - 701, 701) == b"\0" + b"x" * 700


@pytest.mark.parametrize("kind", ["file", "nbd-raw"])
@pytest.mark.parametrize("length", [1, 511, 513, 1024 * 1024 + 100])
def test_a_file_that_is_no_whole_sectors_is_a_volume_that_is(tmp_path, kind, length):
    """As the guest sees it: QEMU rounds up, and past the file's end there are zeros."""
    opened = Endpoint(kind, tmp_path, size=length)
    try:
        data = random.Random(length).randbytes(length)
        with opened.path.open("r+b") as stream:  # never shorter meanwhile: a server of it looks at its length
            stream.write(data)
        size = -(-length // 512) * 512
        with opened.reader() as reader:
            assert reader.size_bytes == size
            assert reader.read(0, size) == data + bytes(size - length)
            assert reader.read(size - 1, 1) == bytes(1)
            found = list(reader.extents())
            assert (found[0].offset, found[-1].end) == (0, size)
            assert all(left.end == right.offset for left, right in itertools.pairwise(found))
            with pytest.raises(errors.BlockIOFailed):
                reader.read(size - 1, 2)
    finally:
        opened.close()


def test_the_last_sector_of_a_file_that_is_no_whole_sectors_is_written(tmp_path):
    path = tmp_path / "volume"
    path.write_bytes(b"a" * 700)
    with file.FileWriter(str(path), is_zeroed=False) as writer:
        writer.write(600, b"b" * 424)
        writer.flush()
    with file.FileReader(str(path)) as reader:
        assert reader.read(0, 1024) == b"a" * 600 + b"b" * 424


def test_extents_cover_the_range_exactly_and_find_the_data(endpoint):
    with endpoint.writer() as writer:
        writer.write(2 * 1024 * 1024, b"d" * 1024 * 1024)
        writer.flush()
    with endpoint.reader() as reader:
        found = list(reader.extents())
        part = list(reader.extents(1024 * 1024, 1536 * 1024))
        for run in found:
            if run.kind is not extent.Kind.DATA:
                assert reader.read(run.offset, run.length) == bytes(run.length)
    assert found[0].offset == 0
    assert found[-1].end == SIZE
    assert all(left.end == right.offset for left, right in zip(found, found[1:], strict=False))
    assert any(
        run.kind is extent.Kind.DATA and run.offset <= 2 * 1024 * 1024 and run.end >= 3 * 1024 * 1024 for run in found
    )
    assert part[0].offset == 1024 * 1024
    assert part[-1].end == 2560 * 1024


def test_holes_are_told_where_the_volume_knows_them(endpoint):
    if endpoint.kind == "device":
        with endpoint.reader() as reader:
            assert [run.kind for run in reader.extents()] == [extent.Kind.DATA]
        return
    with endpoint.reader() as reader:
        assert extent.data_bytes(reader.extents()) < SIZE // 4


def test_zero_wipes_data_of_any_alignment(endpoint):
    with endpoint.writer() as writer:
        writer.write(0, b"\xff" * 4_000_000)
        writer.zero(1_000_001, 2_000_001)
        writer.zero(512 * 7000, 512 * 100)
        writer.flush()
    with endpoint.reader() as reader:
        data = reader.read(0, 4_000_000)
    assert data[:1_000_001] == b"\xff" * 1_000_001
    assert data[1_000_001:3_000_002] == bytes(2_000_001)
    assert data[3_000_002 : 512 * 7000] == b"\xff" * (512 * 7000 - 3_000_002)
    assert data[512 * 7000 : 512 * 7100] == bytes(512 * 100)
    assert data[512 * 7100 :] == b"\xff" * (4_000_000 - 512 * 7100)


def test_a_range_outside_the_volume_is_refused(endpoint):
    with endpoint.reader() as reader, pytest.raises(errors.BlockIOFailed):
        reader.read(SIZE - 10, 11)
    with endpoint.writer() as writer, pytest.raises(errors.BlockIOFailed):
        writer.write(SIZE - 10, b"x" * 11)


def test_threads_write_and_read_side_by_side(endpoint):
    step = 65536
    rng = random.Random(2)
    pieces = {offset: rng.randbytes(step) for offset in range(0, SIZE - step, step)}
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        with endpoint.writer() as writer:
            list(pool.map(lambda item: writer.write(*item), pieces.items()))
            writer.flush()
        with endpoint.reader() as reader:
            assert list(pool.map(lambda offset: reader.read(offset, step), pieces)) == list(pieces.values())


def test_close_is_idempotent(endpoint):
    reader = endpoint.reader()
    reader.close()
    reader.close()


def test_a_missing_volume_is_a_clear_error(tmp_path):
    with pytest.raises(errors.BlockIOFailed, match="No such file"):
        file.FileReader(str(tmp_path / "gone"))
    with pytest.raises(errors.BlockIOFailed):
        nbd.NbdVolume(tmp_path / "gone.sock")
    with pytest.raises(errors.BlockIOFailed, match="of volume web-vda of the pool failed"):
        nbd.NbdVolume(tmp_path / "gone.sock", where="volume web-vda of the pool")
    with pytest.raises(errors.BlockIOFailed, match="neither a file nor a block device"):
        file.FileReader("/dev/null")


def test_a_full_file_system_is_told_as_such(tmp_path):
    room = tmp_path / "room"
    room.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", room], check=True)
    try:
        path = room / "volume"
        with path.open("wb") as stream:
            stream.truncate(SIZE)
        with file.FileWriter(str(path), is_zeroed=True) as writer, pytest.raises(errors.NoSpace):
            writer.write(0, os.urandom(2 * 1024 * 1024))
    finally:
        subprocess.run(["umount", room], check=True)


def test_a_full_file_system_is_told_of_a_qcow2_volume_in_place(tmp_path):
    room = tmp_path / "room"
    room.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", room], check=True)
    try:
        layer = _placed_layer(room / "volume")
        with in_place.open_writer(layer) as writer, pytest.raises(errors.NoSpace, match=layer.path):
            writer.write(0, os.urandom(4 * 1024 * 1024))
        assert qemu_img.check([layer])
    finally:
        subprocess.run(["umount", room], check=True)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 30), st.booleans()), max_size=12))
def test_a_file_and_memory_agree_on_any_history(tmp_path, history):
    model = memory.MemoryVolume(256 * 4096)
    path = tmp_path / "volume"
    with path.open("wb") as stream:
        stream.truncate(256 * 4096)
    with file.FileWriter(str(path), is_zeroed=True) as real:
        for start, count, is_data in history:
            length = min(count, 256 - start) * 4096
            for volume in (model, real):
                volume.write(start * 4096, b"%" * length) if is_data else volume.zero(start * 4096, length)
    with file.FileReader(str(path)) as reader:
        assert reader.read(0, reader.size_bytes) == model.read(0, model.size_bytes)
        assert list(extent.merge(reader.extents())) == list(model.extents())
