"""What only a store in a directory has: its files, its lock, and what a killed process leaves."""

import json
import os
import random
import signal
import stat
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from estampe import errors, units
from estampe.store import chunks, codec, local, local_writer

SIZE = 4096
PLAIN = b"some data " * 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(path: Path) -> local.LocalStore:
    return local.LocalStore.create(path, chunk_size_bytes=SIZE)


def _put(store: local.LocalStore, plain: bytes = PLAIN) -> bytes:
    mover = chunks.Chunks(store)
    with store.writer() as writer:
        chunk_id = mover.put(writer, plain).chunk_id
        writer.flush()
    return chunk_id


def _files(path: Path) -> list[Path]:
    return [one for one in path.rglob("*") if one.is_file()]


def test_a_body_lies_where_the_format_says(store, path):
    chunk_id = _put(store)
    name = chunk_id.hex()
    assert (path / "chunks" / name[:2] / name).read_bytes() == codec.encode(PLAIN)


def test_nobody_else_may_look(store, path):
    _put(store)
    store.put_manifest(uuid.uuid4(), b"data")
    modes = {stat.S_IMODE(one.stat().st_mode) for one in path.rglob("*") if one.is_dir()}
    assert modes | {stat.S_IMODE(path.stat().st_mode)} == {0o700}
    assert {stat.S_IMODE(one.stat().st_mode) for one in _files(path)} == {0o600}


def test_a_store_that_others_may_enter_is_refused(store, path):
    path.chmod(0o755)
    with pytest.raises(errors.StoreMismatch, match="chmod 0700"):
        local.LocalStore.open(path)


def test_a_store_keeps_its_chunk_size(store, path):
    assert local.LocalStore.open(path).chunk_size_bytes == SIZE
    assert local.LocalStore.ensure(path, chunk_size_bytes=2 * SIZE).chunk_size_bytes == SIZE


def test_ensure_makes_what_is_not_there(path):
    assert local.LocalStore.ensure(path).chunk_size_bytes == local.LocalStore.open(path).chunk_size_bytes


def test_a_second_creation_is_refused(store, path):
    with pytest.raises(errors.StoreMismatch, match="holds a store already"):
        local.LocalStore.create(path)


def test_a_directory_of_something_else_is_refused(path):
    path.mkdir()
    (path / "letters").touch()
    with pytest.raises(errors.StoreMismatch, match="not empty"):
        local.LocalStore.create(path)


def test_an_interrupted_creation_is_completed(path):
    (path / "chunks" / "00").mkdir(parents=True)
    (path / "lost+found").mkdir()
    assert local.LocalStore.create(path).chunk_size_bytes > 0


@pytest.mark.parametrize("size", [0, 1, 1000, 3 * SIZE, 32 * units.MIB, -SIZE])
def test_a_chunk_size_that_cannot_be_is_refused(path, size):
    with pytest.raises(errors.InvalidSetting, match="power of two"):
        local.LocalStore.create(path, chunk_size_bytes=size)
    assert not path.exists()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"version": 2}, "version 2.*upgrade"), ({"version": "1"}, "something else"), ({"format": "x"}, "something else"),
        ({"chunk_size_bytes": 1000}, "chunk size"), ({"chunk_size_bytes": None}, "chunk size"),
    ],
)  # fmt: skip
def test_a_format_file_that_does_not_fit_is_refused(store, path, change, problem):
    file = path / "format.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(errors.StoreMismatch, match=problem):
        local.LocalStore.open(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json"])
def test_a_damaged_format_file_is_refused(store, path, text):
    (path / "format.json").write_text(text)
    with pytest.raises(errors.StoreMismatch, match="damaged"):
        local.LocalStore.open(path)


def test_no_store_is_refused(path):
    with pytest.raises(errors.StoreMismatch, match="not a store"):
        local.LocalStore.open(path)


def test_a_chunk_has_no_name_before_its_batch_is_durable(store):
    with store.writer() as writer:
        writer.put(b"\1" * 32, b"body")
        assert list(store.list_chunks()) == []
        with pytest.raises(errors.ChunkNotFound):
            store.get_chunk(b"\1" * 32)
        writer.flush()
        assert store.get_chunk(b"\1" * 32) == b"body"


def test_full_batches_are_committed_behind_the_puts(store):
    ids = [random.Random(number).randbytes(32) for number in range(100)]
    with local_writer.LocalWriter(store._layout, batch_bytes=4096) as writer:
        for chunk_id in ids:
            assert writer.put(chunk_id, chunk_id * 32)
            assert writer.has(chunk_id)
            assert not writer.put(chunk_id, b"")
        writer.flush()
    assert [one.chunk_id for one in store.list_chunks()] == sorted(ids)
    assert all(store.get_chunk(chunk_id) == chunk_id * 32 for chunk_id in ids)


def test_leaving_without_flush_leaves_no_file(store, path):
    with store.writer() as writer:
        writer.put(b"\1" * 32, b"body")
    assert [one.name for one in _files(path)] == ["format.json"]
    assert list((path / "tmp").iterdir()) == []


def test_nothing_temporary_is_left_after_work(store, path):
    _put(store)
    store.put_manifest(uuid.uuid4(), b"data")
    assert list((path / "tmp").iterdir()) == []


def test_a_closed_writer_refuses(store):
    with store.writer() as writer:
        pass
    with pytest.raises(errors.StoreUnavailable, match="closed"):
        writer.put(b"\1" * 32, b"body")


def test_a_store_whose_disk_went_says_so(store, path):
    chunk_id = _put(store)
    path.rename(path.with_name("elsewhere"))
    for call in (store.available_bytes, lambda: list(store.list_chunks()), lambda: store.writer().__enter__()):
        with pytest.raises(errors.StoreUnavailable, match=str(path)):
            call()
    with pytest.raises(errors.ChunkNotFound):
        store.get_chunk(chunk_id)


def test_other_files_are_ignored(store, path):
    chunk_id = _put(store)
    (path / "chunks" / "00" / "README").touch()
    (path / "manifests" / "notes.txt").touch()
    (path / "aside" / "notes.txt").touch()
    again = local.LocalStore.open(path)
    assert [one.chunk_id for one in again.list_chunks()] == [chunk_id]
    assert list(again.list_manifests()) == []


def test_a_file_too_long_to_be_a_chunk_is_not_read(store, path):
    chunk_id = _put(store)
    os.truncate(path / "chunks" / chunk_id.hex()[:2] / chunk_id.hex(), 1 << 40)  # sparse
    with pytest.raises(errors.ChunkCorrupt, match="longer than any"):
        store.get_chunk(chunk_id)


def test_what_a_killed_process_left_is_cleared_at_the_next_opening(store, path):
    child = _writing_child(path)
    assert len(list((path / "tmp").iterdir())) == 2  # its directory and its lock
    local.LocalStore.open(path)
    assert len(list((path / "tmp").iterdir())) == 2  # it lives
    child.send_signal(signal.SIGKILL)
    child.communicate()
    local.LocalStore.open(path)
    assert list((path / "tmp").iterdir()) == []


def test_after_a_kill_every_name_has_its_whole_body(store, path):
    child = _writing_child(path)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    mover = chunks.Chunks(local.LocalStore.open(path))
    found = list(mover.store.list_chunks())
    assert found
    assert all(len(mover.get(one.chunk_id)) == SIZE for one in found)


def _writing_child(path: Path) -> subprocess.Popen[str]:
    """A process that puts chunks without end, when it has committed some and is in the middle of others."""
    program = f"""
import os
from pathlib import Path
from estampe.store import chunks, local, local_writer
store = local.LocalStore.open(Path({str(path)!r}))
mover = chunks.Chunks(store)
with local_writer.LocalWriter(store._layout, batch_bytes=65536) as writer:
    for number in range(10**9):
        mover.put(writer, os.urandom({SIZE}))
        if number == 100:
            print("writing", flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "writing\n"
    return child


def test_a_chunk_that_a_dead_sweep_left_aside_comes_back(store, path):
    chunk_id = _put(store)
    name = chunk_id.hex()
    (path / "chunks" / name[:2] / name).rename(path / "aside" / f"{name}.{'0' * 32}")
    again = local.LocalStore.open(path)
    assert chunks.Chunks(again).get(chunk_id) == PLAIN
    assert list((path / "aside").iterdir()) == []


def test_one_left_aside_never_replaces_a_newer_one(store, path):
    chunk_id = _put(store)
    name = chunk_id.hex()
    (path / "aside" / f"{name}.{'0' * 32}").write_bytes(b"older")
    again = local.LocalStore.open(path)
    assert chunks.Chunks(again).get(chunk_id) == PLAIN
    assert list((path / "aside").iterdir()) == []
