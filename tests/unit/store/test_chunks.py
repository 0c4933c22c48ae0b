import concurrent.futures

import pytest

from estampe import errors
from estampe.store import chunks, codec, memory

SIZE = 4096


@pytest.fixture
def store():
    return memory.MemoryStore(chunk_size_bytes=SIZE)


@pytest.fixture
def mover(store):
    return chunks.Chunks(store)


def _put(mover, *plains):
    with mover.store.writer() as writer:
        stored = [mover.put(writer, plain) for plain in plains]
        writer.flush()
    return stored


@pytest.mark.parametrize("length", [SIZE, 100, 1])
def test_zeros_are_never_stored(mover, length):
    (stored,) = _put(mover, bytes(length))
    assert (stored.chunk_id, stored.is_new, stored.stored_bytes) == (None, False, 0)
    assert mover.identify(bytes(length)) is None
    assert list(mover.store.list_chunks()) == []


def test_one_byte_that_is_not_zero_makes_a_chunk(mover):
    for at in (0, SIZE // 2, SIZE - 1):
        plain = bytes(at) + b"\1" + bytes(SIZE - at - 1)
        (stored,) = _put(mover, plain)
        assert mover.get(stored.chunk_id, SIZE) == plain


def test_a_chunk_is_stored_once(mover, plain):
    first, second = _put(mover, plain(1), plain(1))
    (third,) = _put(mover, plain(1))
    assert first.is_new
    assert 0 < first.stored_bytes < SIZE
    assert first.chunk_id == second.chunk_id == third.chunk_id == codec.identify(plain(1)) == mover.identify(plain(1))
    assert not second.is_new
    assert (third.is_new, third.stored_bytes) == (False, 0)


def test_an_estimate_is_what_a_put_then_adds(mover, plain):
    estimated = mover.estimate(plain(1))
    assert list(mover.store.list_chunks()) == []
    assert _put(mover, plain(1))[0].stored_bytes == estimated > 0
    assert mover.estimate(plain(1)) == 0
    assert mover.estimate(bytes(SIZE)) == 0


def test_a_short_last_chunk_comes_back_at_its_length(mover):
    (stored,) = _put(mover, b"short")
    assert mover.get(stored.chunk_id, 5) == b"short"
    with pytest.raises(errors.ChunkCorrupt, match="needs 4096"):
        mover.get(stored.chunk_id, SIZE)


def test_more_than_a_chunk_is_a_defect(mover):
    with pytest.raises(ValueError, match="more than a chunk"):
        _put(mover, b"x" * (SIZE + 1))


def test_a_chunk_that_a_template_names_and_that_is_not_there_is_missing(mover):
    with pytest.raises(errors.ChunkMissing, match="ab" * 32):
        mover.get(b"\xab" * 32)


def test_a_body_of_other_content_is_never_handed_out(mover, store, plain):
    (stored,) = _put(mover, plain(1))
    store.damage(stored.chunk_id, codec.encode(plain(2)))
    with pytest.raises(errors.ChunkCorrupt, match="does not fit its id"):
        mover.get(stored.chunk_id)


def test_a_flipped_bit_anywhere_is_never_handed_out(mover, store, plain):
    (stored,) = _put(mover, plain(1))
    body = store.get_chunk(stored.chunk_id)
    for at in range(0, len(body), 97):
        store.damage(stored.chunk_id, body[:at] + bytes([body[at] ^ 4]) + body[at + 1 :])
        with pytest.raises(errors.ChunkCorrupt):
            mover.get(stored.chunk_id, SIZE)


def test_threads_put_and_get_at_once(mover, plain):
    plains = [plain(number % 50) for number in range(200)]
    with mover.store.writer() as writer, concurrent.futures.ThreadPoolExecutor(4) as pool:
        stored = list(pool.map(lambda one: mover.put(writer, one), plains))
        writer.flush()
        assert list(pool.map(lambda one: mover.get(one.chunk_id, SIZE), stored)) == plains
    assert sum(one.stored_bytes for one in stored) == sum(one.stored_bytes for one in mover.store.list_chunks())


@pytest.mark.parametrize("length", [0, 1, SIZE, 3 * SIZE + 7])
@pytest.mark.parametrize("byte", [b"\0", b"\xff"])
def test_a_blob_comes_back_zeros_or_not(mover, length, byte):
    data = byte * length
    with mover.store.writer() as writer:
        blob = chunks.put_blob(mover, writer, data)
        writer.flush()
    assert blob.size_bytes == length
    assert chunks.get_blob(mover, blob) == data
