"""Accounts, members and quotas, over a whole installation on a fake host."""

from __future__ import annotations

import threading
import uuid
from concurrent import futures

import pytest
import site_under_test

from estampe import errors
from estampe.capture import request as capture
from estampe.deploy import request as deploy
from estampe.jobs import locks
from estampe.model import account, operation, quota

SIZE = site_under_test.SIZE
DEFAULT = account.DEFAULT_ACCOUNT_ID


@pytest.fixture
def acme(site: site_under_test.Site) -> account.Account:
    return site.services.accounts.create("acme")


def _assigned(site: site_under_test.Site, of: account.Account, name: str = "web") -> str:
    uuid_text = site.add_server(name)
    site.services.servers.assign(name, of.id)
    return uuid_text


def _capture(site: site_under_test.Site, of: account.Account, server: str = "web") -> operation.Operation:
    request = capture.CaptureRequest(server=server, is_sealed=False)
    return site.services.captures.start(of.id, request)


def _deploy(
    site: site_under_test.Site, of: account.Account, name: str = "new", **wishes: object
) -> operation.Operation:
    request = deploy.DeployRequest(template="web", name=name, **wishes)
    return site.services.deployments.start(of.id, request)


def _outcome(site: site_under_test.Site, started: operation.Operation) -> operation.Operation:
    site.run()
    return site.services.operations.get(started.owner_id, str(started.id))


@pytest.fixture
def template(site: site_under_test.Site, acme: account.Account) -> None:
    _assigned(site, acme)
    assert _outcome(site, _capture(site, acme)).state is operation.State.SUCCEEDED


# --- servers ----------------------------------------------------------------------------------------------------------


def test_a_domain_that_nobody_was_assigned_belongs_to_the_default_account_whoever_looks_first(
    site: site_under_test.Site, acme: account.Account
) -> None:
    site.add_server("web")
    assert site.services.servers.list(acme.id) == []
    with pytest.raises(errors.ServerNotFound):
        site.services.servers.get(acme.id, "web")
    with pytest.raises(errors.ServerNotFound):
        _capture(site, acme)
    assert [each.name for each in site.services.servers.list(DEFAULT)] == ["web"]


def test_an_assigned_server_is_its_accounts_alone(site: site_under_test.Site, acme: account.Account) -> None:
    _assigned(site, acme)
    assert [each.name for each in site.services.servers.list(acme.id)] == ["web"]
    assert site.services.servers.list(DEFAULT) == []
    for call in (site.services.servers.get, site.services.servers.start):
        with pytest.raises(errors.ServerNotFound):
            call(DEFAULT, "web")
    site.services.servers.assign("web", DEFAULT)
    assert site.services.servers.list(acme.id) == []


def test_a_server_is_not_assigned_while_an_operation_holds_it(
    site: site_under_test.Site, acme: account.Account
) -> None:
    site.add_server("web")
    site.capture("web")
    with pytest.raises(errors.ServerBusy):
        site.services.servers.assign("web", acme.id)
    with pytest.raises(errors.ServerNotFound):
        site.services.servers.assign("no-such", acme.id)


@pytest.mark.usefixtures("template")
def test_a_deploy_makes_servers_of_its_account(site: site_under_test.Site, acme: account.Account) -> None:
    assert _outcome(site, _deploy(site, acme)).state is operation.State.SUCCEEDED
    assert {each.name for each in site.services.servers.list(acme.id)} == {"web", "new"}
    assert site.services.servers.list(DEFAULT) == []


@pytest.mark.usefixtures("template")
def test_a_name_that_another_accounts_deploy_takes_is_told_without_that_operation(
    site: site_under_test.Site, acme: account.Account
) -> None:
    site.add_server("src")
    site.succeed(site.capture("src", name="web"))
    theirs = _deploy(site, acme)
    with pytest.raises(errors.NameInUse) as caught:
        site.deploy("web", "new")
    assert str(theirs.id) not in str(caught.value)
    with pytest.raises(errors.NameInUse, match=str(theirs.id)):
        _deploy(site, acme)


def test_the_first_digits_of_an_id_say_nothing_of_other_accounts(
    site: site_under_test.Site, acme: account.Account
) -> None:
    _assigned(site, acme)
    theirs = _capture(site, acme)
    for length in (1, 8, 36):
        with pytest.raises(errors.OperationNotFound):
            site.services.operations.get(DEFAULT, str(theirs.id)[:length])


# --- accounts ---------------------------------------------------------------------------------------------------------


def test_an_account_is_found_by_name_and_id_and_its_name_is_its_own(
    site: site_under_test.Site, acme: account.Account
) -> None:
    accounts = site.services.accounts
    assert accounts.resolve("acme") == accounts.resolve(str(acme.id)) == acme
    assert [each.name for each in accounts.list()] == ["acme", "default"]
    with pytest.raises(errors.NameInUse):
        accounts.create("acme")
    for name in ("", "Acme", "a b", "-a", "a" * 64):
        with pytest.raises(errors.InvalidName):
            accounts.create(name)


def test_the_default_account_can_be_neither_suspended_nor_deleted(site: site_under_test.Site) -> None:
    for call in (site.services.accounts.suspend, site.services.accounts.delete):
        with pytest.raises(errors.AccountBuiltIn):
            call(DEFAULT)


@pytest.mark.usefixtures("template")
def test_an_account_that_has_something_is_not_deleted(site: site_under_test.Site, acme: account.Account) -> None:
    with pytest.raises(errors.AccountInUse, match="1 templates, 1 servers"):
        site.services.accounts.delete(acme.id)
    site.services.templates.delete(acme.id, "web")
    site.services.servers.assign("web", DEFAULT)
    queued = _capture(site, site.services.accounts.resolve("default"))
    site.services.people.add_user("alice", password=None, is_cloud_operator=False)
    site.services.people.add_member(acme.id, "alice", account.Role.OWNER)
    site.services.accounts.delete(acme.id)
    with pytest.raises(errors.AccountNotFound):
        site.services.accounts.resolve("acme")
    assert site.services.people.list_members(acme.id) == []
    assert [each.id for each in site.installation.rows.list_unfinished()] == [queued.id]


def test_a_server_that_the_host_has_no_more_keeps_no_account(site: site_under_test.Site, acme: account.Account) -> None:
    uuid_text = _assigned(site, acme)
    site.host.undefine(uuid_text)
    site.services.accounts.delete(acme.id)


def test_members_are_added_changed_and_removed(site: site_under_test.Site, acme: account.Account) -> None:
    people = site.services.people
    people.add_user("alice", password=None, is_cloud_operator=False)
    with pytest.raises(errors.UserNotFound):
        people.add_member(acme.id, "bob", account.Role.VIEWER)
    people.add_member(acme.id, "alice", account.Role.VIEWER)
    with pytest.raises(errors.NameInUse):
        people.add_member(acme.id, "alice", account.Role.OWNER)
    assert people.set_role(acme.id, "alice", account.Role.OWNER).role is account.Role.OWNER
    assert [(each.user, each.role) for each in people.list_members(acme.id)] == [("alice", account.Role.OWNER)]
    people.remove_member(acme.id, "alice")
    for call in (
        lambda: people.remove_member(acme.id, "alice"),
        lambda: people.set_role(acme.id, "x", account.Role.OWNER),
    ):
        with pytest.raises(errors.MemberNotFound, match="acme"):
            call()


# --- quotas -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("template")
def test_what_an_account_has_is_counted_by_the_host(site: site_under_test.Site, acme: account.Account) -> None:
    used = site.services.accounts.quota(acme.id).used
    summary = site.services.servers.list(acme.id)[0]
    stored = site.services.templates.get(acme.id, "web").template.new_bytes
    assert used == quota.Amount(
        templates=1, stored_bytes=stored, servers=1, cpus=summary.cpus, memory_bytes=summary.memory_bytes,
        volume_bytes=SIZE,
    )  # fmt: skip


@pytest.mark.usefixtures("template")
def test_a_server_that_the_host_has_no_more_is_not_counted(site: site_under_test.Site, acme: account.Account) -> None:
    site.host.undefine(site.services.servers.list(acme.id)[0].domain_uuid.__str__())
    used = site.services.accounts.quota(acme.id).used
    assert (used.servers, used.cpus, used.memory_bytes, used.volume_bytes) == (0, 0, 0, 0)


@pytest.mark.usefixtures("template")
@pytest.mark.parametrize(
    ("limits", "what"),
    [
        ({"servers": 2}, "servers"),
        ({"cpus": 3}, "CPUs"),
        ({"memory_bytes": 3 * 1024**3}, "memory"),
        ({"volume_bytes": 2 * SIZE}, "volume bytes"),
    ],
)
def test_a_deploy_above_a_quota_is_refused_with_the_figure(
    site: site_under_test.Site, acme: account.Account, limits: dict[str, int], what: str
) -> None:
    site.services.accounts.set_quota(acme.id, limits)
    with pytest.raises(errors.QuotaExceeded) as caught:
        _deploy(site, acme, count=4, cpus=1, memory_bytes=1024**3)
    assert caught.value.facts["what"] == what
    assert site.services.operations.list(acme.id, states=(operation.State.QUEUED,), kind=None, limit=9) == []
    site.services.accounts.set_quota(acme.id, dict.fromkeys(limits))
    _deploy(site, acme, count=4, cpus=1, memory_bytes=1024**3)


@pytest.mark.usefixtures("template")
def test_a_deploy_counts_once_before_during_and_after(site: site_under_test.Site, acme: account.Account) -> None:
    def servers() -> int:
        return site.services.accounts.quota(acme.id).used.servers

    started = _deploy(site, acme, count=2)
    assert servers() == 3
    site.kill_at("confirm", "begin")
    assert not site.engine.run_pending()
    assert len(site.services.servers.list(acme.id)) == 3
    assert servers() == 3
    site.restart()
    assert _outcome(site, started).state is operation.State.SUCCEEDED
    assert servers() == 3


@pytest.mark.usefixtures("template")
def test_a_deploy_that_is_cancelled_gives_its_room_back(site: site_under_test.Site, acme: account.Account) -> None:
    site.services.accounts.set_quota(acme.id, {"servers": 2})
    site.services.operations.cancel(acme.id, str(_deploy(site, acme).id))
    _deploy(site, acme, "other")


def test_a_capture_above_the_quota_of_templates_is_refused(site: site_under_test.Site, acme: account.Account) -> None:
    for name in ("web", "db"):
        _assigned(site, acme, name)
    site.services.accounts.set_quota(acme.id, {"templates": 1})
    first = _capture(site, acme)
    with pytest.raises(errors.QuotaExceeded, match="quota of templates: 1 asked, 1 of 1 used"):
        _capture(site, acme, "db")
    assert _outcome(site, first).state is operation.State.SUCCEEDED
    with pytest.raises(errors.QuotaExceeded):
        _capture(site, acme, "db")
    site.services.templates.delete(acme.id, "web")
    _capture(site, acme, "db")


@pytest.mark.usefixtures("template")
def test_a_capture_needs_room_for_its_bytes_though_it_cannot_say_how_many(
    site: site_under_test.Site, acme: account.Account
) -> None:
    stored = site.services.accounts.quota(acme.id).used.stored_bytes
    site.services.accounts.set_quota(acme.id, {"stored_bytes": stored})
    with pytest.raises(errors.QuotaExceeded, match="stored bytes"):
        _capture(site, acme)
    site.services.accounts.set_quota(acme.id, {"stored_bytes": stored + 1})
    _capture(site, acme)


@pytest.mark.usefixtures("template")
def test_deploys_that_begin_at_once_do_not_share_the_last_of_something(
    site: site_under_test.Site, acme: account.Account
) -> None:
    site.services.accounts.set_quota(acme.id, {"servers": 4})
    barrier = threading.Barrier(12)

    def begin(nth: int) -> bool:
        barrier.wait(30)
        try:
            return bool(_deploy(site, acme, f"new-{nth}"))
        except errors.QuotaExceeded:
            return False

    with futures.ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(begin, range(12))) == 3


def test_quotas_leave_out_servers_by_the_locks_of_their_names() -> None:
    from estampe.db import quotas

    assert locks.server_name("x") == f"{quotas._SERVER_NAME}x"


@pytest.mark.parametrize("name", quota.NAMES)
def test_a_limit_is_reached_and_not_passed(name: str) -> None:
    limits, used = quota.Quota(**{name: 10}), quota.Amount(**{name: 7})
    quota.check(limits, used=used, asked=quota.Amount(**{name: 3}))
    with pytest.raises(errors.QuotaExceeded):
        quota.check(limits, used=used, asked=quota.Amount(**{name: 4}))


def test_above_a_lowered_limit_the_rest_still_works() -> None:
    quota.check(quota.Quota(servers=1), used=quota.Amount(servers=5), asked=quota.Amount(templates=1))


def test_an_account_that_was_given_no_quota_has_no_limits(site: site_under_test.Site, acme: account.Account) -> None:
    assert not site.services.accounts.quota(acme.id).limits.is_limited
    with pytest.raises(errors.AccountNotFound):
        site.services.accounts.quota(uuid.uuid4())
