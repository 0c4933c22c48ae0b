"""The overlay's own ranges, with real qemu-img and a real NBD export."""

import json
import shutil
import subprocess

import pytest

from estampe import errors
from estampe.export import nbdkit
from estampe.guest import overlay
from estampe.model import chunk, extent
from estampe.store import chunks, local

pytestmark = [pytest.mark.requires_qemu, pytest.mark.timeout(120)]

CHUNK = 1 << 20
SIZE = 8 * CHUNK
KIB = 1024


@pytest.fixture
def export(tmp_path):
    """Eight chunks, the first four of them data."""
    store = local.LocalStore.create(tmp_path / "store", chunk_size_bytes=CHUNK)
    made = chunks.Chunks(store)
    with store.writer() as writer, chunk.TableFile(tmp_path / "table", 8, is_new=True) as table:
        for index in range(4):
            table.put(index, made.put(writer, bytes([index + 1]) * CHUNK).chunk_id)
        writer.flush()
    socket = tmp_path / "nbd.sock"
    with nbdkit.serve(
        str(tmp_path / "store"), tmp_path / "table", size_bytes=SIZE, chunk_size_bytes=CHUNK, socket=socket
    ) as running:
        yield running


@pytest.fixture
def made(tmp_path, export):
    path = tmp_path / "overlay.qcow2"
    overlay.create(path, backing_socket=export.socket, size_bytes=SIZE)
    return path


def change(path, *commands):
    options = [word for command in commands for word in ("-c", command)]
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-d", "unmap", *options, path], check=True, capture_output=True, timeout=60
    )


def test_a_new_overlay_has_changed_nothing(made):
    assert list(overlay.changed(made)) == []
    assert overlay.freed_bytes(made) == 0


def test_written_and_freed_ranges_are_told_in_whole_clusters(made):
    change(made, "write -P 9 5M 1k", "discard 1M 1M", "discard 6M 512k", "write -z 3M 64k", "discard 4k 4k")
    data, zero = extent.Kind.DATA, extent.Kind.ZERO
    assert list(overlay.changed(made)) == [
        extent.Extent(4 * KIB, 4 * KIB, zero),
        extent.Extent(1 * CHUNK, CHUNK, zero),
        extent.Extent(3 * CHUNK, 64 * KIB, zero),
        extent.Extent(5 * CHUNK, 4 * KIB, data),
        extent.Extent(6 * CHUNK, 512 * KIB, zero),
    ]


def test_two_layers_tell_what_either_has_changed_the_upper_one_first(made):
    upper = made.with_name("upper.qcow2")
    overlay.create_empty(upper, size_bytes=SIZE)
    change(made, "write -P 9 0 8k")
    change(upper, "write -z 4k 4k", "write -P 7 8k 4k")
    data, zero = extent.Kind.DATA, extent.Kind.ZERO
    assert list(overlay.changed(upper, made)) == [
        extent.Extent(0, 4 * KIB, data), extent.Extent(4 * KIB, 4 * KIB, zero), extent.Extent(8 * KIB, 4 * KIB, data)
    ]  # fmt: skip


@pytest.mark.parametrize(("size_gib", "cluster_kib"), [(64, 4), (65, 16), (1024, 16), (1025, 64)])
def test_the_tables_of_a_large_volume_stay_small(tmp_path, size_gib, cluster_kib):
    path = tmp_path / "overlay.qcow2"
    overlay.create(path, backing_socket=tmp_path / "nobody.sock", size_bytes=size_gib << 30)
    told = subprocess.run(["qemu-img", "info", "--output=json", path], check=True, capture_output=True, timeout=60)
    assert json.loads(told.stdout)["cluster-size"] == cluster_kib * KIB


@pytest.mark.parametrize("window_clusters", [100, 256, 100_000])
def test_what_was_changed_and_freed_is_the_same_in_windows_of_any_size(made, window_clusters):
    change(made, "write -P 9 1020k 12k", "discard 2M 1M", "discard 3584k 1M", "write -z 7M 1M")
    assert list(overlay.changed(made, window_clusters=window_clusters)) == list(overlay.changed(made))
    assert overlay.freed_bytes(made, window_clusters=window_clusters) == CHUNK + 512 * KIB


def test_a_map_is_looked_up_as_it_is_read_and_never_whole(made, tmp_path):
    """A guest decides how many runs there are: memory must not grow with them."""
    change(made, "write 0 4k", "write 4M 4k")
    told = overlay.changed(made, window_clusters=256)
    assert next(told) == extent.Extent(0, 4 * KIB, extent.Kind.DATA)
    made.rename(tmp_path / "aside")
    with pytest.raises(errors.ProcessFailed):
        list(told)


def test_only_data_beneath_counts_as_freed(made):
    change(made, "discard 3584k 2M", "discard 6M 1M")
    assert overlay.freed_bytes(made) == 512 * KIB


def test_what_was_changed_can_be_told_without_the_export(tmp_path):
    path = tmp_path / "overlay.qcow2"
    overlay.create(path, backing_socket=tmp_path / "nobody.sock", size_bytes=SIZE)
    assert list(overlay.changed(path)) == []


def test_creating_again_replaces_what_was_there(tmp_path, export, made):
    change(made, "write 0 64k")
    overlay.create(made, backing_socket=export.socket, size_bytes=SIZE)
    assert list(overlay.changed(made)) == []


def test_the_overlay_reads_through_to_the_volume(made):
    change(made, "read -P 1 0 1M", "read -P 4 3M 1M", "read -P 0 4M 4M")


def test_a_file_that_is_no_overlay_is_an_error(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(4096))
    with pytest.raises(errors.ProcessFailed, match="qemu-img failed"):
        list(overlay.changed(path))


def test_a_missing_qemu_img_is_told_with_its_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("qemu-img") is None
    with pytest.raises(errors.ProgramMissing, match="install the package qemu-utils"):
        list(overlay.changed(tmp_path / "x"))
