import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estampe.model import chunk

CHUNK = 1 << 20


def _id(number: int) -> bytes:
    return (number + 1).to_bytes(32, "little")


ids = st.binary(min_size=32, max_size=32).filter(any)
tables = st.dictionaries(st.integers(0, 3000), ids, max_size=200)


def _table(chunks: dict[int, bytes]) -> chunk.ChunkTable:
    """The canonical table: neighbours in one run."""
    runs: list[chunk.Run] = []
    for index in sorted(chunks):
        if runs and runs[-1].first + runs[-1].count == index:
            runs[-1] = chunk.Run(runs[-1].first, runs[-1].ids + chunks[index])
        else:
            runs.append(chunk.Run(index, chunks[index]))
    return chunk.ChunkTable(runs)


@given(st.integers(0, 1 << 50), st.integers(1, 1 << 24))
def test_chunks_cover_a_volume_exactly(size, chunk_size):
    count = chunk.chunk_count(size, chunk_size)
    assert (count - 1) * chunk_size < size <= count * chunk_size or size == count == 0
    if count:
        last = chunk.chunk_length(count - 1, size_bytes=size, chunk_size_bytes=chunk_size)
        assert 0 < last <= chunk_size
        assert (count - 1) * chunk_size + last == size


@given(tables)
def test_a_table_finds_and_lists_what_it_was_made_of(chunks):
    table = _table(chunks)
    assert dict(table) == chunks
    assert [index for index, _id in table] == sorted(chunks)
    assert len(table) == len(chunks)
    assert table.last_index == max(chunks, default=-1)
    for index in {*chunks, *(index + 1 for index in chunks), 0, 3001, 1 << 60}:
        assert table.find(index) == chunks.get(index)


@given(tables)
def test_a_table_survives_its_bytes(chunks):
    table = _table(chunks)
    assert chunk.ChunkTable.decode(table.encode()) == table
    assert table.encoded_bytes == len(table.encode()) == sum(map(len, table.encoded_parts()))
    assert chunk.ChunkTable.decode(memoryview(table.encode())) == table
    assert hash(chunk.ChunkTable.decode(table.encode())) == hash(table)


@given(st.binary(max_size=300))
def test_hostile_bytes_are_a_table_or_a_value_error(data):
    try:
        table = chunk.ChunkTable.decode(data)
    except ValueError:
        return
    assert table.encode() == data


def test_a_count_that_lies_allocates_nothing():
    with pytest.raises(ValueError, match="ends inside a run"):
        chunk.ChunkTable.decode((0).to_bytes(8, "little") + (2**63).to_bytes(8, "little") + bytes(64))


@pytest.mark.parametrize(
    "runs",
    [
        [chunk.Run(5, _id(1)), chunk.Run(5, _id(2))],
        [chunk.Run(5, _id(1)), chunk.Run(4, _id(2))],
        [chunk.Run(5, _id(1) + _id(2)), chunk.Run(6, _id(3))],
        [chunk.Run(0, b"")],
        [chunk.Run(0, b"short")],
    ],
)
def test_runs_that_overlap_or_are_no_runs_are_refused(runs):
    with pytest.raises(ValueError, match="runs of a chunk table"):
        chunk.ChunkTable(runs)


@given(tables)
def test_a_table_file_gives_the_table_put_into_it(tmp_path_factory, chunks):
    path = tmp_path_factory.mktemp("table") / "table"
    with chunk.TableFile(path, 3001) as file:
        for index, chunk_id in chunks.items():
            file.put(index, chunk_id)
        assert file.table() == _table(chunks)
        assert all(file.find(index) == chunks.get(index) for index in [*chunks, 0, 3000])
        file.sync()


def test_a_table_file_is_opened_again_or_made_new(tmp_path):
    with chunk.TableFile(tmp_path / "table", 10) as file:
        file.put(3, _id(3))
    with chunk.TableFile(tmp_path / "table", 10) as file:
        assert file.find(3) == _id(3)
        file.put(3, None)
        assert file.find(3) is None
        assert len(file.table()) == 0
        file.put(4, _id(4))
    with chunk.TableFile(tmp_path / "table", 10, is_new=True) as file:
        assert len(file.table()) == 0


def test_a_table_file_refuses_what_is_past_its_end(tmp_path):
    with chunk.TableFile(tmp_path / "table", 10) as file:
        for index in (-1, 10):
            with pytest.raises(IndexError):
                file.put(index, _id(1))
            with pytest.raises(IndexError):
                file.find(index)


def test_a_table_written_to_a_file_is_the_same(tmp_path):
    table = _table({1: _id(1), 2: _id(2), 900: _id(9)})
    chunk.write_table(tmp_path / "table", table, 1000)
    with chunk.TableFile(tmp_path / "table", 1000) as file:
        assert file.table() == table


def test_a_sparse_tebibyte_takes_neither_memory_nor_disk(tmp_path: Path):
    """Of 4 KiB chunks even: 256 million of them, a table file of 8 GiB apparent size."""
    count = (1 << 40) // 4096
    chunks = {0: _id(0), count // 2: _id(1), count // 2 + 1: _id(2), count - 1: _id(3)}
    with chunk.TableFile(tmp_path / "table", count) as file:
        for index, chunk_id in chunks.items():
            file.put(index, chunk_id)
        tracemalloc.start()
        assert dict(file.table()) == chunks
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 1 << 20
    assert os.stat(tmp_path / "table").st_blocks * 512 < 1 << 20  # noqa: PTH116 - beside the other numbers
