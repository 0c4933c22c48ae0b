import uuid

from estampe.store import base, codec, index, usage

SIZE = 4096


def test_an_empty_store_holds_nothing(templates):
    found = usage.usage(templates.store)
    assert (found.logical_bytes, found.stored_bytes, found.orphan_bytes, found.templates) == (0, 0, 0, ())


def test_shared_and_unique_chunks_are_told_apart(templates, plain):
    def stored(*numbers):
        return sum(templates.store.stat_chunk(codec.identify(plain(number))).stored_bytes for number in numbers)

    one = templates.add([plain(1), plain(1), None, plain(2)])
    other = templates.add([plain(2), plain(3)])
    gone = templates.add([plain(4)])
    templates.store.delete_manifest(gone.template_id)
    found = usage.usage(templates.store)
    first, second = found.templates
    assert (first.template_id, second.template_id) == (one.template_id, other.template_id)
    assert (first.logical_bytes, first.data_bytes) == (4 * SIZE, 3 * SIZE)
    assert (first.stored_bytes, first.unique_bytes) == (stored(1, 2), stored(1))
    assert (second.stored_bytes, second.unique_bytes) == (stored(2, 3), stored(3))
    assert (found.logical_bytes, found.data_bytes, found.distinct_bytes) == (6 * SIZE, 5 * SIZE, 3 * SIZE)
    assert (found.stored_bytes, found.orphan_bytes, found.chunks) == (stored(1, 2, 3), stored(4), 4)
    assert found.saved_by_deduplication_bytes == 2 * SIZE
    assert found.saved_by_compression_bytes == 3 * SIZE - stored(1, 2, 3)
    assert found.saved_bytes == 5 * SIZE - stored(1, 2, 3)


def test_deleting_a_template_frees_its_unique_bytes(templates, plain):
    one = templates.add([plain(1), plain(2)], nvram=b"variables")
    templates.add([plain(2), plain(3)])
    before = usage.usage(templates.store)
    templates.store.delete_manifest(one.template_id)
    assert usage.usage(templates.store).orphan_bytes == before.templates[0].unique_bytes > 0


def test_a_short_last_chunk_counts_its_own_length(templates, plain):
    templates.add([plain(1), b"short"])
    assert usage.usage(templates.store).data_bytes == SIZE + 5


def test_an_unreadable_manifest_and_a_missing_chunk_do_not_stop_it(templates, plain):
    templates.add([plain(1), plain(2)])
    broken = uuid.uuid4()
    templates.store.put_manifest(broken, b"")
    templates.store.damage(codec.identify(plain(1)), None)
    found = usage.usage(templates.store)
    assert [one.template_id for one in found.unreadable] == [broken]
    assert found.templates[0].data_bytes == 2 * SIZE


def test_ids_with_one_prefix_are_both_found():
    """2 in 10 million with a chance of 3 in a million: made by hand here."""
    ids = [b"\1" * 32, b"\2" * 32, b"\2" * 31 + b"\3", b"\4" * 32]
    found = index.ChunkIndex(base.StoredChunk(chunk_id, 10, 0) for chunk_id in ids)
    assert [list(found.positions(chunk_id)) for chunk_id in ids] == [[0], [1, 2], [1, 2], [3]]
    assert not found.positions(b"\3" * 32)
