"""The export as a client meets it: real nbdkit, real store, over a unix socket."""

import random

import nbd
import pytest

from estampe import errors
from estampe.export import nbdkit
from estampe.model import chunk
from estampe.store import chunks, local

CHUNK = 1 << 20
SIZE = 3 * CHUNK + 4096

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def captured(tmp_path):
    """A store and a table file: data, hole, data, short data; and the plain bytes."""
    store = local.LocalStore.create(tmp_path / "store", chunk_size_bytes=CHUNK)
    pieces = [random.Random(n).randbytes(CHUNK) for n in range(2)]
    plain = pieces[0] + bytes(CHUNK) + pieces[1] + b"short" * 819 + b"!"
    made = chunks.Chunks(store)
    with store.writer() as writer, chunk.TableFile(tmp_path / "table", 4, is_new=True) as table:
        for index in range(4):
            table.put(index, made.put(writer, plain[index * CHUNK : (index + 1) * CHUNK]).chunk_id)
        writer.flush()
    return plain


def serve(tmp_path, **changed):
    settings = {"size_bytes": SIZE, "chunk_size_bytes": CHUNK, "socket": tmp_path / "nbd.sock", **changed}
    return nbdkit.serve(str(tmp_path / "store"), tmp_path / "table", **settings)


def connect(export):
    client = nbd.NBD()
    client.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    client.connect_unix(str(export.socket))
    return client


def first_body(tmp_path):
    """The file of some chunk's body."""
    return max(
        (path for path in (tmp_path / "store").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
    )


def test_the_export_reads_as_the_volume_and_knows_its_holes(tmp_path, captured):
    found = []
    with serve(tmp_path) as export:
        client = connect(export)
        assert client.get_size() == SIZE
        assert client.is_read_only()
        assert client.can_multi_conn()
        assert client.pread(SIZE, 0) == captured
        client.block_status(SIZE, 0, lambda _context, _offset, entries, _error: found.extend(entries))
        client.shutdown()
        export.check()
    assert found == [CHUNK, 0, CHUNK, nbd.STATE_HOLE | nbd.STATE_ZERO, CHUNK + 4096, 0]
    assert not export.socket.exists()


def test_a_damaged_chunk_is_an_io_error_and_check_says_which(tmp_path, captured):
    body = first_body(tmp_path)
    data = bytearray(body.read_bytes())
    data[-5] ^= 1
    body.chmod(0o600)
    body.write_bytes(data)
    with serve(tmp_path) as export:
        client = connect(export)
        with pytest.raises(nbd.Error, match="Input/output error"):
            client.pread(SIZE, 0)
        client.shutdown()
    with pytest.raises(errors.ChunkCorrupt, match=r"chunk [0-9a-f]{64} in the store is damaged"):
        export.check()


def test_a_missing_chunk_is_an_io_error_too(tmp_path, captured):
    first_body(tmp_path).unlink()
    with serve(tmp_path) as export:
        client = connect(export)
        with pytest.raises(nbd.Error, match="Input/output error"):
            client.pread(SIZE, 0)
        with pytest.raises(errors.ChunkMissing):
            export.check()
        client.shutdown()
    with pytest.raises(errors.ChunkMissing):
        export.check()


def test_what_cannot_be_opened_is_told_with_the_reason(tmp_path, captured):
    with pytest.raises(errors.ProcessFailed, match="not one of 1 chunks"), serve(tmp_path, size_bytes=CHUNK):
        pass


def test_a_socket_left_by_a_killed_export_is_replaced(tmp_path, captured):
    (tmp_path / "nbd.sock").write_text("stale")
    with serve(tmp_path) as export:
        connect(export).shutdown()


def test_a_missing_nbdkit_is_told_with_its_package(tmp_path, captured, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.ProgramMissing, match="install the package nbdkit"), serve(tmp_path):
        pass


def test_a_missing_plugin_is_told_with_its_package(tmp_path, captured, monkeypatch):
    program = tmp_path / "nbdkit"
    program.write_text("#!/bin/sh\necho 'nbdkit: error: cannot open plugin' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.ProgramMissing, match="nbdkit-plugin-python"), serve(tmp_path):
        pass
