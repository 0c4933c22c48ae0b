"""The contract of the repositories of accounts, people, keys, sign-ins, quotas and the audit log."""

from __future__ import annotations

import dataclasses
import datetime
import threading
import uuid
from concurrent import futures

import pytest
import sqlalchemy as sa

from estampe import errors
from estampe.db import (
    accounts,
    api_keys,
    audit,
    database,
    idempotency,
    operations,
    people,
    quotas,
    retention,
    schema,
    servers,
    sign_ins,
    template_moves,
    templates,
)
from estampe.db import oidc as oidc_rows
from estampe.db import sessions as session_rows
from estampe.model import access, account, api_key, listing, oidc, operation, quota, sign_in, template
from estampe.model import audit as audits
from estampe.model import retention as retentions
from estampe.model import server as server_model
from estampe.model import session as sessions

NOON = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
DEFAULT = account.DEFAULT_ACCOUNT_ID
THREADS = 16


def later(seconds):
    return NOON + datetime.timedelta(seconds=seconds)


@pytest.fixture
def db(migrated_url):
    opened = database.Database.open(migrated_url)
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
    revoked = {key.id: key.revoked_at for key in _keys(db, acme)}
    assert revoked == {signed_in.id: later(5), programs.id: None}


def test_memberships_are_listed_both_ways(db, acme):
    rows = people.People(db)
    alice, _bob = _user(db, "alice"), _user(db, "bob")
    for name in ("bob", "alice"):
        rows.set_member(acme.id, name, account.Role.VIEWER, is_new=True)
    rows.set_member(DEFAULT, "alice", account.Role.OWNER, is_new=True)
    assert [each.user for each in rows.list_members(acme.id).items] == ["alice", "bob"]
    assert [(each.name, role) for each, role in rows.list_memberships(alice.id)] == [
        ("acme", account.Role.VIEWER), ("default", account.Role.OWNER),
    ]  # fmt: skip
    rows.remove("alice")
    assert [each.user for each in rows.list_members(acme.id).items] == ["bob"]


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
    assert [key.id for key in _keys(db, acme)] == [revoked.id, expired.id, live.id]
    assert _keys(db, accounts.Accounts(db).get_default()) == []
    assert rows.prune(older_than=later(9)) == 1
    assert rows.prune(older_than=later(10)) == 1
    assert [key.id for key in _keys(db, acme)] == [live.id]


# --- sign-ins -----------------------------------------------------------------------------------------------------------


def test_guesses_that_arrive_at_once_do_not_overtake_the_count(db):
    rows = sign_ins.SignIns(db)
    found = together(lambda _: rows.begin(["pair:alice@x"], at=NOON))
    assert sum(each is None for each in found) == sign_in.policy_of("pair:").limit
    assert sum(isinstance(each, errors.SignInLocked) for each in found) == THREADS - sign_in.policy_of("pair:").limit


def test_names_that_are_tried_without_end_do_not_stay(db):
    rows = sign_ins.SignIns(db)
    for nth in range(20):
        rows.begin([f"name:{nth}"], at=NOON)
    rows.begin(["name:last"], at=NOON + sign_in.LONGEST_WINDOW)
    with db.read() as connection:
        assert connection.execute(sa.select(schema.sign_in_failures.c.key)).scalars().all() == ["name:last"]


# --- browsers' sessions, and people of an OpenID provider -----------------------------------------------------------------

HOUR = datetime.timedelta(hours=1)


def _opened(db, account_id, name="alice", *, at=NOON, replaces=None):
    user = people.People(db).find_secret(name)[0]
    new = sessions.Session(
        id=uuid.uuid4(), account_id=account_id, user_id=user.id, user=name, method=sessions.Method.OIDC,
        address="192.0.2.7", agent="x", created_at=at, last_seen_at=at, expires_at=at + 12 * HOUR,
    )  # fmt: skip
    session_rows.Sessions(db).add(new, token_digest=new.id.hex, replaces=replaces, idle=HOUR)
    return new


@pytest.fixture
def alice(db, acme):
    rows = people.People(db)
    rows.add(id=uuid.uuid4(), name="alice", password_hash=None, is_cloud_operator=False, created_at=NOON)
    rows.set_member(acme.id, "alice", account.Role.OWNER, is_new=True)
    return rows.find_secret("alice")[0]


def test_a_session_is_found_listed_touched_and_ended(db, acme, alice):
    rows = session_rows.Sessions(db)
    opened = _opened(db, acme.id)
    actor = access.Actor(
        name="alice", account=acme, role=account.Role.VIEWER, is_cloud_operator=False, address="x", user_id=alice.id
    )
    found = rows.find(opened.id.hex)
    assert (found.session, found.account, found.user_role) == (opened, acme, account.Role.OWNER)
    assert rows.find("another") is None
    query = listing.SessionQuery(user_glob="al*", method=sessions.Method.OIDC)
    assert rows.list(actor, query, at=NOON, idle=HOUR).items == [opened]
    assert rows.list(actor, at=NOON + HOUR, idle=HOUR).items == []
    rows.touch(opened.id, at=NOON + HOUR / 2)
    assert rows.find_named(actor, opened.id.hex[:8], at=NOON + HOUR, idle=HOUR)[0].last_seen_at == NOON + HOUR / 2
    rows.end(opened.id)
    with pytest.raises(errors.SessionNotFound):
        rows.end(opened.id)


def test_a_session_replaces_another_and_those_that_are_over_go(db, acme, alice):
    rows = session_rows.Sessions(db)
    first = _opened(db, acme.id)
    second = _opened(db, acme.id, replaces=first.id.hex)
    assert rows.find(first.id.hex) is None
    _opened(db, acme.id, at=NOON + HOUR)
    assert rows.find(second.id.hex) is None
    people.People(db).set_password("alice", "hash", at=NOON)
    assert rows.end_all(acme.id) == 0


def _attempt(**changes):
    return dataclasses.replace(
        oidc.Attempt.begin(redirect_uri="https://x/", next="/", account=None, is_for_command=False, now=NOON), **changes
    )


def test_an_attempt_is_taken_once_even_at_once_and_only_by_who_began(db):
    rows = oidc_rows.Attempts(db)
    begun = _attempt()
    rows.add(begun, at=NOON)
    found = together(lambda _: rows.take(begun.state, begun.binding, is_for_command=False, at=NOON))
    assert [each.nonce for each in found if each is not None] == [begun.nonce]
    for given in ({"binding": "x"}, {"is_for_command": True}, {"at": NOON + oidc.LIFE}):
        begun = _attempt()
        rows.add(begun, at=NOON)
        wanted = {"binding": begun.binding, "is_for_command": False, "at": NOON, **given}
        assert rows.take(begun.state, wanted.pop("binding"), **wanted) is None


def test_attempts_without_end_push_the_oldest_out(db):
    rows = oidc_rows.Attempts(db, most=3)
    begun = [_attempt(expires_at=later(nth + 1)) for nth in range(5)]
    for each in begun:
        rows.add(each, at=NOON)
    taken = [rows.take(each.state, each.binding, is_for_command=False, at=NOON) for each in begun]
    assert [each is not None for each in taken] == [False, False, True, True, True]


def test_a_person_is_admitted_once_by_name_and_then_by_subject(db, acme, alice):
    rows = oidc_rows.Identities(db)
    person = oidc.Person(issuer="https://idp", subject="s-1", name="alice")
    assert rows.admit(person, new_id=None, at=NOON) == alice
    assert rows.admit(dataclasses.replace(person, name="root"), new_id=None, at=NOON) == alice
    assert rows.admit(dataclasses.replace(person, subject="s-2"), new_id=uuid.uuid4(), at=NOON) is None
    stranger = oidc.Person(issuer="https://idp", subject="s-3", name="carol")
    assert rows.admit(stranger, new_id=None, at=NOON) is None
    found = [each for each in together(lambda _: rows.admit(stranger, new_id=uuid.uuid4(), at=NOON)) if each]
    assert len({each.id for each in found}) == 1
    assert rows.set_roles(found[0].id, {"acme": account.Role.VIEWER, "no-such": None}) == ["no-such"]
    assert people.People(db).list_memberships(found[0].id) == [(acme, account.Role.VIEWER)]
    rows.set_roles(found[0].id, {"acme": None})
    assert people.People(db).list_memberships(found[0].id) == []


def test_a_place_is_known_for_thirty_days(db, alice):
    rows = sign_ins.SignIns(db)
    assert len(rows.begin_password("alice", "192.0.2.7", at=NOON)) == 3
    rows.note_place(alice.id, "192.0.2.7", at=NOON)
    rows.note_place(alice.id, "192.0.2.7", at=later(1))
    assert len(rows.begin_password("alice", "192.0.2.7", at=later(2))) == 2
    assert len(rows.begin_password("alice", "192.0.2.7", at=later(1) + sign_in.PLACE_LIFE)) == 3


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


def test_a_server_that_is_being_captured_counts_though_its_name_is_locked(db, acme):
    servers.Servers(db, clock=lambda: NOON).add(
        server_model.Server(
            id=uuid.uuid4(), owner_id=acme.id, domain_uuid=uuid.uuid4(), name="web", template_id=None, created_at=NOON,
            cpus=2,
        )
    )  # fmt: skip
    operations.Operations(db).add(
        id=uuid.uuid4(), owner_id=acme.id, kind=operation.Kind.CAPTURE, subject="web", request={}, created_at=NOON,
        locks=[operations.Lock("server-name/web", is_exclusive=True)],
        demand=quotas.Demand(amount=quota.Amount(templates=1)),
    )  # fmt: skip
    assert quotas.Quotas(db).used(acme.id) == quota.Amount(servers=1, cpus=2, templates=1)


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
    assert rows.list(acme.id).items == []


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
    assert rows.list().items == [other, by_key, first]
    assert rows.list(listing.AuditQuery(account_id=acme.id)).items == [first]
    assert rows.list(listing.AuditQuery(actor="alice")).items == [by_key, first]
    assert rows.list(listing.AuditQuery(action="delete_server")).items == [by_key]
    assert rows.list(listing.AuditQuery(since=later(1), until=later(2))).items == [by_key]


@pytest.mark.parametrize("sort", list(listing.AuditSort))
def test_pages_of_entries_meet_without_gap_or_double(db, sort):
    rows = audit.Audit(db)
    for nth in range(7):
        _entry(rows, at=later(nth // 3))
    everything = rows.list(listing.AuditQuery(sort=sort)).items
    assert [each.at for each in everything] == sorted(
        (each.at for each in everything), reverse=sort is listing.AuditSort.AT_DESCENDING
    )
    assert _paged(lambda after: rows.list(listing.AuditQuery(sort=sort, limit=2, after=after))) == everything


def test_a_cursor_tells_nothing_of_entries_that_may_not_be_seen(db, acme):
    """A page behind a foreign entry is what is older of one's own, be that entry there or not."""
    rows = audit.Audit(db)
    own, _foreign = _entry(rows, account_id=acme.id), _entry(rows, at=later(5))
    _entry(rows, at=later(9), account_id=acme.id)
    behind = rows.list(listing.AuditQuery(limit=2)).next
    assert rows.list(listing.AuditQuery(account_id=acme.id, after=behind)).items == [own]


def test_entries_are_found_by_subject_and_outcome(db):
    rows = audit.Audit(db)
    refused = _entry(rows, subject="web-01", outcome=audits.Outcome.REFUSED)
    done = _entry(rows, subject="web_01")
    assert rows.list(listing.AuditQuery(subject_glob="web_*")).items == [done]
    assert rows.list(listing.AuditQuery(outcome=audits.Outcome.REFUSED)).items == [refused]


@pytest.mark.parametrize("sort", list(listing.AccountSort))
def test_pages_of_accounts_meet_in_every_order(db, sort):
    rows = accounts.Accounts(db)
    for nth in range(5):
        rows.add(id=uuid.uuid4(), name=f"a{nth}", created_at=later(nth // 2))
    found = _paged(lambda after: rows.list(listing.AccountQuery(sort=sort, limit=2, after=after)))
    assert found == rows.list(listing.AccountQuery(sort=sort)).items
    assert len(found) == 6


def test_accounts_are_found_by_name_state_and_alone(db, acme):
    rows = accounts.Accounts(db)
    rows.set_state(acme.id, account.State.SUSPENDED)
    for query in (
        listing.AccountQuery(name_glob="a*"), listing.AccountQuery(states=(account.State.SUSPENDED,)),
        listing.AccountQuery(only_id=acme.id),
    ):  # fmt: skip
        assert [each.name for each in rows.list(query).items] == ["acme"]


@pytest.mark.parametrize("sort", list(listing.NameSort))
def test_pages_of_users_and_members_meet_in_both_orders(db, acme, sort):
    rows = people.People(db)
    for name in ("cy", "al", "bo"):
        rows.add(id=uuid.uuid4(), name=name, password_hash=None, is_cloud_operator=name == "cy", created_at=NOON)
        rows.set_member(acme.id, name, account.Role.OWNER if name == "bo" else account.Role.VIEWER, is_new=True)
    names = sorted(("al", "bo", "cy"), reverse=sort is listing.NameSort.NAME_DESCENDING)
    users = _paged(lambda after: rows.list(listing.UserQuery(sort=sort, limit=1, after=after)))
    members = _paged(lambda after: rows.list_members(acme.id, listing.MemberQuery(sort=sort, limit=1, after=after)))
    assert [each.name for each in users] == [each.user for each in members] == names
    assert [each.name for each in rows.list(listing.UserQuery(is_cloud_operator=True)).items] == ["cy"]
    owners = listing.MemberQuery(roles=(account.Role.OWNER,), name_glob="b?")
    assert [each.user for each in rows.list_members(acme.id, owners).items] == ["bo"]


def test_what_belongs_to_the_account_alone_goes_with_it_and_its_trash_keeps_it(db, acme):
    rules, keys, rows = retention.Rules(db), idempotency.Keys(db), accounts.Accounts(db)
    rules.set(retentions.Rule(owner_id=acme.id, pattern="ci-*", keep_last=1, keep_days=None))
    keys.claim(acme.id, "k", fingerprint="f", operation_id=uuid.uuid4(), at=NOON, lifetime=datetime.timedelta(hours=1))
    kept = templates.Templates(db)
    made = kept.reserve(
        id=uuid.uuid4(), owner_id=acme.id, name="web", note="", tags=(), server_id=uuid.uuid4(), server_name="web",
        created_at=NOON,
    )  # fmt: skip
    kept.publish(made.id, logical_bytes=9, data_bytes=8, new_bytes=7, is_sealed=True, guest_product=None)
    kept.trash(made.id, by="alice", at=NOON, until=later(9), unless_locked="template/x")
    assert quotas.Quotas(db).used(acme.id) == quota.Amount(templates=1, stored_bytes=7)
    with pytest.raises(errors.AccountInUse, match="it has 1 templates in the trash;"):
        rows.remove(acme.id)
    kept.begin_purge(made.id, template_moves.Purge(states={template.State.TRASHED}), unless_locked="template/x")
    kept.remove(made.id)
    rows.remove(acme.id)
    assert rules.list(acme.id) == []


def test_housekeeping_leaves_suspended_accounts_as_they_are(db, acme):
    rules, rows = retention.Rules(db), accounts.Accounts(db)
    rules.set(retentions.Rule(owner_id=acme.id, pattern="ci-*", keep_last=1, keep_days=None))
    assert rules.list_owners() == [acme.id]
    rows.set_state(acme.id, account.State.SUSPENDED)
    assert rules.list_owners() == []


def _paged(ask):
    found, after = [], None
    while True:
        page = ask(after)
        found += page.items
        if page.next is None:
            return found
        after = page.next


def _keys(db, of):
    """All of the account's, as the cloud operator sees them."""
    actor = access.Actor(name="x", account=of, role=account.Role.OWNER, is_cloud_operator=True, address="unix")
    return list(api_keys.ApiKeys(db).list(actor, at=NOON).items)


def test_only_old_entries_are_dropped(db):
    rows = audit.Audit(db)
    _entry(rows)
    fresh = _entry(rows, at=later(10))
    assert rows.prune(older_than=later(10)) == 1
    assert rows.list().items == [fresh]
