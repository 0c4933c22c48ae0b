"""Looking into templates of a site on a fake host, with inventories as a capture stores them."""

import dataclasses
import uuid

import pytest
from site_under_test import OWNER

from estampe import errors
from estampe.model import inventory as inventories
from estampe.model import listing, manifest
from estampe.model import template as templates
from estampe.store import chunks, manifests


def an_inventory(*, version="1"):
    return inventories.Inventory(
        packages=(inventories.Package(name="nginx", version=version, architecture="amd64"),),
        users=(),
        services=(),
        files={},
    )


@pytest.fixture
def stocked(site):
    """A site with web@1 and web@2 of one server."""
    site.add_server()
    for _ in range(2):
        site.succeed(site.capture())
    return site


def give(site, reference, data):
    """The template's manifest as if its capture had stored this inventory."""
    template_id = site.services.templates.get(OWNER, reference).template.id
    with site.store.writer() as writer:
        blob = chunks.put_blob(chunks.Chunks(site.store), writer, data)
        writer.flush()
    changed = dataclasses.replace(manifests.get(site.store, template_id), inventory=blob)
    site.store.delete_manifest(template_id)
    site.store.put_manifest(template_id, manifest.encode(changed))


def test_an_inventory_is_read_back(stocked):
    give(stocked, "web@1", inventories.encode(an_inventory()))
    assert stocked.services.contents.inventory(OWNER, "web@1") == an_inventory()
    assert stocked.services.templates.get(OWNER, "web@1").manifest.has_inventory


def test_a_template_without_one_says_so(stocked):
    with pytest.raises(errors.InventoryNotFound, match=r"template 'web@1' has no inventory"):
        stocked.services.contents.inventory(OWNER, "web@1")


def test_templates_are_compared_and_other_accounts_see_none(stocked):
    give(stocked, "web@1", inventories.encode(an_inventory()))
    give(stocked, "web@2", inventories.encode(an_inventory(version="2")))
    found = stocked.services.contents.compare(OWNER, "web@1", "web")
    assert (found.before.reference, found.after.reference) == ("web@1", "web@2")
    assert [(each.what, each.after) for each in found.difference.packages] == [("nginx:amd64", "2")]
    with pytest.raises(errors.TemplateNotFound):
        stocked.services.contents.compare(uuid.uuid4(), "web@1", "web@2")


def test_a_hostile_inventory_is_damage_and_no_crash(stocked):
    give(stocked, "web@1", b'{"packages": "x"}')
    with pytest.raises(errors.ManifestCorrupt, match="its inventory cannot be read"):
        stocked.services.contents.inventory(OWNER, "web@1")


def test_a_template_that_is_still_captured_cannot_be_looked_into(site):
    site.add_server()
    site.kill_at("copy", "begin")
    site.capture()
    site.engine.run_pending()
    (row,) = site.services.templates.list(OWNER, listing.TemplateQuery(states=(templates.State.CAPTURING,))).items
    with pytest.raises(errors.TemplateStateForbids, match="is capturing"):
        site.services.contents.inventory(OWNER, str(row.id))
    with pytest.raises(errors.TemplateStateForbids, match="is capturing"):
        site.services.contents.compare(OWNER, str(row.id), str(row.id))
