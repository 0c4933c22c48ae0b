"""The contract of the repositories of accounts, people, keys, sign-ins, quotas and the audit log."""

from __future__ import annotations

import datetime
import threading
import uuid
from concurrent import futures

import pytest
import sqlalchemy as sa

from estampe import errors
from estampe.db import accounts, api_keys, audit, database, operations, people, quotas, schema, servers, sign_ins
from estampe.model import account, api_key, operation, quota, sign_in
from estampe.model import audit as audits
from estampe.model import server as server_model

NOON = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
DEFAULT = account.DEFAULT_ACCOUNT_ID
THREADS = 16


def later(seconds):
    return NOON + datetime.timedelta(seconds=seconds)


@pytest.fixture(params=["sqlite"])
def db(tmp_path):
    opened = database.Database.open(f"sqlite:///{tmp_path}/estampe.sqlite")
    opened.upgrade()
    yield opened
    opened.close()


def together(work, count=THREADS):
    barrier = threading.Barrier(count)

    def run(index):
        barrier.wait(30)
        try:
            return work(index)
        except errors.EstampeError as error:
            return error

    with futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.fixture
def acme(db):
    return accounts.Accounts(db).add(id=uuid.uuid4(), name="acme", created_at=NOON)


# --- accounts -----------------------------------------------------------------------------------------------------------


def test_the_default_account_is_active_and_knows_since_when(db):
    found = accounts.Accounts(db).get_default()
    assert found.state is account.State.ACTIVE
    assert found.created_at.tzinfo is datetime.UTC


def test_an_account_is_suspended_and_resumed(db, acme):
    rows = accounts.Accounts(db)
    assert rows.set_state(acme.id, account.State.SUSPENDED).state is account.State.SUSPENDED
    assert rows.resolve("acme").state is account.State.SUSPENDED
    assert rows.set_state(acme.id, account.State.ACTIVE) == acme


def test_a_name_is_one_accounts_even_when_many_want_it_at_once(db):
    made = together(lambda _: accounts.Accounts(db).add(id=uuid.uuid4(), name="acme", created_at=NOON))
    assert sum(isinstance(each, account.Account) for each in made) == 1
    assert {type(each) for each in made} == {account.Account, errors.NameInUse}


def test_a_removed_account_takes_what_is_its_own_along(db, acme):
    rows, ops = accounts.Accounts(db), operations.Operations(db)
    alice = _user(db, "alice")
    people.People(db).set_member(acme.id, "alice", account.Role.OWNER, is_new=True)
    _key(db, acme.id, user_id=alice.id)
    quotas.Quotas(db).edit(acme.id, {"servers": 1})
    ended = _operation(ops, acme.id)
    ops.finish(ended.id, operation.State.SUCCEEDED, result={}, at=NOON)
    assert rows.remove(acme.id) == [ended.id]
    with db.read() as connection:
        for table in (schema.memberships, schema.api_keys, schema.quotas, schema.operations):
            assert connection.execute(sa.select(table)).all() == []
    assert people.People(db).get("alice") == alice
    with pytest.raises(errors.AccountNotFound):
        rows.remove(acme.id)


def test_an_account_with_unfinished_work_stays(db, acme):
    _operation(operations.Operations(db), acme.id)
    with pytest.raises(errors.AccountInUse, match="1 unfinished operations"):
        accounts.Accounts(db).remove(acme.id)


# --- people -------------------------------------------------------------------------------------------------------------


def _user(db, name, password_hash=None, *, is_cloud_operator=False):
    return people.People(db).add(
        id=uuid.uuid4(), name=name, password_hash=password_hash, is_cloud_operator=is_cloud_operator, created_at=NOON
    )


def test_a_user_is_found_with_the_hash_and_shown_without(db):
    made = _user(db, "alice", "a hash")
    assert made.has_password
    assert people.People(db).find_secret("alice") == (made, "a hash")
    assert people.People(db).find_secret("bob") is None
    with pytest.raises(errors.NameInUse):
        _user(db, "alice")
    with pytest.raises(errors.InvalidName):
        _user(db, "No Body")


def test_a_new_password_revokes_what_was_signed_in_and_nothing_else(db, acme):
    alice = _user(db, "alice", "old")
    signed_in, programs = (_key(db, acme.id, user_id=alice.id, is_sign_in=each) for each in (True, False))
    people.People(db).set_password("alice", "new", at=later(5))
    revoked = {key.id: key.revoked_at for key in api_keys.ApiKeys(db).list(acme.id)}
    assert revoked == {signed_in.id: later(5), programs.id: None}


def test_memberships_are_listed_both_ways(db, acme):
    rows = people.People(db)
    alice, _bob = _user(db, "alice"), _user(db, "bob")
    for name in ("bob", "alice"):
        rows.set_member(acme.id, name, account.Role.VIEWER, is_new=True)
    rows.set_member(DEFAULT, "alice", account.Role.OWNER, is_new=True)
    assert [each.user for each in rows.list_members(acme.id)] == ["alice", "bob"]
    assert [(each.name, role) for each, role in rows.list_memberships(alice.id)] == [
        ("acme", account.Role.VIEWER), ("default", account.Role.OWNER),
    ]  # fmt: skip
    rows.remove("alice")
    assert [each.user for each in rows.list_members(acme.id)] == ["bob"]


# --- API keys -----------------------------------------------------------------------------------------------------------


def _key(db, account_id, *, user_id=None, is_sign_in=False, created_at=NOON, expires_at=None):
    new = api_key.ApiKey(
        id=uuid.uuid4(), account_id=account_id, user_id=user_id, name="ci", role=account.Role.OPERATOR,
        is_cloud_operator=False, is_sign_in=is_sign_in, created_by="x", created_at=created_at, expires_at=expires_at,
        revoked_at=None, last_used_at=None,
    )  # fmt: skip
    return api_keys.ApiKeys(db).add(new, secret_digest="digest")


def test_a_key_is_found_with_all_that_decides_what_it_may(db, acme):
    rows, alice = api_keys.ApiKeys(db), _user(db, "alice")
    own, hers = _key(db, acme.id), _key(db, acme.id, user_id=alice.id)
    found = rows.find(own.id)
    assert (found.key, found.account, found.user, found.user_role, found.secret_digest) == (
        own,
        acme,
        None,
        None,
        "digest",
    )
    assert (rows.find(hers.id).user, rows.find(hers.id).user_role) == ("alice", None)
    people.People(db).set_member(DEFAULT, "alice", account.Role.OWNER, is_new=True)  # of another account
    assert rows.find(hers.id).user_role is None
    people.People(db).set_member(acme.id, "alice", account.Role.VIEWER, is_new=True)
    assert rows.find(hers.id).user_role is account.Role.VIEWER
    assert rows.find(uuid.uuid4()) is None


def test_a_key_is_revoked_once(db, acme):
    rows, made = api_keys.ApiKeys(db), _key(db, acme.id)
    assert rows.revoke(made.id, at=later(1)).revoked_at == later(1)
    assert rows.revoke(made.id, at=later(2)).revoked_at == later(1)
    with pytest.raises(errors.ApiKeyNotFound):
        rows.revoke(uuid.uuid4(), at=NOON)


def test_keys_are_listed_newest_first_and_old_dead_ones_are_dropped(db, acme):
    rows = api_keys.ApiKeys(db)
    live, expired, revoked = (
        _key(db, acme.id, created_at=later(nth), expires_at=at) for nth, at in ((0, None), (1, later(5)), (2, None))
    )
    rows.revoke(revoked.id, at=later(9))
    assert [key.id for key in rows.list(acme.id)] == [revoked.id, expired.id, live.id]
    assert rows.list(DEFAULT) == []
    assert rows.prune(older_than=later(9)) == 1
    assert rows.prune(older_than=later(10)) == 1
    assert [key.id for key in rows.list(acme.id)] == [live.id]


# --- sign-ins -----------------------------------------------------------------------------------------------------------


def test_guesses_that_arrive_at_once_do_not_overtake_the_count(db):
    rows = sign_ins.SignIns(db)
    found = together(lambda _: rows.begin(["name:alice"], at=NOON))
    assert sum(each is None for each in found) == sign_in.NAME_POLICY.limit
    assert sum(isinstance(each, errors.SignInLocked) for each in found) == THREADS - sign_in.NAME_POLICY.limit


def test_names_that_are_tried_without_end_do_not_stay(db):
    rows = sign_ins.SignIns(db)
    for nth in range(20):
        rows.begin([f"name:{nth}"], at=NOON)
    rows.begin(["name:last"], at=NOON + sign_in.LONGEST_WINDOW)
    with db.read() as connection:
        assert connection.execute(sa.select(schema.sign_in_failures.c.key)).scalars().all() == ["name:last"]


# --- quotas -------------------------------------------------------------------------------------------------------------


def _operation(rows, account_id, *, locks=(), **amount):
    demand = quotas.Demand(amount=quota.Amount(**amount)) if amount else None
    return rows.add(
        id=uuid.uuid4(), owner_id=account_id, kind=operation.Kind.DEPLOY, subject="x", request={}, locks=locks,
        demand=demand, created_at=NOON,
    )  # fmt: skip


def test_limits_are_changed_one_by_one(db, acme):
    rows = quotas.Quotas(db)
    assert rows.get(acme.id) == quota.Quota()
    rows.edit(acme.id, {"servers": 3, "volume_bytes": 1 << 50})
    assert rows.edit(acme.id, {"servers": None, "cpus": 0}) == quota.Quota(cpus=0, volume_bytes=1 << 50)
    assert rows.get(acme.id) == quota.Quota(cpus=0, volume_bytes=1 << 50)


def test_what_operations_will_add_is_reserved_until_they_end(db, acme):
    rows, counts = operations.Operations(db), quotas.Quotas(db)
    first, second = _operation(rows, acme.id, servers=2, memory_bytes=1 << 40), _operation(rows, acme.id, servers=1)
    assert counts.used(acme.id) == quota.Amount(servers=3, memory_bytes=1 << 40)
    assert counts.used(DEFAULT) == quota.Amount()
    rows.finish(first.id, operation.State.FAILED, error={}, at=NOON)
    rows.request_cancel(second.id, at=NOON)
    assert counts.used(acme.id) == quota.Amount()


def test_servers_count_but_for_those_in_the_making_and_those_that_are_gone(db, acme):
    rows, counts = servers.Servers(db, clock=lambda: NOON), quotas.Quotas(db)
    made = [
        rows.add(
            server_model.Server(
                id=uuid.uuid4(), owner_id=acme.id, domain_uuid=uuid.uuid4(), name=name, template_id=None, created_at=NOON,
                cpus=2, memory_bytes=10, volume_bytes=volume_bytes,
            )
        )
        for name, volume_bytes in (("a", 100), ("b", None), ("c%", 100))
    ]  # fmt: skip
    assert counts.used(acme.id) == quota.Amount(servers=3, cpus=6, memory_bytes=30, volume_bytes=200)
    assert counts.used(acme.id, absent=frozenset([made[0].id])).servers == 2
    _operation(
        operations.Operations(db), acme.id, servers=1, locks=[operations.Lock("server-name/c%", is_exclusive=True)]
    )
    assert counts.used(acme.id) == quota.Amount(servers=3, cpus=4, memory_bytes=20, volume_bytes=100)
    rows.measure([server_model.Size(server_id=made[1].id, cpus=4, memory_bytes=1, volume_bytes=7)])
    assert counts.used(acme.id).volume_bytes == 107
    rows.assign(made[0].id, DEFAULT)
    assert counts.used(DEFAULT).servers == 1


def test_operations_that_begin_at_once_do_not_share_the_last_of_something(db, acme):
    quotas.Quotas(db).edit(acme.id, {"cpus": 10})
    found = together(lambda _: _operation(operations.Operations(db), acme.id, cpus=3))
    assert sum(isinstance(each, operation.Operation) for each in found) == 3
    assert {type(each) for each in found} == {operation.Operation, errors.QuotaExceeded}
    assert quotas.Quotas(db).used(acme.id).cpus == 9


def test_a_refused_operation_leaves_neither_row_nor_lock(db, acme):
    quotas.Quotas(db).edit(acme.id, {"cpus": 0})
    rows = operations.Operations(db)
    with pytest.raises(errors.QuotaExceeded, match="1 asked, 0 of 0 used"):
        _operation(rows, acme.id, cpus=1, locks=[operations.Lock("server/x", is_exclusive=True)])
    assert rows.locks_held() == []
    assert rows.list(acme.id) == []


# --- operations of one account ------------------------------------------------------------------------------------------


def test_the_beginning_of_an_id_is_looked_for_among_the_accounts_own(db, acme):
    rows = operations.Operations(db)
    ids = [uuid.UUID(f"3f0c0c14-5a4e-4d53-9d6f-5a3c5b1c7e1{end}") for end in "0f"]
    for made, owner in zip(ids, (acme.id, DEFAULT), strict=True):
        rows.add(id=made, owner_id=owner, kind=operation.Kind.CHECK, subject="x", request={}, created_at=NOON)
    assert rows.get("3f0c", owner_id=acme.id).id == ids[0]
    with pytest.raises(errors.OperationNotFound):
        rows.get("3f0c", owner_id=uuid.uuid4())
    with pytest.raises(errors.AmbiguousId):
        rows.get("3f0c")


# --- the audit log ------------------------------------------------------------------------------------------------------


def _entry(rows, **facts):
    given = {
        "id": uuid.uuid4(), "at": NOON, "account_id": DEFAULT, "account": "default", "actor": "uid 0",
        "action": "start_server", "subject": "web", "address": "unix", "outcome": audits.Outcome.DONE, "code": None,
        "request_id": None,
    }  # fmt: skip
    entry = audits.Entry(**{**given, **facts})
    rows.add(entry)
    return entry


def test_entries_are_found_by_account_actor_action_and_time(db, acme):
    rows = audit.Audit(db)
    first = _entry(rows, account_id=acme.id, actor="alice", request_id="r", code="x", outcome=audits.Outcome.REFUSED)
    by_key = _entry(rows, at=later(1), actor="alice (key 1a2b3c4d)", action="delete_server")
    other = _entry(rows, at=later(2), actor="alice2", account_id=None, account="")
    assert rows.list() == [other, by_key, first]
    assert rows.list(account_id=acme.id) == [first]
    assert rows.list(actor="alice") == [by_key, first]
    assert rows.list(action="delete_server") == [by_key]
    assert rows.list(since=later(1), until=later(2)) == [by_key]


def test_pages_of_entries_meet_without_gap_or_double(db):
    rows = audit.Audit(db)
    for nth in range(7):
        _entry(rows, at=later(nth // 3))
    everything = rows.list()
    pages, after = [], None
    while page := rows.list(limit=2, after=after):
        pages += page
        after = page[-1].id
    assert pages == everything


def test_a_page_behind_what_may_not_be_seen_is_empty_as_behind_what_is_not_there(db, acme):
    rows = audit.Audit(db)
    foreign, _own = _entry(rows, at=later(5)), _entry(rows, account_id=acme.id)
    for after in (foreign.id, uuid.uuid4()):
        assert rows.list(account_id=acme.id, after=after) == []


def test_only_old_entries_are_dropped(db):
    rows = audit.Audit(db)
    _entry(rows)
    fresh = _entry(rows, at=later(10))
    assert rows.prune(older_than=later(10)) == 1
    assert rows.list() == [fresh]
