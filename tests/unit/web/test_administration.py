"""Administration in pages: accounts, members, quotas, keys, people, the audit log and the host."""

from __future__ import annotations

import dataclasses
import re
import uuid

import pytest
from starlette import testclient
from tests.unit.api import browsers
from tests.unit.web import reader
from tests.unit.web import town as towns

from estampe import errors
from estampe.api import access_table
from estampe.api import app as api_app
from estampe.model import account
from estampe.web import app as web_app
from estampe.web import words

ACCOUNT = "/administration/accounts/acme"
SECRET = "another good password"


@pytest.fixture
def oscar(town):
    """The cloud operator."""
    with reader.Reader(town) as opened:
        opened.sign_in("oscar", account=None)
        yield opened


@pytest.fixture
def fresh(town) -> str:
    """An account that no other test looks at, with olive as its owner."""
    name = f"a-{uuid.uuid4().hex[:8]}"
    made = town.services.accounts.create(name)
    town.services.people.add_user(f"olive-{name}", password=towns.PASSWORD, is_cloud_operator=False)
    town.services.people.add_member(made.id, f"olive-{name}", account.Role.OWNER)
    return name


@pytest.fixture
def olive(town, fresh):
    with reader.Reader(town) as opened:
        opened.sign_in(f"olive-{fresh}", account=None)
        yield opened


def _person(town) -> str:
    name = f"p-{uuid.uuid4().hex[:8]}"
    town.services.people.add_user(name, password=towns.PASSWORD, is_cloud_operator=False)
    return name


def _act(opened, path: str, act: str, **fields: str):
    form = opened.open(path).form(f"{path}/-/{act}")
    return opened.post(form["action"], data=form["fields"] | fields)


def _says(opened, answer, said: str) -> reader.Page:
    assert answer.status_code == 303, reader.Page(answer.text).text
    page = opened.open(answer.headers["Location"])
    assert said in page.text, page.text
    return page


# --- accounts -----------------------------------------------------------------------------------------------------------------


def test_everybody_is_led_to_the_own_account(alice) -> None:
    assert alice.get("/administration").headers["Location"] == ACCOUNT
    page = alice.open(ACCOUNT)
    assert "victor" in page.text
    for path in ("/administration/accounts", "/administration/people", "/administration/host"):
        assert path not in page.links


def test_an_owner_looks_after_members(town, olive, fresh) -> None:
    path, name = f"/administration/accounts/{fresh}", _person(town)
    _says(olive, _act(olive, path, "add", user=name, role="viewer"), "is a member of the account")
    _says(olive, olive.fill(f"{path}/-/role", user=name, role="operator"), "The role holds from now on.")
    roles = {each["user"]: each["role"] for each in olive.get(f"/v1/accounts/{fresh}/members").json()["members"]}
    assert roles[name] == "operator"
    _says(olive, olive.fill(f"{path}/-/remove", user=name), "not a member of the account any more")
    for act, said in (("remove", f"has no member {name}."), ("role", f"has no member {name}.")):
        refused = olive.fill(f"{path}/-/{act}", user=name, role="viewer")
        assert (refused.status_code, said in refused.text) == (404, True)
    refused = olive.fill(f"{path}/-/add", user="nobody-so", role="viewer")
    assert (refused.status_code, "There is no user nobody-so." in refused.text) == (404, True)
    assert olive.fill(f"{path}/-/add", user=name, role="king").status_code == 400
    assert olive.fill(f"{path}/-/nonsense").status_code == 404


def test_a_member_who_is_no_owner_only_looks(town) -> None:
    with reader.Reader(town) as victor:
        victor.sign_in("victor", account=None)
        page = victor.open(ACCOUNT)
        assert {form["action"] for form in page.forms} == {"/sign-out"}
        assert "/administration/audit" not in page.links
        assert victor.fill(f"{ACCOUNT}/-/add", user="gina", role="owner").status_code == 403
        assert victor.get("/administration/audit").status_code == 403


def test_other_accounts_are_not_there(gina) -> None:
    assert gina.get(ACCOUNT).status_code == 404
    assert gina.fill(f"{ACCOUNT}/-/suspend").status_code in {403, 404}
    assert "acme" not in gina.open("/administration/accounts").text
    assert gina.get("/administration/people").status_code == 403
    assert gina.get("/administration/host").status_code == 403


def test_the_cloud_operator_makes_limits_suspends_and_deletes(oscar) -> None:
    name = f"n-{uuid.uuid4().hex[:8]}"
    page = oscar.open("/administration/accounts")
    assert ACCOUNT in page.links
    form = page.form("/administration/accounts/-/create")
    _says(oscar, oscar.post(form["action"], data=form["fields"] | {"name": name}), "The account is made.")
    refused = oscar.post(form["action"], data=form["fields"] | {"name": name})
    assert (refused.status_code, f"The name {name} is in use already." in refused.text) == (409, True)
    path = f"/administration/accounts/{name}"
    page = _says(
        oscar, _act(oscar, path, "quota", templates="5", memory_bytes="64 GiB"), "The limits hold from now on."
    )
    assert "0 of 5" in page.text
    assert page.form(f"{path}/-/quota")["fields"]["memory_bytes"] == "64 GiB"
    page = _says(oscar, _act(oscar, path, "quota", templates=""), "The limits hold from now on.")
    assert "0 of 5" not in page.text
    assert "must be a whole number" in _act(oscar, path, "quota", cpus="many").text
    _says(oscar, _act(oscar, path, "publishing"), "The account may publish its templates to everybody.")
    _says(oscar, _act(oscar, path, "publishing"), "but not publish them to everybody")
    _says(oscar, _act(oscar, path, "suspend"), "suspended")
    _says(oscar, _act(oscar, path, "resume"), "active again")
    _says(oscar, _act(oscar, path, "delete"), "The account is deleted.")
    assert oscar.get(path).status_code == 404


def test_an_account_that_has_something_is_not_deleted(oscar) -> None:
    refused = _act(oscar, ACCOUNT, "delete")
    assert (refused.status_code, "Account acme cannot be deleted: it has" in refused.text) == (409, True)
    assert ("details", {"class": "action grave", "open": None}) in reader.Page(refused.text).tags


def test_an_owner_says_whose_templates_the_account_takes(olive, fresh) -> None:
    path = f"/administration/accounts/{fresh}"
    page = _says(
        olive, _act(olive, path, "publishers", is_limited="yes", publishers="acme cloud"), "Only those of: acme, cloud"
    )
    assert page.form(f"{path}/-/publishers")["fields"]["publishers"] == "acme cloud"


def test_the_list_of_accounts_is_narrowed(oscar) -> None:
    links = oscar.open("/administration/accounts?name=ACM").links
    assert ACCOUNT in links
    assert "/administration/accounts/globex" not in links
    assert "No account fits" in oscar.open("/administration/accounts?name=zzz").text


# --- people -------------------------------------------------------------------------------------------------------------------


def test_people_are_let_in_changed_and_deleted(town, oscar) -> None:
    path, name = "/administration/people", f"q-{uuid.uuid4().hex[:8]}"
    _says(oscar, _act(oscar, path, "create", name=name.upper(), password=towns.PASSWORD), "The person may sign in.")
    assert name in oscar.open(f"{path}?name={name}").text
    refused = _act(oscar, path, "create", name=name, password=towns.PASSWORD)
    assert (refused.status_code, "is in use already" in refused.text, towns.PASSWORD in refused.text) == (
        409,
        True,
        False,
    )
    _says(oscar, oscar.fill(f"{path}/-/password", name=name, password=SECRET), "The password is changed")
    town.services.people.add_member(town.acme.id, name, account.Role.VIEWER)
    with reader.Reader(town) as opened:
        assert opened.sign_in(name, account=None).status_code == 401
        assert opened.post("/sign-in", data={"name": name, "password": SECRET}).status_code == 303
    _says(oscar, oscar.fill(f"{path}/-/delete", name=name), "The person is deleted")
    assert "Nobody fits" in oscar.open(f"{path}?name={name}").text


def test_a_person_changes_the_own_password(town) -> None:
    name = _person(town)
    town.services.people.add_member(town.acme.id, name, account.Role.VIEWER)
    with reader.Reader(town) as opened:
        opened.sign_in(name, account=None)
        for fields, said in (
            ({"current": "wrong", "password": SECRET, "repeated": SECRET}, "is wrong"),
            ({"current": towns.PASSWORD, "password": SECRET, "repeated": "x"}, "was typed differently"),
            ({"current": towns.PASSWORD, "password": "short", "repeated": "short"}, "Something in the form"),
        ):
            refused = opened.fill("/account/password", **fields)
            assert refused.status_code in {400, 401}, refused.status_code
            assert said in refused.text
        assert (
            opened.fill("/account/password", current=towns.PASSWORD, password=SECRET, repeated=SECRET).status_code
            == 303
        )
        assert opened.get("/v1/session").status_code == 401
        assert opened.post("/sign-in", data={"name": name, "password": SECRET}).status_code == 303


# --- keys ---------------------------------------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_revoked(olive) -> None:
    path = "/administration/keys"
    answer = _act(olive, path, "create", name="backup robot", role="operator", days="30")
    assert answer.status_code == 200
    (key,) = re.findall(r'<code class="key">(est_[^<]+)</code>', answer.text)
    assert olive.get("/v1/identity", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    page = olive.open(path)
    assert "backup robot" in page.text
    assert key not in page.text
    _says(
        olive, olive.post(f"{path}/-/revoke", data=page.form(f"{path}/-/revoke")["fields"]), "lets nobody in any more"
    )
    assert "backup robot" not in olive.open(path).text
    assert "revoked" in olive.open(f"{path}?all=true").text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "$", "days": ""}, "Something in the form"),
        ({"name": "x", "days": "soon"}, "must be a whole number"),
        ({"name": "x", "days": "99999999999"}, "is too far away"),
    ],
)
def test_a_key_that_cannot_be_is_not_made(olive, fields, said) -> None:
    answer = olive.fill("/administration/keys/-/create", role="viewer", **fields)
    assert (answer.status_code, said in answer.text) == (400, True)


def test_a_key_may_do_no_more_than_its_maker(town) -> None:
    with reader.Reader(town) as victor:
        victor.sign_in("victor", account=None)
        assert 'value="owner"' not in victor.get("/administration/keys").text
        refused = victor.fill("/administration/keys/-/create", name="x", role="owner", days="1")
        assert (refused.status_code, "role-denied" in refused.text) == (403, True)


# --- the audit log --------------------------------------------------------------------------------------------------------------


def test_the_log_tells_who_did_what(town, olive, oscar, fresh) -> None:
    name = _person(town)
    olive.fill(f"/administration/accounts/{fresh}/-/add", user=name, role="viewer")
    text = olive.open("/administration/audit").text
    assert f"Adding of a member {name} as viewer done" in text
    assert "Sign-in" in text
    for query, is_found in (
        ("action=add_member", True), ("action=start_capture", False), (f"actor=olive-{fresh}", True), ("actor=bob", False),
        (f"subject={name}", True), ("outcome=failed", False), ("since=2020-01-01", True), ("until=2020-01-01", False),
        ("outcome=nonsense", True),
    ):  # fmt: skip
        assert (f"{name} as viewer" in olive.open(f"/administration/audit?{query}").text) == is_found, query
    assert f"{name} as viewer" in oscar.open(f"/administration/audit?account={fresh}").text
    assert f"{name} as viewer" not in oscar.open("/administration/audit?account=acme").text
    assert "acme" not in olive.open("/administration/audit?account=acme").text
    refused = olive.get("/administration/audit?since=soon")
    assert (refused.status_code, "must be a day" in refused.text) == (400, True)


def test_every_change_has_words() -> None:
    changes = {name for name, rule in access_table.RULES.items() if rule.is_change}
    assert changes - set(words.ACTIONS) == set()


# --- the host -------------------------------------------------------------------------------------------------------------------


def test_the_host_tells_whether_its_parts_work(oscar) -> None:
    page = oscar.open("/administration/host")
    assert page.text.count("works") == 4
    assert "does not answer" not in page.text


def test_a_part_that_does_not_work_is_named(world, oscar_there) -> None:
    class Broken:
        def check(self) -> tuple[str, ...]:
            raise errors.NotReady(problems="libvirt fails: gone", parts="libvirt")

    broken = web_app.create(
        api_app.create(dataclasses.replace(world.services(), readiness=Broken()), public_origin=browsers.ORIGIN),
        public_origin=browsers.ORIGIN,
    )
    with testclient.TestClient(broken, base_url=browsers.ORIGIN, follow_redirects=False) as client:
        client.post("/sign-in", data={"name": "oscar", "password": browsers.PASSWORD})
        page = reader.Page(client.get("/administration/host").text)
    assert (page.text.count("works"), page.text.count("does not answer")) == (3, 1)
    assert "libvirt fails: gone" in page.text
