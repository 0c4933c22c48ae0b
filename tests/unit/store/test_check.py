import dataclasses
import random
import uuid

import pytest

from estampe import errors
from estampe.store import check, codec, manifests

CHUNK_SIZE = 4096


def _check(templates, **options):
    return check.check(templates.store, rng=random.Random(1), **options)


def test_a_sound_store_is_sound(templates, plain):
    templates.add([plain(number) for number in range(20)], nvram=b"variables")
    report = _check(templates)
    assert report.is_sound
    assert (report.chunks, report.checked_chunks, report.manifests_read) == (21, 21, 1)
    assert report.checked_bytes == sum(chunk.stored_bytes for chunk in templates.store.list_chunks())


def test_a_missing_piece_of_an_inventory_hurts_its_template(templates, plain):
    made = templates.add([plain(1)], inventory=b"lists")
    templates.store.damage(codec.identify(b"lists"), None)
    (found,) = _check(templates).damaged
    assert (found.kind, found.templates) == (codec.Damage.MISSING, (made.template_id,))


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


def _with_length(templates, made, size_bytes):
    """The same chunks named by a template of another size: whole by their ids, and not what that template needs."""
    (volume,) = made.volumes
    other = dataclasses.replace(
        made, template_id=uuid.uuid4(), volumes=(dataclasses.replace(volume, size_bytes=size_bytes),)
    )
    manifests.put(templates.store, other)
    return other


@pytest.mark.parametrize(
    ("last", "size_bytes", "sample"),
    [
        (100, 3 * CHUNK_SIZE, None),
        (100, 2 * CHUNK_SIZE + 512, None),
        (100, 2 * CHUNK_SIZE + 512, 0.000001),
        (None, 2 * CHUNK_SIZE + 512, None),
        (None, 2 * CHUNK_SIZE + 512, 0.000001),
    ],
)
def test_a_chunk_of_another_length_than_a_template_needs_is_that_templates_damage(
    templates, plain, last, size_bytes, sample
):
    sound = templates.add([plain(1), plain(2), plain(3)[:last]])
    hurt = _with_length(templates, sound, size_bytes)
    report = _check(templates, sample=sample)
    (found,) = report.damaged
    assert (found.chunk_id, found.templates) == (sound.volumes[0].table.find(2), (hurt.template_id,))
    assert (found.kind, str(size_bytes - 2 * CHUNK_SIZE) in found.detail) == (codec.Damage.MISFIT, True)
    assert check.set_aside(templates.store, report) == 0
    assert not check.check(templates.store, rng=random.Random(1)).is_sound


def test_a_chunk_of_a_newer_version_is_told_and_stays_in_its_place(templates, plain):
    made = templates.add([plain(1), plain(2)])
    newer = codec.identify(plain(1))
    body = templates.store.get_chunk(newer)
    templates.store.damage(newer, body[:1] + bytes([codec.VERSION + 1]) + body[2:])
    report = _check(templates)
    (found,) = report.damaged
    assert (found.chunk_id, found.kind, found.templates) == (newer, codec.Damage.NEWER, (made.template_id,))
    assert "upgrade" in found.detail
    assert check.set_aside(templates.store, report) == 0
    assert templates.store.get_chunk(newer)[1] == codec.VERSION + 1
