import random
import uuid

import pytest

from estampe import errors
from estampe.store import check, codec


def _check(templates, **options):
    return check.check(templates.store, rng=random.Random(1), **options)


def test_a_sound_store_is_sound(templates, plain):
    templates.add([plain(number) for number in range(20)], nvram=b"variables")
    report = _check(templates)
    assert report.is_sound
    assert (report.chunks, report.checked_chunks, report.manifests_read) == (21, 21, 1)
    assert report.checked_bytes == sum(chunk.stored_bytes for chunk in templates.store.list_chunks())


def test_damage_is_found_with_its_kind_and_the_templates_it_hurts(templates, plain):
    both = templates.add([plain(1), plain(2), plain(3)])
    one = templates.add([plain(1), plain(4)])
    flipped, truncated, missing = (codec.identify(plain(number)) for number in (1, 2, 4))
    body = templates.store.get_chunk(flipped)
    templates.store.damage(flipped, body[:-1] + bytes([body[-1] ^ 1]))
    templates.store.damage(truncated, templates.store.get_chunk(truncated)[:-10])
    templates.store.damage(missing, None)
    report = _check(templates)
    assert not report.is_sound
    assert {found.chunk_id: (found.kind, found.templates) for found in report.damaged} == {
        flipped: (codec.Damage.FLIPPED, (both.template_id, one.template_id)),
        truncated: (codec.Damage.TRUNCATED, (both.template_id,)),
        missing: (codec.Damage.MISSING, (one.template_id,)),
    }


def test_a_damaged_chunk_that_no_template_needs_is_told_too(templates, plain):
    made = templates.add([plain(1)])
    templates.store.delete_manifest(made.template_id)
    templates.store.damage(codec.identify(plain(1)), b"")
    (found,) = _check(templates).damaged
    assert (found.kind, found.templates) == (codec.Damage.TRUNCATED, ())


def test_a_sample_reads_a_share_and_still_looks_for_every_chunk(templates, plain):
    made = templates.add([plain(number) for number in range(400)])
    missing = made.volumes[0].table.find(7)
    templates.store.damage(missing, None)
    report = _check(templates, sample=0.25)
    assert report.chunks == 399
    assert 60 < report.checked_chunks < 140
    assert [found.chunk_id for found in report.damaged] == [missing]


def test_an_unreadable_manifest_is_told(templates, plain):
    templates.add([plain(1)])
    broken = uuid.uuid4()
    templates.store.put_manifest(broken, b"ESTAMPE\n")
    report = _check(templates)
    assert [found.template_id for found in report.unreadable] == [broken]
    assert report.manifests_read == 1


def test_progress_ends_at_everything(templates, plain):
    templates.add([plain(number) for number in range(20)])
    told = []
    report = _check(templates, threads=3, on_progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (report.checked_bytes, report.checked_bytes)


def test_it_stops_when_it_is_cancelled(templates, plain):
    templates.add([plain(number) for number in range(20)])
    told = []

    def cancel() -> None:
        if len(told) > 3:
            raise errors.Cancelled

    with pytest.raises(errors.Cancelled):
        _check(templates, on_progress=lambda *done: told.append(done), check_cancelled=cancel)
    assert len(told) < 8


def test_an_empty_store_is_sound(templates):
    assert _check(templates).is_sound
