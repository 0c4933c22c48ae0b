"""The contract of store.base, on every implementation: memory and a local directory.

Another implementation joins by a harness: a store of 4 KiB chunks, one with little space, and a way to make a chunk old.
"""

import collections
import concurrent.futures
import contextlib
import os
import random
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from estampe import errors
from estampe.store import base, local, memory

CHUNK_SIZE = 4096
SPACE = 512 * 1024
OLD = 1_000_000_000.0  # 2001: older than any grace period


class Harness(Protocol):
    store: base.Store

    def make_old(self, chunk_id: bytes) -> None: ...

    def full(self) -> contextlib.AbstractContextManager[base.Store]:
        """A store with room for less than SPACE."""


class MemoryHarness:
    def __init__(self) -> None:
        self.store = memory.MemoryStore(chunk_size_bytes=CHUNK_SIZE)

    def make_old(self, chunk_id: bytes) -> None:
        self.store._chunks[chunk_id].modified_at = OLD

    @contextlib.contextmanager
    def full(self) -> Iterator[base.Store]:
        yield memory.MemoryStore(chunk_size_bytes=CHUNK_SIZE, capacity_bytes=SPACE // 2)


class LocalHarness:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.store = local.LocalStore.create(path / "store", chunk_size_bytes=CHUNK_SIZE)

    def make_old(self, chunk_id: bytes) -> None:
        os.utime(self.store._layout.chunk(chunk_id), (OLD, OLD))

    @contextlib.contextmanager
    def full(self) -> Iterator[base.Store]:
        small = self._path / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SPACE},mode=0700", "tmpfs", small], check=True)
        try:
            yield local.LocalStore.create(small / "store", chunk_size_bytes=CHUNK_SIZE)
        finally:
            subprocess.run(["umount", small], check=True)


@pytest.fixture(params=["memory", "local"])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Harness:
    return MemoryHarness() if request.param == "memory" else LocalHarness(tmp_path)


@pytest.fixture
def store(harness: Harness) -> base.Store:
    return harness.store


def _id(number: int) -> bytes:
    return random.Random(number).randbytes(32)


def _put(store: base.Store, *ids: bytes) -> None:
    with store.writer() as writer:
        for chunk_id in ids:
            assert writer.put(chunk_id, b"body of " + chunk_id)
        writer.flush()


def test_the_chunk_size_is_the_one_of_its_creation(store):
    assert store.chunk_size_bytes == CHUNK_SIZE


def test_a_flushed_chunk_is_got_back_byte_for_byte(store):
    body = random.Random(1).randbytes(CHUNK_SIZE + 8)
    with store.writer() as writer:
        assert writer.put(_id(1), body)
        writer.flush()
    assert store.get_chunk(_id(1)) == body


def test_a_chunk_that_is_not_there_is_not_found(store):
    for look in (store.get_chunk, store.stat_chunk):
        with pytest.raises(errors.ChunkNotFound, match=_id(1).hex()):
            look(_id(1))


def test_a_stat_tells_size_and_age(store):
    before = time.time()
    _put(store, _id(1))
    found = store.stat_chunk(_id(1))
    assert (found.chunk_id, found.stored_bytes) == (_id(1), len(b"body of ") + 32)
    assert before - 1 <= found.modified_at <= time.time() + 1


def test_a_put_never_replaces(store):
    _put(store, _id(1))
    with store.writer() as writer:
        assert not writer.put(_id(1), b"something else")
        writer.flush()
    assert store.get_chunk(_id(1)) == b"body of " + _id(1)


def test_a_second_put_through_one_writer_stores_nothing(store):
    with store.writer() as writer:
        assert writer.put(_id(1), b"first")
        assert not writer.put(_id(1), b"second")
        writer.flush()
    assert store.get_chunk(_id(1)) == b"first"


def test_a_repeated_put_renews_the_age(harness):
    _put(harness.store, _id(1))
    harness.make_old(_id(1))
    with harness.store.writer() as writer:
        writer.put(_id(1), b"")
        writer.flush()
    assert harness.store.stat_chunk(_id(1)).modified_at > OLD


def test_has_knows_what_is_stored_and_renews_its_age(harness):
    _put(harness.store, _id(1))
    harness.make_old(_id(1))
    with harness.store.writer() as writer:
        assert writer.has(_id(1))
        assert not writer.has(_id(2))
    assert harness.store.stat_chunk(_id(1)).modified_at > OLD


def test_has_knows_what_was_put_through_this_writer_and_not_flushed(store):
    with store.writer() as writer:
        writer.put(_id(1), b"body")
        assert writer.has(_id(1))
        writer.flush()
        assert writer.has(_id(1))


def test_leaving_without_flush_leaves_nothing_half_written(store):
    def interrupted() -> None:
        with store.writer() as writer:
            writer.put(_id(1), b"whole")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert all(store.get_chunk(chunk.chunk_id) == b"whole" for chunk in store.list_chunks())


def test_a_writer_goes_on_after_a_flush(store):
    with store.writer() as writer:
        for number in range(3):
            writer.put(_id(number), b"body")
            writer.flush()
    assert len(list(store.list_chunks())) == 3


def test_an_empty_flush_is_fine(store):
    with store.writer() as writer:
        writer.flush()


def test_threads_share_a_writer(store):
    ids = [_id(number % 200) for number in range(800)]  # each id four times, at once
    with store.writer() as writer, concurrent.futures.ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda chunk_id: writer.put(chunk_id, b"body of " + chunk_id), ids))
        writer.flush()
    assert sum(stored) == 200
    assert all(store.get_chunk(chunk_id) == b"body of " + chunk_id for chunk_id in ids)


def test_two_writers_of_one_chunk_leave_one_body(store):
    with store.writer() as one, store.writer() as other:
        one.put(_id(1), b"body of one")
        other.put(_id(1), b"body of other")
        other.flush()
        one.flush()
        assert store.get_chunk(_id(1)) == b"body of other"


def test_chunks_are_listed_in_ascending_order(store):
    ids = [_id(number) for number in range(300)]
    _put(store, *ids)
    assert [chunk.chunk_id for chunk in store.list_chunks()] == sorted(ids)


def test_a_chunk_younger_than_asked_stays(harness):
    _put(harness.store, _id(1))
    assert not harness.store.delete_chunk_if_older(_id(1), time.time() - 60)
    assert harness.store.get_chunk(_id(1))


def test_an_older_chunk_goes(harness):
    _put(harness.store, _id(1), _id(2))
    harness.make_old(_id(1))
    assert harness.store.delete_chunk_if_older(_id(1), time.time() - 60)
    assert [chunk.chunk_id for chunk in harness.store.list_chunks()] == [_id(2)]


def test_deleting_a_chunk_that_is_not_there_is_false(store):
    assert not store.delete_chunk_if_older(_id(1), time.time())


def test_a_deleted_chunk_can_be_stored_again(harness):
    _put(harness.store, _id(1))
    harness.make_old(_id(1))
    with harness.store.writer() as writer:
        harness.store.delete_chunk_if_older(_id(1), time.time() - 60)
        assert not writer.has(_id(1))
        assert writer.put(_id(1), b"anew")
        writer.flush()
    assert harness.store.get_chunk(_id(1)) == b"anew"


@pytest.mark.parametrize("renew", ["has", "put"])
def test_a_chunk_renewed_while_it_is_deleted_is_there_afterwards(harness, renew):
    """Whoever was told that the chunk is there (or stored it) can rely on it, whatever a sweep does at the same time."""
    _put(harness.store, _id(1))
    together = threading.Barrier(2)
    with harness.store.writer() as writer, concurrent.futures.ThreadPoolExecutor(1) as pool:
        for _ in range(200):
            harness.make_old(_id(1))

            def delete() -> bool:
                together.wait()
                return harness.store.delete_chunk_if_older(_id(1), time.time() - 60)

            deleting = pool.submit(delete)
            together.wait()
            is_promised = writer.has(_id(1)) if renew == "has" else not writer.put(_id(1), b"anew")
            deleting.result()
            writer.flush()
            if is_promised or renew == "put":
                assert harness.store.get_chunk(_id(1))
            else:
                writer.put(_id(1), b"anew")
                writer.flush()


def test_two_deletes_at_once_and_a_put_leave_the_put(harness):
    with harness.store.writer() as writer, concurrent.futures.ThreadPoolExecutor(2) as pool:
        for _ in range(100):
            writer.put(_id(1), b"body")
            writer.flush()
            harness.make_old(_id(1))
            deletes = [pool.submit(harness.store.delete_chunk_if_older, _id(1), time.time() - 60) for _ in range(2)]
            writer.put(_id(1), b"body")
            for delete in deletes:
                delete.result()
            writer.flush()
            assert harness.store.get_chunk(_id(1)) == b"body"


@pytest.mark.requires_root
def test_a_full_store_says_so_and_leaves_nothing_half_written(harness):
    rng = random.Random(1)
    with harness.full() as store:
        before = store.available_bytes()
        with store.writer() as writer:
            bodies = ((_id(number), rng.randbytes(CHUNK_SIZE)) for number in range(2 * SPACE // CHUNK_SIZE))
            with pytest.raises(errors.NoSpace, match="needed") as caught:
                collections.deque((writer.put(*one) for one in bodies), maxlen=0)
        assert caught.value.facts["available"]
        assert all(chunk.stored_bytes == CHUNK_SIZE for chunk in store.list_chunks())
        for chunk in list(store.list_chunks()):
            store.delete_chunk_if_older(chunk.chunk_id, time.time() + 60)
        assert store.available_bytes() == before  # no temporary file is left either


@pytest.mark.requires_root
def test_after_a_failed_put_a_writer_never_flushes(harness):
    """`has` may have promised the chunk to another thread."""
    with harness.full() as store, store.writer() as writer:
        with pytest.raises(errors.NoSpace):
            writer.put(_id(1), bytes(2 * SPACE))
        for call in (writer.flush, lambda: writer.has(_id(2)), lambda: writer.put(_id(2), b"")):
            with pytest.raises(errors.NoSpace):
                call()


def test_a_manifest_is_got_back_byte_for_byte(store):
    template, data = uuid.uuid4(), random.Random(1).randbytes(100_000)
    store.put_manifest(template, data)
    assert store.get_manifest(template) == data


def test_the_same_manifest_may_be_put_again_and_another_may_not(store):
    template = uuid.uuid4()
    store.put_manifest(template, b"data")
    store.put_manifest(template, b"data")
    with pytest.raises(errors.ManifestExists, match=str(template)):
        store.put_manifest(template, b"other")
    assert store.get_manifest(template) == b"data"


def test_manifests_are_listed(store):
    templates = {uuid.uuid4() for _ in range(5)}
    for template in templates:
        store.put_manifest(template, b"data")
    assert set(store.list_manifests()) == templates


def test_a_deleted_manifest_is_gone(store):
    template = uuid.uuid4()
    store.put_manifest(template, b"data")
    assert store.delete_manifest(template)
    assert not store.delete_manifest(template)
    assert list(store.list_manifests()) == []
    with pytest.raises(errors.ManifestNotFound, match=str(template)):
        store.get_manifest(template)


def test_free_space_is_told_where_it_is_known(harness):
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(harness.full()) if os.geteuid() == 0 else harness.store
        available = store.available_bytes()
        assert available is None or available > 0


def test_a_chunk_set_aside_is_gone_from_its_id_and_can_be_put_anew(harness):
    store = harness.store
    with store.writer() as writer:
        writer.put(_id(1), b"damaged")
        writer.flush()
    assert store.set_aside(_id(1))
    assert not store.set_aside(_id(1))
    assert list(store.list_chunks()) == []
    with store.writer() as writer:
        assert not writer.has(_id(1))
        assert writer.put(_id(1), b"whole")
        writer.flush()
    assert store.get_chunk(_id(1)) == b"whole"
