"""Signing in with a password, and what stops guessing."""

from __future__ import annotations

import datetime

import pytest
from tests.unit.api import people

from estampe import errors
from estampe.accounts import passwords, views
from estampe.db import database
from estampe.db import sign_ins as sign_in_rows
from estampe.model import access, account

PASSWORD = "correct horse battery"
WRONG = "incorrect horse battery"
MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def acme(office: people.Office) -> account.Account:
    made = office.bundle.accounts.create("acme")
    office.bundle.people.add_user("alice", password=PASSWORD, is_cloud_operator=False)
    office.bundle.people.add_member(made.id, "alice", account.Role.OPERATOR)
    return made


def _sign_in(
    office: people.Office,
    name: str = "alice",
    password: str = PASSWORD,
    *,
    of: str | None = None,
    address: str = "192.0.2.1",
) -> views.SignedIn:
    return office.bundle.sign_in.sign_in(name=name, password=password, account_name=of, address=address)


def test_the_right_password_gives_a_key_for_some_hours(office: people.Office, acme: account.Account) -> None:
    signed_in = _sign_in(office)
    assert (signed_in.actor.account, signed_in.actor.role) == (acme, account.Role.OPERATOR)
    actor = office.bundle.identity.identify(access.Credentials(bearer=signed_in.new.key))
    assert (actor.name, actor.account, actor.role) == ("alice", acme, account.Role.OPERATOR)
    office.now = people.NOW + datetime.timedelta(hours=12)
    with pytest.raises(errors.ApiKeyRefused):
        office.bundle.identity.identify(access.Credentials(bearer=signed_in.new.key))


def test_one_answer_for_all_that_is_wrong(office: people.Office, acme: account.Account) -> None:
    office.bundle.accounts.create("globex")
    office.bundle.people.add_user("nopass", password=None, is_cloud_operator=False)
    office.bundle.people.add_user("stray", password=PASSWORD, is_cloud_operator=False)
    tries = [
        ("alice", WRONG, None), ("bob", PASSWORD, None), ("nopass", PASSWORD, None), ("stray", PASSWORD, None),
        ("alice", PASSWORD, "globex"), ("alice", PASSWORD, "no-such"),
    ]  # fmt: skip
    told = set()
    for name, password, of in tries:
        with pytest.raises(errors.SignInRefused) as caught:
            _sign_in(office, name, password, of=of)
        told.add((str(caught.value), tuple(caught.value.facts)))
    assert len(told) == 1


class Counting(passwords.Passwords):
    """Says how often a password was verified: each time takes the same, whatever comes of it."""

    verified = 0

    def verify(self, kept: str | None, password: str) -> bool:
        self.verified += 1
        return super().verify(kept, password)


def test_a_name_that_does_not_exist_takes_as_long_as_one_that_does(office: people.Office) -> None:
    hasher = Counting(passes=1, memory_kib=8, lanes=1)
    kept = hasher.hash(PASSWORD)
    assert hasher.verify(kept, PASSWORD)
    assert not hasher.verify(kept, WRONG)
    assert not hasher.verify(None, PASSWORD)
    assert hasher.verified == 3
    # The stand-in has the same parameters, and is a hash that argon2 works through, not one it turns away.
    assert not hasher.is_outdated(hasher._nobodys)
    assert passwords.Passwords(passes=2, memory_kib=8, lanes=1).is_outdated(kept)


def test_passwords_are_kept_as_argon2id_with_a_salt_each() -> None:
    first, second = (people.QUICK.hash(PASSWORD) for _nth in range(2))
    assert first.startswith("$argon2id$v=19$")
    assert first != second
    assert passwords.Passwords()._nobodys.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_password_is_hashed_anew_when_the_parameters_were_raised(
    office: people.Office, acme: account.Account
) -> None:
    old = passwords.Passwords(passes=2, memory_kib=16, lanes=1).hash(PASSWORD)
    office.bundle.people.rows.set_password("alice", old, at=people.NOW)
    _sign_in(office)
    found = office.bundle.people.rows.find_secret("alice")
    assert found is not None
    assert found[1] != old
    assert people.QUICK.verify(found[1], PASSWORD)


def test_a_member_of_several_accounts_says_which(office: people.Office, acme: account.Account) -> None:
    globex = office.bundle.accounts.create("globex")
    office.bundle.people.add_member(globex.id, "alice", account.Role.VIEWER)
    with pytest.raises(errors.AccountAmbiguous, match="acme, globex"):
        _sign_in(office)
    assert _sign_in(office, of="globex").actor.role is account.Role.VIEWER
    assert _sign_in(office, of=str(acme.id)).actor.account == acme


def test_a_cloud_operator_signs_in_to_any_account(office: people.Office, acme: account.Account) -> None:
    office.bundle.people.add_user("root", password=PASSWORD, is_cloud_operator=True)
    assert _sign_in(office, "root").actor.account_id == account.DEFAULT_ACCOUNT_ID
    assert _sign_in(office, "root", of="acme").actor.account == acme
    with pytest.raises(errors.SignInRefused):
        _sign_in(office, "root", of="no-such")


# --- guessing ---------------------------------------------------------------------------------------------------------


def _fail(office: people.Office, times: int, name: str = "alice", *, address: str = "192.0.2.1") -> None:
    for _nth in range(times):
        with pytest.raises(errors.SignInRefused):
            _sign_in(office, name, WRONG, address=address)


@pytest.mark.parametrize("name", ["alice", "nobody-by-this-name"])
def test_a_name_is_locked_after_ten_failures_whether_it_exists_or_not(
    office: people.Office, acme: account.Account, name: str
) -> None:
    for nth in range(10):
        _fail(office, 1, name, address=f"192.0.2.{nth}")
    with pytest.raises(errors.SignInLocked) as caught:
        _sign_in(office, name, address="198.51.100.1")
    assert caught.value.facts == {"seconds": 15 * 60 + 1}


def test_a_lock_ends_however_often_it_is_tried(office: people.Office, acme: account.Account) -> None:
    _fail(office, 10)
    for minute in range(15):
        office.now = people.NOW + minute * MINUTE
        with pytest.raises(errors.SignInLocked):
            _sign_in(office)
    office.now = people.NOW + 15 * MINUTE
    assert _sign_in(office).actor.name == "alice"


def test_an_address_is_locked_after_thirty_failures_under_any_names(
    office: people.Office, acme: account.Account
) -> None:
    for nth in range(30):
        _fail(office, 1, f"user-{nth}")
    with pytest.raises(errors.SignInLocked):
        _sign_in(office)
    assert _sign_in(office, address="192.0.2.2").actor.name == "alice"


def test_an_ipv6_customer_is_one_address(office: people.Office, acme: account.Account) -> None:
    for nth in range(30):
        _fail(office, 1, f"user-{nth}", address=f"2001:db8:1:2::{nth:x}")
    with pytest.raises(errors.SignInLocked):
        _sign_in(office, address="2001:db8:1:2:ffff::1")
    assert _sign_in(office, address="2001:db8:1:3::1")


def test_signing_in_takes_its_attempt_back(office: people.Office, acme: account.Account) -> None:
    _fail(office, 9)
    for _nth in range(40):
        assert _sign_in(office)
    _fail(office, 1)
    with pytest.raises(errors.SignInLocked):
        _sign_in(office)


def test_failures_are_forgotten_with_time(office: people.Office, acme: account.Account) -> None:
    _fail(office, 9)
    office.now = people.NOW + 15 * MINUTE
    _fail(office, 9)
    assert _sign_in(office)


def test_a_restart_does_not_forget_failures(office: people.Office, acme: account.Account) -> None:
    _fail(office, 10)
    again = database.Database.open(office.db.where)
    with pytest.raises(errors.SignInLocked):
        sign_in_rows.SignIns(again).begin(["name:alice"], at=people.NOW)
    again.close()


# --- passwords --------------------------------------------------------------------------------------------------------


def _actor(office: people.Office, signed_in: views.SignedIn | None = None) -> access.Actor:
    shown = access.Credentials(peer_uid=0) if signed_in is None else access.Credentials(bearer=signed_in.new.key)
    return office.bundle.identity.identify(shown)


def test_a_new_password_signs_out_whoever_had_the_old_one(office: people.Office, acme: account.Account) -> None:
    before = _sign_in(office)
    office.bundle.people.set_password(_actor(office, before), "alice", password="another long one", current=PASSWORD)
    with pytest.raises(errors.ApiKeyRefused):
        _actor(office, before)
    with pytest.raises(errors.SignInRefused):
        _sign_in(office)
    assert _sign_in(office, password="another long one")


def test_ones_own_password_is_changed_by_who_knows_it_and_guessing_is_counted(
    office: people.Office, acme: account.Account
) -> None:
    actor = _actor(office, _sign_in(office))
    with pytest.raises(errors.InvalidRequest, match="current"):
        office.bundle.people.set_password(actor, "alice", password="another long one", current=None)
    for _nth in range(10):
        with pytest.raises(errors.SignInRefused):
            office.bundle.people.set_password(actor, "alice", password="another long one", current=WRONG)
    with pytest.raises(errors.SignInLocked):
        office.bundle.people.set_password(actor, "alice", password="another long one", current=PASSWORD)


def test_another_persons_password_is_the_operators_to_set(office: people.Office, acme: account.Account) -> None:
    office.bundle.people.add_user("bob", password=PASSWORD, is_cloud_operator=False)
    actor = _actor(office, _sign_in(office))
    for name in ("bob", "no-such"):
        with pytest.raises(errors.UserNotFound, match=name):
            office.bundle.people.set_password(actor, name, password="another long one", current=PASSWORD)
    office.bundle.people.set_password(_actor(office), "bob", password="another long one", current=None)


@pytest.mark.parametrize("password", ["short", "x" * 1025, "alice-alice", "aaaaaaaaaaaaaaa", "my-name-alice"])
def test_a_password_that_is_easily_guessed_is_refused_and_never_told(office: people.Office, password: str) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        office.bundle.people.add_user("alice", password=password, is_cloud_operator=False)
    assert password not in str(caught.value)
    assert office.bundle.people.list_users() == []
