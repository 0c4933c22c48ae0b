import uuid

import pytest

from estampe import errors
from estampe.store import check, codec, sweep


def _ids(templates):
    return {chunk.chunk_id for chunk in templates.store.list_chunks()}


def _sweep(templates, **options):
    return sweep.sweep(templates.store, older_than=templates.now - 100, **options)


def test_only_old_chunks_that_no_manifest_names_go(templates, plain):
    gone = templates.add([plain(1), plain(2), plain(3)])
    templates.add([plain(2)], nvram=b"variables", inventory=b"lists")
    templates.store.delete_manifest(gone.template_id)
    templates.now += 200
    orphan = templates.add([plain(4)])
    templates.store.delete_manifest(orphan.template_id)
    report = _sweep(templates)
    assert _ids(templates) == {codec.identify(data) for data in (plain(2), plain(4), b"variables", b"lists")}
    assert (report.removed_chunks, report.kept_young_chunks, report.needed_chunks, report.manifests_read) == (
        2,
        1,
        3,
        1,
    )


def test_a_dry_run_counts_the_same_and_removes_nothing(templates, plain):
    made = templates.add([plain(1), plain(2)])
    templates.store.delete_manifest(made.template_id)
    templates.now += 200
    before = _ids(templates)
    dry = _sweep(templates, is_dry_run=True)
    assert _ids(templates) == before
    assert dry == _sweep(templates)
    assert dry.removed_bytes > 0
    assert _ids(templates) == set()


def test_a_manifest_that_cannot_be_read_means_that_nothing_goes(templates, plain):
    made = templates.add([plain(1)])
    templates.store.delete_manifest(made.template_id)
    templates.now += 200
    templates.store.put_manifest(uuid.uuid4(), b"not a manifest")
    with pytest.raises(errors.ManifestCorrupt):
        _sweep(templates)
    assert len(_ids(templates)) == 1


def test_a_capture_under_way_keeps_what_it_found(templates, plain):
    """Its chunk is old and orphaned until its writer finds it."""
    made = templates.add([plain(1), plain(2)])
    templates.store.delete_manifest(made.template_id)
    templates.now += 200
    with templates.store.writer() as writer:
        assert writer.has(codec.identify(plain(1)))
        _sweep(templates)
        assert _ids(templates) == {codec.identify(plain(1))}


def test_what_is_left_is_sound(templates, plain):
    for number in range(10):
        made = templates.add([plain(number), plain(number + 1), plain(100)])
        if number % 2:
            templates.store.delete_manifest(made.template_id)
    templates.now += 200
    _sweep(templates)
    assert check.check(templates.store, rng=None).is_sound


def test_progress_and_cancel(templates, plain):
    made = templates.add([plain(1), plain(2), plain(3)])
    templates.store.delete_manifest(made.template_id)
    templates.now += 200
    told = []

    def cancel() -> None:
        if told:
            raise errors.Cancelled

    with pytest.raises(errors.Cancelled):
        _sweep(templates, on_progress=lambda *done: told.append(done), check_cancelled=cancel)
    assert told == [(1, 3)]
    assert len(_ids(templates)) == 2
