"""Who asks: keys, peers and nobody."""

from __future__ import annotations

import dataclasses
import datetime
import uuid

import pytest
from tests.unit.api import people

from estampe import errors
from estampe.accounts import keys, views
from estampe.model import access, account, api_key

HOUR = datetime.timedelta(hours=1)
PASSWORD = "correct horse battery"


@pytest.fixture
def acme(office: people.Office) -> account.Account:
    return office.bundle.accounts.create("acme")


def _add(office: people.Office, name: str, of: account.Account | None = None, role: account.Role = account.Role.OWNER):
    made = office.bundle.people.add_user(name, password=PASSWORD, is_cloud_operator=False)
    if of is not None:
        office.bundle.people.add_member(of.id, name, role)
    return made


def _key(office: people.Office, of: account.Account, **facts: object) -> views.NewKey:
    given = {
        "account_id": of.id, "user_id": None, "name": "ci", "role": account.Role.OPERATOR, "is_cloud_operator": False,
        "created_by": "uid 0", "expires_at": None,
    }  # fmt: skip
    return office.bundle.keys.make(**{**given, **facts})


def _identify(office: people.Office, key: str | None = None, **shown: object) -> access.Actor:
    return office.bundle.identity.identify(access.Credentials(bearer=key, **shown))


def test_nobody_is_nobody(office: people.Office) -> None:
    with pytest.raises(errors.SignInNeeded):
        _identify(office)


def test_a_unix_peer_is_the_cloud_operator_for_the_default_account(office: people.Office) -> None:
    actor = _identify(office, peer_uid=1000)
    assert (actor.name, actor.account_id, actor.role, actor.is_cloud_operator) == (
        "uid 1000", account.DEFAULT_ACCOUNT_ID, account.Role.OWNER, True,
    )  # fmt: skip


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_unix_peer_acts_for_the_account_it_names(office: people.Office, acme: account.Account, by: str) -> None:
    assert _identify(office, peer_uid=0, account=str(getattr(acme, by))).account == acme
    with pytest.raises(errors.AccountNotFound):
        _identify(office, peer_uid=0, account="globex")


def test_a_key_wins_over_the_peer(office: people.Office, acme: account.Account) -> None:
    actor = _identify(office, _key(office, acme).key, peer_uid=0)
    assert (actor.account, actor.role, actor.is_cloud_operator) == (acme, account.Role.OPERATOR, False)


@pytest.mark.parametrize("text", ["", "est_", "secret", "est_" + "0" * 32 + "_" + "0" * 64, "ü"])
def test_what_is_no_key_lets_nobody_in_not_even_a_peer(office: people.Office, text: str) -> None:
    with pytest.raises(errors.ApiKeyRefused):
        _identify(office, text, peer_uid=0)


def test_a_key_with_another_secret_lets_nobody_in(office: people.Office, acme: account.Account) -> None:
    real, other = _key(office, acme), _key(office, acme)
    with pytest.raises(errors.ApiKeyRefused):
        _identify(office, real.key[:37] + other.key[37:])


def test_of_a_key_only_a_digest_is_kept(office: people.Office, acme: account.Account) -> None:
    made = _key(office, acme)
    secret = made.key.rpartition("_")[2]
    with office.db.read() as connection:
        dump = "\n".join(connection.connection.driver_connection.iterdump())
    assert made.api_key.id.hex in dump
    assert secret not in dump
    assert api_key.digest(bytes.fromhex(secret)) in dump


def test_a_key_ends_when_it_expires_or_is_revoked(office: people.Office, acme: account.Account) -> None:
    short, revoked = _key(office, acme, expires_at=people.NOW + HOUR), _key(office, acme)
    for made in (short, revoked):
        assert _identify(office, made.key).account == acme
    office.bundle.keys.revoke(_identify(office, peer_uid=0, account="acme"), str(revoked.api_key.id))
    office.now = people.NOW + HOUR
    for made in (short, revoked):
        with pytest.raises(errors.ApiKeyRefused):
            _identify(office, made.key)


def test_another_account_than_the_keys_own_is_not_found_whether_it_is_there_or_not(
    office: people.Office, acme: account.Account
) -> None:
    office.bundle.accounts.create("globex")
    made = _key(office, acme)
    assert _identify(office, made.key, account="acme").account == acme
    for name in ("globex", "nobody", account.DEFAULT_ACCOUNT_NAME):
        with pytest.raises(errors.AccountNotFound, match=name):
            _identify(office, made.key, account=name)


def test_a_persons_key_falls_with_the_membership(office: people.Office, acme: account.Account) -> None:
    alice = _add(office, "alice", acme)
    made = _key(office, acme, user_id=alice.id, role=account.Role.OWNER)
    assert _identify(office, made.key).role is account.Role.OWNER
    office.bundle.people.set_role(acme.id, "alice", account.Role.VIEWER)
    assert _identify(office, made.key).role is account.Role.VIEWER
    office.bundle.people.remove_member(acme.id, "alice")
    with pytest.raises(errors.ApiKeyRefused):
        _identify(office, made.key)


def test_a_persons_key_may_less_than_the_person_but_never_more(office: people.Office, acme: account.Account) -> None:
    alice = _add(office, "alice", acme, account.Role.VIEWER)
    assert _identify(office, _key(office, acme, user_id=alice.id).key).role is account.Role.VIEWER
    office.bundle.people.set_role(acme.id, "alice", account.Role.OWNER)
    assert _identify(office, _key(office, acme, user_id=alice.id).key).role is account.Role.OPERATOR


def test_an_operators_key_falls_with_the_operator(office: people.Office) -> None:
    root = office.bundle.people.add_user("root", password=None, is_cloud_operator=True)
    default = office.bundle.accounts.resolve("default")
    made = _key(office, default, user_id=root.id, is_cloud_operator=True)
    assert _identify(office, made.key).is_cloud_operator
    office.bundle.people.remove_user("root")
    with pytest.raises(errors.ApiKeyRefused):
        _identify(office, made.key)


def test_a_person_who_is_no_operator_has_no_operators_key(office: people.Office, acme: account.Account) -> None:
    alice = _add(office, "alice", acme)
    made = _key(office, acme, user_id=alice.id, is_cloud_operator=True)
    with pytest.raises(errors.ApiKeyRefused):
        _identify(office, made.key)


def test_when_a_key_was_used_is_kept_to_the_minute(office: people.Office, acme: account.Account) -> None:
    made = _key(office, acme)
    operator = _identify(office, peer_uid=0, account="acme")

    def used() -> datetime.datetime | None:
        return office.bundle.keys.list(operator)[0].last_used_at

    assert used() is None
    for seconds, seen in ((0, 0), (59, 0), (60, 60), (61, 60)):
        office.now = people.NOW + datetime.timedelta(seconds=seconds)
        _identify(office, made.key)
        assert used() == people.NOW + datetime.timedelta(seconds=seen)


def test_actors_are_named_for_the_audit_log(office: people.Office, acme: account.Account) -> None:
    alice = _add(office, "alice", acme)
    programs, hers, signed_in = (
        _key(office, acme, **facts) for facts in ({}, {"user_id": alice.id}, {"user_id": alice.id, "is_sign_in": True})
    )
    assert _identify(office, programs.key).name == f"key {programs.api_key.id.hex[:8]} (ci)"
    assert _identify(office, hers.key).name == f"alice (key {hers.api_key.id.hex[:8]})"
    assert _identify(office, signed_in.key).name == "alice"


# --- keys -------------------------------------------------------------------------------------------------------------


def _create(office: people.Office, actor: access.Actor, **wishes: object) -> views.NewKey:
    given = {"name": "ci", "role": None, "expires_at": None, "is_cloud_operator": False}
    return office.bundle.keys.create(actor, **{**given, **wishes})


def test_a_key_may_at_most_what_its_maker_may(office: people.Office, acme: account.Account) -> None:
    maker = _identify(office, _key(office, acme, role=account.Role.OPERATOR).key)
    assert _create(office, maker).api_key.role is account.Role.OPERATOR
    assert _create(office, maker, role=account.Role.VIEWER).api_key.role is account.Role.VIEWER
    with pytest.raises(errors.RoleDenied):
        _create(office, maker, role=account.Role.OWNER)
    with pytest.raises(errors.CloudOperatorOnly):
        _create(office, maker, is_cloud_operator=True)


def test_a_key_that_the_operator_makes_for_an_account_is_the_accounts_own(
    office: people.Office, acme: account.Account
) -> None:
    office.bundle.people.add_user("root", password=None, is_cloud_operator=True)
    operator = dataclasses.replace(_identify(office, peer_uid=0, account="acme"), user_id=uuid.uuid4())
    made = _create(office, operator)
    assert made.api_key.user_id is None
    assert not _identify(office, made.key).is_cloud_operator


def test_a_key_cannot_expire_in_the_past(office: people.Office) -> None:
    with pytest.raises(errors.InvalidRequest, match="future"):
        _create(office, _identify(office, peer_uid=0), expires_at=people.NOW)


def test_owners_see_all_keys_and_others_their_own(office: people.Office, acme: account.Account) -> None:
    alice, bob = _add(office, "alice", acme), _add(office, "bob", acme, account.Role.OPERATOR)
    hers = _key(office, acme, user_id=alice.id, name="hers", role=account.Role.OWNER)
    his = _key(office, acme, user_id=bob.id, name="his")
    operators = _key(office, acme, name="operators", is_cloud_operator=True)
    seen = {
        who: {key.name for key in office.bundle.keys.list(_identify(office, made.key, account="acme"))}
        for who, made in (("alice", hers), ("bob", his), ("operator", operators))
    }
    assert seen == {"alice": {"hers", "his"}, "bob": {"his"}, "operator": {"hers", "his", "operators"}}
    with pytest.raises(errors.ApiKeyNotFound):
        office.bundle.keys.revoke(_identify(office, his.key), "hers")


def test_a_key_is_revoked_by_name_or_by_the_beginning_of_its_id(office: people.Office, acme: account.Account) -> None:
    owner = _identify(office, peer_uid=0, account="acme")
    first, second = _key(office, acme), _key(office, acme)
    with pytest.raises(errors.AmbiguousId):
        office.bundle.keys.revoke(owner, "ci")
    office.bundle.keys.revoke(owner, first.api_key.id.hex[:12])
    assert office.bundle.keys.revoke(owner, "ci").id == second.api_key.id
    for reference in ("ci", "", "-", "zz"):
        with pytest.raises(errors.ApiKeyNotFound):
            office.bundle.keys.revoke(owner, reference)


def test_signing_out_needs_a_key(office: people.Office, acme: account.Account) -> None:
    made = _key(office, acme)
    office.bundle.keys.sign_out(_identify(office, made.key))
    with pytest.raises(errors.ApiKeyRefused):
        _identify(office, made.key)
    with pytest.raises(errors.InvalidRequest):
        office.bundle.keys.sign_out(_identify(office, peer_uid=0))


def test_secrets_have_the_bits_they_claim(office: people.Office, acme: account.Account) -> None:
    assert keys.KeyService(rows=office.bundle.keys.rows, now=lambda: people.NOW).new_secret(api_key.SECRET_BYTES)
    made = {_key(office, acme).key for _nth in range(10)}
    assert len(made) == 10
    assert all(len(bytes.fromhex(key.rpartition("_")[2])) == 32 for key in made)
