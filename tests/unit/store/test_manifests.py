import dataclasses
import uuid

import pytest

from estampe import errors
from estampe.model import manifest
from estampe.store import manifests


def test_a_manifest_comes_back(templates, plain):
    made = templates.add([plain(1), None, plain(2)], nvram=b"variables")
    assert manifests.get(templates.store, made.template_id) == made
    assert list(manifests.each(templates.store)) == [made]


def test_putting_it_again_is_fine(templates, plain):
    manifests.put(templates.store, templates.add([plain(1)]))


def test_a_manifest_is_refused_while_one_of_its_chunks_is_not_there(templates, plain):
    made = templates.add([plain(1), plain(2)])
    store = templates.store
    store.delete_manifest(made.template_id)
    store.damage(made.volumes[0].table.find(1), None)
    with pytest.raises(errors.ChunkMissing):
        manifests.put(store, made)
    assert list(store.list_manifests()) == []


def test_putting_renews_the_age_of_its_chunks(templates, plain):
    made = templates.add([plain(1)], nvram=b"variables")
    templates.now += 1000
    manifests.put(templates.store, made)
    assert {chunk.modified_at for chunk in templates.store.list_chunks()} == {templates.now}


def test_a_manifest_under_another_name_is_corrupt(templates, plain):
    made, other = templates.add([plain(1)]), uuid.uuid4()
    templates.store.put_manifest(other, manifest.encode(made))
    with pytest.raises(errors.ManifestCorrupt, match=f"{other}.*{made.template_id}"):
        manifests.get(templates.store, other)


def test_a_manifest_of_another_chunk_size_is_corrupt(templates, plain):
    made = dataclasses.replace(templates.add([plain(1)]), template_id=uuid.uuid4(), chunk_size_bytes=8192)
    templates.store.put_manifest(made.template_id, manifest.encode(made))
    with pytest.raises(errors.ManifestCorrupt, match="8192"):
        manifests.get(templates.store, made.template_id)


def test_an_unreadable_one_is_told_beside_the_others(templates, plain):
    made, broken = templates.add([plain(1)]), uuid.UUID(int=99)
    templates.store.put_manifest(broken, b"not a manifest")
    found = list(manifests.each_or_why_not(templates.store))
    assert found[0] == made
    assert isinstance(found[1], manifests.Unreadable)
    assert found[1].template_id == broken
    assert isinstance(found[1].error, errors.ManifestCorrupt)
