"""A volume read through its table of chunks."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estampe import errors
from estampe.export import cache, volume
from estampe.model import chunk, extent

CHUNK = 8
BODIES = {bytes([n]) * chunk.ID_BYTES: bytes([n]) * CHUNK for n in range(1, 4)}


def write_table(path, kinds, size):
    """A table file where kinds[i] is 0 for a hole, or the number of a body; and the plain volume it stands for."""
    with chunk.TableFile(path, len(kinds), is_new=True) as table:
        for index, kind in enumerate(kinds):
            table.put(index, bytes([kind]) * chunk.ID_BYTES if kind else None)
    return b"".join(bytes([kind]) * CHUNK for kind in kinds)[:size]


def load(chunk_id, length):
    return BODIES[chunk_id][:length]


def opened(path, size):
    return volume.ExportedVolume(path, load, size_bytes=size, chunk_size_bytes=CHUNK, cache_bytes=2 * CHUNK)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(0, CHUNK - 1), st.data())
def test_any_range_reads_as_the_plain_volume_does(tmp_path_factory, kinds, short, data):
    path = tmp_path_factory.mktemp("t") / "table"
    plain = write_table(path, kinds, len(kinds) * CHUNK - short)
    offset = data.draw(st.integers(0, len(plain) - 1))
    length = data.draw(st.integers(0, len(plain) - offset))
    buffer = bytearray(length)
    with opened(path, len(plain)) as exported:
        exported.read_into(memoryview(buffer), offset)
    assert bytes(buffer) == plain[offset : offset + length]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(0, CHUNK - 1), st.data())
def test_extents_cover_the_range_and_holes_are_zeros(tmp_path_factory, kinds, short, data):
    path = tmp_path_factory.mktemp("t") / "table"
    plain = write_table(path, kinds, len(kinds) * CHUNK - short)
    offset = data.draw(st.integers(0, len(plain) - 1))
    length = data.draw(st.integers(1, len(plain) - offset))
    with opened(path, len(plain)) as exported:
        found = list(exported.extents(offset, length))
    assert found[0].offset == offset
    assert found[-1].end == offset + length
    assert all(
        left.end == right.offset and left.kind is not right.kind for left, right in zip(found, found[1:], strict=False)
    )
    for each in found:
        is_zero = not any(plain[each.offset : each.end])
        assert is_zero == (each.kind is extent.Kind.HOLE)


def test_extents_of_a_terabyte_are_found_in_blocks_of_the_table(tmp_path):
    count = 10_000
    with chunk.TableFile(tmp_path / "table", count, is_new=True) as table:
        table.put(9_999, next(iter(BODIES)))
    with opened(tmp_path / "table", count * CHUNK) as exported:
        assert list(exported.extents(0, count * CHUNK)) == [
            extent.Extent(0, 9_999 * CHUNK, extent.Kind.HOLE),
            extent.Extent(9_999 * CHUNK, CHUNK, extent.Kind.DATA),
        ]


def test_a_table_that_is_not_the_volumes_is_refused(tmp_path):
    write_table(tmp_path / "table", [1, 2], 2 * CHUNK)
    with pytest.raises(ValueError, match="not one of 3 chunks"):
        opened(tmp_path / "table", 3 * CHUNK)


def test_an_id_changed_in_the_table_is_seen_by_the_next_read(tmp_path):
    write_table(tmp_path / "table", [1], CHUNK)
    buffer = bytearray(CHUNK)
    with opened(tmp_path / "table", CHUNK) as exported:
        exported.read_into(memoryview(buffer), 0)
        write_table(tmp_path / "table", [2], CHUNK)
        exported.read_into(memoryview(buffer), 0)
    assert bytes(buffer) == bytes([2]) * CHUNK


def test_the_cache_loads_once_and_drops_the_least_recently_read():
    loads = []

    def counted(chunk_id, length):
        loads.append(chunk_id[0])
        return load(chunk_id, length)

    kept = cache.ChunkCache(counted, limit_bytes=2 * CHUNK)
    ids = list(BODIES)
    for which in (0, 1, 0, 2, 0, 1):
        kept.get(ids[which], CHUNK)
    assert loads == [1, 2, 3, 2]
    assert kept.held_bytes == 2 * CHUNK


def test_a_failed_load_is_raised_and_tried_again():
    answers = [errors.ChunkCorrupt(chunk="00", detail="flipped", kind="flipped"), bytes(CHUNK)]

    def failing_once(chunk_id, length):
        answer = answers.pop(0)
        if isinstance(answer, errors.EstampeError):
            raise answer
        return answer

    kept = cache.ChunkCache(failing_once, limit_bytes=CHUNK)
    with pytest.raises(errors.ChunkCorrupt):
        kept.get(b"id", CHUNK)
    assert kept.get(b"id", CHUNK) == bytes(CHUNK)


def test_threads_that_want_one_chunk_share_one_load():
    started, proceed, loads = threading.Event(), threading.Event(), []

    def slow(chunk_id, length):
        loads.append(chunk_id)
        started.set()
        assert proceed.wait(10)
        return bytes(length)

    kept = cache.ChunkCache(slow, limit_bytes=CHUNK)
    results = []
    threads = [threading.Thread(target=lambda: results.append(kept.get(b"id", CHUNK))) for _ in range(3)]
    threads[0].start()
    assert started.wait(10)
    for thread in threads[1:]:
        thread.start()
    proceed.set()
    for thread in threads:
        thread.join()
    assert results == [bytes(CHUNK)] * 3
    assert loads == [b"id"]
