"""The life of templates on a fake host: moves, trash, purge, recall, and what none of it does to servers."""

import dataclasses
import datetime
import threading
import uuid
from pathlib import Path

import pytest
import site_under_test
from site_under_test import CLEAN, OWNER

from estampe import errors, wiring
from estampe.deploy import request as requests
from estampe.model import access, account, listing, operation, power
from estampe.model import template as templates

State = templates.State


@pytest.fixture
def stocked(site):
    """A site with the template web@1 of a server that is shut off."""
    site.add_server()
    site.succeed(site.capture())
    return site


@pytest.fixture
def trashless(tmp_path, migrated, short_directory):
    made = site_under_test.Site(tmp_path, migrated, run_directory=short_directory, trash_days=0)
    made.add_server()
    made.succeed(made.capture())
    yield made
    made.close()


def delete(site, reference="web@1"):
    return site.services.life.delete(OWNER, reference, by="ada")


def listed(site, **wishes):
    found = site.services.templates.list(OWNER, listing.TemplateQuery(**wishes))
    return [each.reference for each in found.items]


def shown(site, reference="web@1"):
    return site.services.templates.get(OWNER, reference)


def recalled(site, reference, *, is_every_version=False, of=OWNER):
    owner = access.Actor(
        name="ada", account=site.services.accounts.resolve(str(of)), role=account.Role.OWNER, is_cloud_operator=False,
        address="test",
    )  # fmt: skip
    found = site.services.lineage.list_servers(owner, reference, is_every_version=is_every_version)
    assert not found.elsewhere
    return [(each.name, each.template) for each in found.servers]


def sweep(site):
    return site.succeed(site.services.storage.sweep(OWNER, is_dry_run=False, grace_seconds=0)).result


def pass_days(site, days):
    site.today += datetime.timedelta(days=days)
    site.installation.housekeeping.tend()


def capture_again(site):
    """The next version, which holds what no other does."""
    with Path(site.host.find_volume("pool", "web.raw").path).open("r+b") as stream:
        stream.write(uuid.uuid4().bytes * 512)
    return site.succeed(site.capture()).result["template"]


# --- deprecated and disabled ------------------------------------------------------------------------------------------


def test_a_deprecated_template_deploys_with_a_warning_in_plan_and_result(stocked):
    capture_again(stocked)
    stocked.services.life.deprecate(OWNER, "web@1", successor="web@2")
    told = "template web@1 is deprecated: use web@2 instead"
    plan = stocked.services.deployments.plan(OWNER, requests.DeployRequest(template="web@1", name="new"))
    assert plan.warnings[0] == told
    assert stocked.succeed(stocked.deploy("web@1")).result["warnings"] == [told]
    assert stocked.succeed(stocked.deploy("web@2", name="other")).result["warnings"] == []


def test_the_warning_is_of_the_time_of_the_deploy_also_after_a_kill(stocked):
    stocked.services.life.deprecate(OWNER, "web@1", successor=None)
    started = stocked.deploy()
    stocked.kill_at("start", "begin")
    assert stocked.engine.run_pending() is False
    stocked.services.life.enable(OWNER, "web@1")
    stocked.restart()
    stocked.run()
    assert stocked.outcome(started).result["warnings"] == ["template web@1 is deprecated"]


def test_a_successor_that_is_gone_is_told_as_such(stocked):
    capture_again(stocked)
    stocked.services.life.deprecate(OWNER, "web@1", successor="web@2")
    assert shown(stocked).successor == "web@2"
    delete(stocked, "web@2")
    assert shown(stocked).successor == "web@2 (in the trash)"
    (told,) = stocked.succeed(stocked.deploy("web@1")).result["warnings"]
    assert "cannot be deployed any more" in told


def test_a_successor_must_be_the_accounts(stocked):
    for reference in ("nothing", str(uuid.uuid4()), "web@9"):
        with pytest.raises(errors.TemplateNotFound):
            stocked.services.life.deprecate(OWNER, "web@1", successor=reference)
    assert shown(stocked).template.state is State.ACTIVE


def test_a_disabled_template_does_not_deploy_and_says_how_to_change_that(stocked):
    stocked.services.life.disable(OWNER, "web@1")
    for reference in ("web@1", str(shown(stocked).template.id)):
        with pytest.raises(errors.TemplateStateForbids, match=r"disabled.*template enable"):
            stocked.deploy(reference)
    with pytest.raises(errors.NoDeployableVersion, match="web@1 is disabled"):
        stocked.deploy("web")
    assert shown(stocked).manifest is not None
    stocked.services.life.enable(OWNER, "web@1")
    stocked.succeed(stocked.deploy())


def test_a_name_deploys_the_newest_version_that_is_not_disabled(stocked):
    capture_again(stocked)
    stocked.services.life.disable(OWNER, "web@2")
    for name, reference in (("one", "web"), ("two", "web@latest")):
        assert stocked.succeed(stocked.deploy(reference, name=name)).result["template"] == "web@1"


def test_a_template_that_is_disabled_before_its_deploy_begins_fails_that_deploy(stocked):
    started = stocked.deploy()
    stocked.services.life.disable(OWNER, "web@1")
    stocked.run()
    ended = stocked.outcome(started)
    assert (ended.state, ended.error["code"]) == (operation.State.FAILED, "template-state")
    assert stocked.leftovers() == CLEAN


def test_a_template_that_is_disabled_during_its_deploy_does_not_stop_it(stocked):
    started = stocked.deploy()
    stocked.kill_at("hydrate vda", "begin")
    assert stocked.engine.run_pending() is False
    stocked.services.life.disable(OWNER, "web@1")
    stocked.restart()
    stocked.succeed(started)


# --- trash and purge --------------------------------------------------------------------------------------------------


def test_a_deleted_template_is_in_the_trash_and_comes_back_as_it_was(stocked):
    stocked.services.life.deprecate(OWNER, "web@1", successor=None)
    before = shown(stocked)
    deleted = delete(stocked)
    assert deleted.trash.by == "ada"
    assert deleted.trash.until - deleted.trash.at == datetime.timedelta(days=7)
    assert (listed(stocked), listed(stocked, is_trashed=True)) == ([], ["web@1"])
    assert shown(stocked).manifest == before.manifest
    with pytest.raises(errors.TemplateStateForbids, match="template restore"):
        stocked.deploy("web@1")
    with pytest.raises(errors.TemplateNotFound):
        stocked.deploy("web")
    stocked.services.life.restore(OWNER, "web@1")
    restored = shown(stocked)
    unrevised = dataclasses.replace(restored.template, revision=before.template.revision)
    assert dataclasses.replace(restored, seen=dataclasses.replace(restored.seen, template=unrevised)) == before
    stocked.succeed(stocked.deploy())


def test_a_name_does_not_mean_a_trashed_version_nor_gives_its_number_away(stocked):
    delete(stocked)
    assert capture_again(stocked) == "web@2"
    assert stocked.succeed(stocked.deploy("web")).result["template"] == "web@2"


def test_the_trash_keeps_its_chunks_from_the_sweep_until_it_is_purged(stocked):
    delete(stocked)
    assert sweep(stocked)["removed_chunks"] == 0
    stocked.services.life.restore(OWNER, "web@1")
    stocked.succeed(stocked.deploy(is_started=False))
    delete(stocked)
    stocked.services.life.purge(OWNER, "web@1")
    assert sweep(stocked)["removed_chunks"] > 0
    assert list(stocked.store.list_chunks()) == []


def test_the_trash_is_emptied_when_its_time_is_over_and_not_before(stocked):
    delete(stocked)
    pass_days(stocked, 6.99)
    assert listed(stocked, is_trashed=True) == ["web@1"]
    pass_days(stocked, 0.01)
    assert listed(stocked, is_trashed=True) == []
    assert list(stocked.store.list_manifests()) == []
    with pytest.raises(errors.TemplateNotFound):
        shown(stocked)


def test_the_daemons_start_empties_the_trash(stocked):
    delete(stocked)
    stocked.today += datetime.timedelta(days=8)
    stocked.restart()
    assert list(stocked.store.list_manifests()) == []


def test_a_purge_that_the_store_does_not_answer_to_is_ended_by_a_later_round(stocked):
    """And the round goes on with what else there is to do."""
    capture_again(stocked)
    delete(stocked, "web@1")
    delete(stocked, "web@2")
    real = stocked.store.delete_manifest
    answers = iter([errors.StoreUnavailable(where="store", action="remove a manifest", detail="a test")])

    def failing(template_id):
        for error in answers:
            raise error
        return real(template_id)

    stocked.store.delete_manifest = failing
    pass_days(stocked, 8)
    assert len(list(stocked.store.list_manifests())) == 1
    pass_days(stocked, 0)
    assert list(stocked.store.list_manifests()) == []
    assert listed(stocked) == listed(stocked, is_trashed=True) == []


def test_a_duty_that_fails_keeps_neither_the_daemon_nor_the_other_duties(stocked, caplog):
    capture_again(stocked)
    delete(stocked, "web@1")
    capture_again(stocked)
    real = stocked.store.delete_manifest

    def failing(template_id):
        raise errors.StoreUnavailable(where="store", action="remove a manifest", detail="a test")

    stocked.store.delete_manifest = failing
    pass_days(stocked, 8)  # now a purge is begun and cannot be ended
    stocked.services.retention.set(OWNER, "web", keep_last=1, keep_days=None)
    pass_days(stocked, 0)
    assert "housekeeping" in caplog.text
    assert listed(stocked, is_trashed=True) == ["web@2"]
    stocked.store.delete_manifest = real
    pass_days(stocked, 0)
    assert len(list(stocked.store.list_manifests())) == 2


def test_the_daemon_keeps_house_in_a_thread_that_ends_with_it(site):
    with wiring._housekeeping(site.installation).running():
        assert "housekeeping" in {thread.name for thread in threading.enumerate()}
    assert "housekeeping" not in {thread.name for thread in threading.enumerate()}


def test_without_a_trash_a_deleted_template_is_gone(trashless):
    assert delete(trashless).trash is None
    assert listed(trashless) == listed(trashless, is_trashed=True) == []
    assert list(trashless.store.list_manifests()) == []


def test_only_what_is_in_the_trash_is_purged_or_restored(stocked):
    with pytest.raises(errors.TemplateStateForbids, match="delete it first"):
        stocked.services.life.purge(OWNER, "web@1")
    with pytest.raises(errors.TemplateStateForbids, match="not in the trash"):
        stocked.services.life.restore(OWNER, "web@1")
    delete(stocked)
    with pytest.raises(errors.TemplateStateForbids, match="purge it"):
        delete(stocked)


def test_what_is_being_captured_is_cancelled_not_deleted(site):
    site.add_server()
    started = site.capture()
    site.kill_at("publish", "begin")
    assert site.engine.run_pending() is False
    with pytest.raises(errors.TemplateStateForbids, match="cancel that operation"):
        delete(site, started.request["template_id"])


def test_a_protected_template_survives_deletion_purge_and_time(stocked):
    stocked.services.life.protect(OWNER, "web@1", is_protected=True)
    with pytest.raises(errors.TemplateProtected, match="unprotect"):
        delete(stocked)
    stocked.services.life.protect(OWNER, "web@1", is_protected=False)
    delete(stocked)
    stocked.services.life.protect(OWNER, "web@1", is_protected=True)
    pass_days(stocked, 100)
    with pytest.raises(errors.TemplateProtected):
        stocked.services.life.purge(OWNER, "web@1")
    stocked.services.life.restore(OWNER, "web@1")
    assert listed(stocked) == ["web@1"]


def test_a_protected_template_is_not_deleted_where_there_is_no_trash_either(trashless):
    trashless.services.life.protect(OWNER, "web@1", is_protected=True)
    with pytest.raises(errors.TemplateProtected):
        delete(trashless)
    assert listed(trashless) == ["web@1"]


@pytest.mark.parametrize("step", ["create volumes", "hydrate vda", "start", "clean up"])
def test_a_template_that_is_being_deployed_is_not_deleted(stocked, step):
    started = stocked.deploy()
    stocked.kill_at(step, "begin")
    assert stocked.engine.run_pending() is False
    with pytest.raises(errors.TemplateInUse, match=str(started.id)):
        delete(stocked)
    assert shown(stocked).template.state is State.ACTIVE
    stocked.restart()
    stocked.succeed(started)
    delete(stocked)


def test_another_accounts_template_has_no_life(stocked):
    stranger = stocked.services.accounts.create("stranger").id
    for move in (
        lambda life: life.deprecate(stranger, "web@1", successor=None),
        lambda life: life.disable(stranger, "web@1"),
        lambda life: life.enable(stranger, "web@1"),
        lambda life: life.protect(stranger, "web@1", is_protected=True),
        lambda life: life.delete(stranger, "web@1", by="eve"),
        lambda life: life.restore(stranger, "web@1"),
        lambda life: life.purge(stranger, "web@1"),
    ):
        with pytest.raises(errors.TemplateNotFound):
            move(stocked.services.life)
    for is_every_version in (False, True):
        with pytest.raises(errors.TemplateNotFound):
            recalled(stocked, "web@1", is_every_version=is_every_version, of=stranger)
    assert shown(stocked).template.state is State.ACTIVE


# --- servers and their origin -----------------------------------------------------------------------------------------


def test_deleting_purging_and_sweeping_never_hurts_the_servers(stocked):
    stocked.succeed(stocked.deploy(name="running"))
    stocked.succeed(stocked.deploy(name="off", is_started=False))
    before = {path.name: path.read_bytes() for path in stocked.pool.directory.iterdir()}
    domains = {found.name: stocked.host.get_domain(found.uuid) for found in stocked.host.list_domains()}
    seeds = {path.name: path.read_bytes() for path in stocked.places.seeds.iterdir()}
    delete(stocked)
    stocked.services.life.purge(OWNER, "web@1")
    sweep(stocked)
    assert list(stocked.store.list_chunks()) == []
    assert {path.name: path.read_bytes() for path in stocked.pool.directory.iterdir()} == before
    assert {found.name: stocked.host.get_domain(found.uuid) for found in stocked.host.list_domains()} == domains
    assert {path.name: path.read_bytes() for path in stocked.places.seeds.iterdir()} == seeds
    assert stocked.services.servers.get(OWNER, "running").summary.power_state is power.PowerState.RUNNING
    assert stocked.services.servers.start(OWNER, "off").power_state is power.PowerState.RUNNING
    assert stocked.succeed(stocked.capture("off", name="again")).result["template"] == "again@1"


def test_servers_of_a_template_are_recalled_from_the_trash_too(stocked):
    stocked.succeed(stocked.deploy("web@1", name="one", is_started=False))
    capture_again(stocked)
    stocked.succeed(stocked.deploy("web@2", name="two", is_started=False))
    assert recalled(stocked, "web@1") == [("one", "web@1")]
    assert recalled(stocked, "web") == [("two", "web@2")]
    delete(stocked, "web@1")
    assert recalled(stocked, "web@1") == [("one", "web@1 (in the trash)")]
    both = [("one", "web@1 (in the trash)"), ("two", "web@2")]
    assert recalled(stocked, "web", is_every_version=True) == both
    assert recalled(stocked, "web@2", is_every_version=True) == both
    delete(stocked, "web@2")
    assert [name for name, _ in recalled(stocked, "web", is_every_version=True)] == ["one", "two"]


def test_servers_that_are_gone_are_not_recalled(stocked):
    stocked.succeed(stocked.deploy(name="one", is_started=False))
    stocked.succeed(stocked.deploy(name="two", is_started=False))
    stocked.services.servers.delete(OWNER, "one", is_volumes_deleted=True, is_forced=False)
    stocked.host.undefine(stocked.host.find_domain("two").uuid)  # behind Estampe's back
    assert recalled(stocked, "web") == []


def test_the_servers_of_a_template_that_never_was_are_not_found(stocked):
    for is_every_version in (False, True):
        with pytest.raises(errors.TemplateNotFound):
            recalled(stocked, "nothing", is_every_version=is_every_version)


def test_a_server_names_its_template_when_that_was_renamed_trashed_and_purged(stocked):
    stocked.succeed(stocked.deploy(name="one", is_started=False))
    stocked.services.templates.edit(OWNER, "web@1", name="shop", note=None, tags=None)

    def told():
        return stocked.services.servers.get(OWNER, "one").summary.template

    assert told() == "shop@1"
    delete(stocked, "shop@1")
    assert told() == "shop@1 (in the trash)"
    stocked.services.life.purge(OWNER, "shop@1")
    assert told() == "shop@1 (deleted)"


def test_a_template_names_the_template_that_its_server_came_from_also_when_both_are_gone(stocked):
    stocked.succeed(stocked.deploy(name="one", is_started=False))
    stocked.succeed(stocked.capture("one", name="child"))
    assert shown(stocked, "child").template.server_name == "one"
    assert shown(stocked, "child").parent == "web@1"
    assert shown(stocked, "web").parent is None
    stocked.services.servers.delete(OWNER, "one", is_volumes_deleted=True, is_forced=False)
    assert shown(stocked, "child").parent == "web@1"
    delete(stocked, "web@1")
    stocked.services.life.purge(OWNER, "web@1")
    assert shown(stocked, "child").parent == "web@1 (deleted)"


# --- retention --------------------------------------------------------------------------------------------------------


def apply(site, *, is_dry_run=False):
    found = site.services.retention.apply(OWNER, is_dry_run=is_dry_run)
    return [(verdict.template.reference, verdict.is_kept) for verdict in found]


def test_rules_delete_to_the_trash_what_they_let_go_and_nothing_else(stocked):
    for _ in range(3):
        capture_again(stocked)
    stocked.succeed(stocked.capture(name="db"))
    stocked.services.retention.set(OWNER, "w*", keep_last=2, keep_days=None)
    expected = [("web@4", True), ("web@3", True), ("web@2", False), ("web@1", False)]
    assert apply(stocked, is_dry_run=True) == expected
    assert listed(stocked) == ["db@1", "web@4", "web@3", "web@2", "web@1"]
    assert apply(stocked) == expected
    assert listed(stocked) == ["db@1", "web@4", "web@3"]
    assert listed(stocked, is_trashed=True) == ["web@2", "web@1"]
    assert shown(stocked, "web@2").template.trash.by == "retention rule w*"
    assert apply(stocked) == expected[:2]


def test_without_rules_nothing_is_judged(stocked):
    assert apply(stocked) == []


def test_a_rule_is_applied_from_time_to_time_and_age_keeps(stocked):
    capture_again(stocked)
    stocked.services.retention.set(OWNER, "web", keep_last=1, keep_days=3)
    pass_days(stocked, 2)
    assert listed(stocked) == ["web@2", "web@1"]
    pass_days(stocked, 2)
    assert (listed(stocked), listed(stocked, is_trashed=True)) == (["web@2"], ["web@1"])
    pass_days(stocked, 8)
    assert listed(stocked, is_trashed=True) == []


def test_what_is_protected_or_deployed_or_follows_another_is_kept_with_the_reason(stocked):
    for _ in range(5):
        capture_again(stocked)
    stocked.services.life.protect(OWNER, "web@1", is_protected=True)
    stocked.services.life.deprecate(OWNER, "web@3", successor="web@2")
    started = stocked.deploy("web@4", is_started=False)
    stocked.services.retention.set(OWNER, "web", keep_last=1, keep_days=None)
    whys = {
        verdict.template.reference: verdict.why for verdict in stocked.services.retention.apply(OWNER, is_dry_run=False)
    }
    assert whys["web@1"] == "protected"
    assert whys["web@2"] == "the successor of web@3"
    assert whys["web@4"] == f"in use by operation {started.id}"
    assert listed(stocked) == ["web@6", "web@4", "web@2", "web@1"]
    stocked.succeed(started)


def test_what_was_protected_since_it_was_judged_stays(stocked):
    """Between the verdict and the deed somebody protects it: seen in the transaction that would delete it."""
    capture_again(stocked)
    retention = stocked.services.retention
    retention.set(OWNER, "web", keep_last=1, keep_days=None)
    judged = [verdict for verdict in retention.apply(OWNER, is_dry_run=True) if not verdict.is_kept]
    stocked.services.life.protect(OWNER, "web@1", is_protected=True)
    (late,) = [retention.carry_out(verdict) for verdict in judged]
    assert late.is_kept
    assert "protected" in late.why
    assert listed(stocked) == ["web@2", "web@1"]


def test_where_there_is_no_trash_a_rule_purges(trashless):
    capture_again(trashless)
    trashless.services.retention.set(OWNER, "web", keep_last=1, keep_days=None)
    apply(trashless)
    assert listed(trashless) == ["web@2"]
    assert len(list(trashless.store.list_manifests())) == 1


def test_a_rule_that_cannot_be_is_refused_and_not_kept(site):
    with pytest.raises(errors.InvalidRequest):
        site.services.retention.set(OWNER, "web", keep_last=0, keep_days=None)
    with pytest.raises(errors.InvalidName):
        site.services.retention.set(OWNER, "Web", keep_last=1, keep_days=None)
    assert site.services.retention.list(OWNER) == []
    with pytest.raises(errors.RetentionRuleNotFound):
        site.services.retention.remove(OWNER, "web")
