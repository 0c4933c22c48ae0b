"""Copying volumes into chunks, working changes in, and hydrating from them again."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estampe import errors
from estampe.block import memory
from estampe.capture import volume
from estampe.deploy import hydrate
from estampe.model import chunk, extent
from estampe.store import chunks as store_chunks
from estampe.store import memory as store_memory

CHUNK = 128 * 1024
GRAIN = 64 * 1024


def _never():
    pass


class Bench:
    """A memory store with a copier over one of its writers, and what the copier told."""

    def __init__(self):
        self.store = store_memory.MemoryStore(chunk_size_bytes=CHUNK)
        self.chunks = store_chunks.Chunks(self.store)
        self.writer = self.store.writer()
        self.advanced = []

    def copier(self, check_cancelled=_never):
        return volume.Copier(
            chunks=self.chunks,
            writer=self.writer,
            chunk_size_bytes=CHUNK,
            threads=3,
            advance=self.advanced.append,
            check_cancelled=check_cancelled,
        )

    def copy(self, source, path):
        count = chunk.chunk_count(source.size_bytes, CHUNK)
        indexes = list(extent.data_chunks(source.extents(), CHUNK))
        with chunk.TableFile(path, count, is_new=True) as table:
            copied = self.copier().copy(source, indexes, table)
            self.writer.flush()
            return copied, table.table()

    def hydrate(self, table, size_bytes, *writers):
        hydrator = hydrate.Hydrator(
            chunks=self.chunks, chunk_size_bytes=CHUNK, threads=3, advance=lambda _n: None, check_cancelled=_never
        )
        hydrator.hydrate(table, writers, size_bytes=size_bytes)


def _source(size=10 * CHUNK + 1000, seed=1):
    source = memory.MemoryVolume(size)
    rng = random.Random(seed)
    source.write(0, rng.randbytes(CHUNK + 5))
    source.write(4 * CHUNK, b"same" * (CHUNK // 4))
    source.write(7 * CHUNK, b"same" * (CHUNK // 4))
    source.write(size - 10, b"the end...")
    return source


def test_a_copy_hydrates_to_the_same_bytes_and_counts_what_it_stored(tmp_path):
    bench, source = Bench(), _source()
    copied, table = bench.copy(source, tmp_path / "table")
    target = memory.MemoryVolume(source.size_bytes)
    bench.hydrate(table, source.size_bytes, target)
    assert target.read(0, target.size_bytes) == source.read(0, source.size_bytes)
    assert len(table) == 5  # two of the beginning, the equal two, the short last one
    assert len({chunk_id for _index, chunk_id in table}) == 4
    assert copied.data_bytes == 4 * CHUNK + 1000
    assert copied.new_bytes == sum(found.stored_bytes for found in bench.store.list_chunks())
    assert sum(bench.advanced) == copied.data_bytes


def test_the_same_volume_again_adds_nothing(tmp_path):
    bench, source = Bench(), _source()
    _copied, first = bench.copy(source, tmp_path / "one")
    again, second = bench.copy(source, tmp_path / "two")
    assert second == first
    assert again.new_bytes == 0


def test_allocated_zeros_are_not_stored(tmp_path):
    bench, source = Bench(), memory.MemoryVolume(4 * CHUNK)
    source.write(0, bytes(4 * CHUNK))
    copied, table = bench.copy(source, tmp_path / "table")
    assert len(table) == 0
    assert copied == volume.Copied()
    assert list(bench.store.list_chunks()) == []


def test_a_used_volume_keeps_nothing_of_what_it_held(tmp_path):
    bench, source = Bench(), _source()
    _copied, table = bench.copy(source, tmp_path / "table")
    used = memory.MemoryVolume(source.size_bytes + 3 * CHUNK, is_zeroed=False)
    bench.hydrate(table, source.size_bytes, used)
    assert used.read(0, source.size_bytes) == source.read(0, source.size_bytes)
    assert used.read(source.size_bytes, 3 * CHUNK) == bytes(3 * CHUNK)


def test_several_volumes_are_filled_from_one_read(tmp_path):
    bench, source = Bench(), _source()
    _copied, table = bench.copy(source, tmp_path / "table")
    reads = []
    plain_get = bench.store.get_chunk
    bench.store.get_chunk = lambda chunk_id: reads.append(chunk_id) or plain_get(chunk_id)
    targets = [memory.MemoryVolume(source.size_bytes) for _ in range(3)]
    bench.hydrate(table, source.size_bytes, *targets)
    assert len(reads) == len(table)
    assert {target.read(0, target.size_bytes) for target in targets} == {source.read(0, source.size_bytes)}


def test_zeros_inside_a_chunk_are_not_allocated_in_the_new_volume(tmp_path):
    bench, source = Bench(), memory.MemoryVolume(2 * CHUNK)
    source.write(0, b"x")
    _copied, table = bench.copy(source, tmp_path / "table")
    target = memory.MemoryVolume(2 * CHUNK, granularity=GRAIN)
    bench.hydrate(table, source.size_bytes, target)
    assert extent.data_bytes(target.extents()) == GRAIN


def test_a_damaged_chunk_stops_the_hydration(tmp_path):
    bench, source = Bench(), _source()
    _copied, table = bench.copy(source, tmp_path / "table")
    (_index, victim), *_rest = table
    plain_get = bench.store.get_chunk

    def flipped(chunk_id):
        body = bytearray(plain_get(chunk_id))
        body[-1] ^= 1 if chunk_id == victim else 0
        return bytes(body)

    bench.store.get_chunk = flipped
    with pytest.raises(errors.ChunkCorrupt):
        bench.hydrate(table, source.size_bytes, memory.MemoryVolume(source.size_bytes))


def test_a_cancel_stops_a_copy(tmp_path):
    bench, source = Bench(), _source()

    def cancelled():
        raise errors.Cancelled

    with chunk.TableFile(tmp_path / "table", 11, is_new=True) as table, pytest.raises(errors.Cancelled):
        bench.copier(cancelled).copy(source, range(11), table)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4), st.booleans()), max_size=6), st.integers(0, 2**32))
def test_patched_chunks_are_the_overlay_over_the_copy(tmp_path_factory, changes, seed):
    bench, source = Bench(), _source(seed=seed)
    directory = tmp_path_factory.mktemp("tables")
    _copied, _table = bench.copy(source, directory / "table")
    overlay, expected = memory.MemoryVolume(source.size_bytes), bytearray(source.read(0, source.size_bytes))
    changed, at = [], 0
    for gap, grains, is_data in changes:
        offset = at + gap * GRAIN // 2
        length = min(grains * GRAIN, source.size_bytes - offset)
        if length <= 0:
            break
        kind = extent.Kind.DATA if is_data else extent.Kind.ZERO
        changed.append(extent.Extent(offset, length, kind))
        data = random.Random(offset).randbytes(length) if is_data else bytes(length)
        overlay.write(offset, data)
        expected[offset : offset + length] = data
        at = offset + length
    with chunk.TableFile(directory / "table", 11) as table:
        bench.copier().patch(overlay, changed, table, size_bytes=source.size_bytes)
        bench.writer.flush()
        patched = table.table()
    target = memory.MemoryVolume(source.size_bytes)
    bench.hydrate(patched, source.size_bytes, target)
    assert target.read(0, target.size_bytes) == bytes(expected)


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(0, 20)), st.integers(1, 21 * CHUNK), st.integers(0, 5 * CHUNK))
def test_gaps_and_chunks_cover_a_larger_volume_exactly(stored, end, added):
    count = chunk.chunk_count(end, CHUNK)
    runs = [chunk.Run(index, bytes([index + 1]) * chunk.ID_BYTES) for index in sorted(stored) if index < count]
    table = chunk.ChunkTable(runs)
    covered = [
        (index * CHUNK, index * CHUNK + chunk.chunk_length(index, size_bytes=end, chunk_size_bytes=CHUNK))
        for index, _id in table
    ]
    found = hydrate.gaps(table, size_bytes=end + added, chunk_size_bytes=CHUNK, end=end)
    covered += [(gap.offset, gap.end) for gap in found]
    at = 0
    for start, stop in sorted(covered):
        assert start == at
        at = stop
    assert at == end + added
