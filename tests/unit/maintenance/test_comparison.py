"""After a restore: what the catalogue, the store and the host know of each other."""

import contextlib
import uuid

import pytest
from tests.unit import site_under_test

from estampe import errors
from estampe.db import servers, templates
from estampe.jobs import dispatch
from estampe.maintenance import comparison
from estampe.model import template


@pytest.fixture
def rows(site):
    return templates.Templates(site.db), servers.Servers(site.db, clock=dispatch.utc_now)


@pytest.fixture
def compare(site, rows):
    def make(*, store=None, host=None):
        return comparison.of_both(
            *rows,
            open_store=store or (lambda: site.store),
            open_host=host or (lambda: contextlib.nullcontext(site.host)),
        )

    return make


@pytest.fixture
def deployed(site):
    """A template and a server that was deployed from it, both known."""
    site.add_server()
    site.succeed(site.capture())
    site.succeed(site.deploy(name="new"))
    return site


def test_what_belongs_together_needs_no_word(deployed, compare):
    found = compare()
    assert found.is_clean
    assert (found.without_manifest, found.unknown_manifests, found.without_domain, found.unknown_domains) == ((),) * 4


def test_a_template_whose_manifest_is_gone_is_told(deployed, compare, rows):
    (row,) = rows[0].list_in_state(template.State.ACTIVE)
    deployed.store.delete_manifest(row.id)
    assert compare().without_manifest == (f"web@1 ({row.id})",)


def test_a_manifest_that_no_row_knows_is_told_by_the_name_it_has(deployed, compare, rows):
    (row,) = rows[0].list_in_state(template.State.ACTIVE)
    rows[0].begin_delete(row.id)
    rows[0].remove(row.id)
    assert compare().unknown_manifests == (comparison.Stray(id=str(row.id), name="web@1"),)


def test_a_server_whose_domain_is_gone_is_told(deployed, compare):
    (domain,) = [each for each in deployed.host.list_domains() if each.name == "new"]
    deployed.host.power_off(domain.uuid)
    deployed.host.undefine(domain.uuid)
    assert compare().without_domain == (f"new ({domain.uuid})",)


def test_a_deployed_domain_that_no_row_knows_is_told_and_other_domains_are_not(deployed, compare, rows):
    (domain,) = [each for each in deployed.host.list_domains() if each.name == "new"]
    rows[1].remove(rows[1].find_by_domain(uuid.UUID(domain.uuid)).id)
    deployed.add_server("foreign")
    assert compare().unknown_domains == (comparison.Stray(id=domain.uuid, name="new", template="web@1"),)


def test_what_does_not_answer_is_told_and_the_rest_is_compared(deployed, compare):
    def fails(error):
        def fail():
            raise error

        return fail

    found = compare(store=fails(errors.StoreMismatch(path="/x", problem="is not a store")))
    assert (found.without_manifest, found.unknown_manifests, found.without_domain) == (None, None, ())
    assert found.why_not == ("the store at /x is not a store",)
    assert not found.is_clean
    found = compare(host=fails(errors.HypervisorUnavailable(uri="qemu:///x", detail="gone")))
    assert (found.unknown_domains, found.unknown_manifests) == (None, ())
    assert "qemu:///x" in found.why_not[0]
    assert deployed.leftovers() == site_under_test.CLEAN
