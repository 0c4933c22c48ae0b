"""Signing in at an OpenID provider: our API, a browser or a command, and a provider that really signs."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib import parse

import fastapi
import httpx
import pytest
from starlette import testclient
from tests.support import openid_provider
from tests.unit.api import browsers, fakes, people

from estampe.accounts import oidc_sign_in
from estampe.api import app, peer
from estampe.model import account, oidc
from estampe.oidc import provider

SESSION = "__Host-estampe-session"
CALLBACK = f"{browsers.ORIGIN}/v1/oidc/callback"
WEB = httpx.Client()


@dataclass
class Place:
    """Our API, with the provider that it knows."""

    office: people.Office
    there: openid_provider.Provider
    api: fastapi.FastAPI
    services: Any
    acme: account.Account

    def set_policy(self, **changes: Any) -> None:
        policy = dataclasses.replace(self.services.oidc.policy, **changes)
        object.__setattr__(self.services, "oidc", dataclasses.replace(self.services.oidc, policy=policy))

    def browser(self, **options: Any) -> browsers.Browser:
        return browsers.Browser(self.api, **options)

    def member(
        self, name: str = "alice", *, role: account.Role = account.Role.OPERATOR, password: str | None = None
    ) -> None:
        self.office.bundle.people.add_user(name, password=password, is_cloud_operator=False)
        self.office.bundle.people.add_member(self.acme.id, name, role)

    def entries(self) -> list[tuple[str, str, str, str | None]]:
        with self.office.db.read() as connection:
            rows = connection.exec_driver_sql("SELECT action, actor, subject, code FROM audit_entries ORDER BY at")
            return [tuple(row) for row in rows]


@pytest.fixture(scope="module")
def api_and_services() -> tuple[fastapi.FastAPI, Any]:
    services = fakes.World().services()
    return app.create(services, public_origin=browsers.ORIGIN), services


@pytest.fixture
def place(api_and_services: tuple[fastapi.FastAPI, Any]) -> Iterator[Place]:
    api, services = api_and_services
    office = people.office()
    office.reset()
    with openid_provider.running(redirect_uris=(CALLBACK,), now=lambda: office.now.timestamp()) as there:  # noqa: PLW0108 - the time as it is then
        registration = provider.Registration(
            issuer=there.issuer, client_id=openid_provider.CLIENT_ID, client_secret=openid_provider.CLIENT_SECRET,
            groups_claim="groups",
        )  # fmt: skip
        known = provider.Provider(registration, now=lambda: office.now)
        policy = oidc_sign_in.Policy(redirect_uri=CALLBACK)
        object.__setattr__(services, "oidc", dataclasses.replace(office.bundle.oidc, provider=known, policy=policy))
        yield Place(office, there, api, services, office.bundle.accounts.create("acme"))


def _start(browser: browsers.Browser, **query: str) -> str:
    """The address at the provider."""
    answer = browser.get("/v1/oidc/start", params=query)
    assert answer.status_code == 303, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.headers["location"]


def _at_provider(url: str) -> str:
    """Signs in there; the address it sends the browser back to."""
    answer = WEB.get(url)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def _sign_in(browser: browsers.Browser, **query: str) -> Any:
    return browser.get(_at_provider(_start(browser, **query)))


def _changed(url: str, **fields: str) -> str:
    address, _, query = url.partition("?")
    return f"{address}?{parse.urlencode({**dict(parse.parse_qsl(query)), **fields})}"


# --- browsers ---------------------------------------------------------------------------------------------------------------


def test_a_person_who_was_invited_comes_back_signed_in_where_they_wanted_to_go(place: Place) -> None:
    place.member()
    with place.browser() as browser:
        url = _start(browser, next="/templates?sort=name#top")
        asked = dict(parse.parse_qsl(parse.urlsplit(url).query))
        assert (asked["redirect_uri"], asked["code_challenge_method"]) == (CALLBACK, "S256")
        answer = browser.get(_at_provider(url))
        assert (answer.status_code, answer.headers["location"]) == (303, "/templates?sort=name#top")
        assert answer.headers["referrer-policy"] == "no-referrer"
        told = browser.get("/v1/session").json()
        assert (told["actor"]["name"], told["actor"]["role"], told["session"]["method"]) == (
            "alice",
            "operator",
            "oidc",
        )
        assert [name for name in browser.cookies if "oidc" in name] == []
        changed = browser.post("/v1/api-keys", json={"name": "ci"}, headers={"x-csrf-token": told["csrf_token"]})
        assert changed.status_code == 201
    assert place.entries()[0] == ("finish_oidc", "alice", "", None)


def test_the_cookie_of_the_detour_is_private_and_short(place: Place) -> None:
    with place.browser() as browser:
        answer = browser.get("/v1/oidc/start")
        state = dict(parse.parse_qsl(parse.urlsplit(answer.headers["location"]).query))["state"]
        cookie = browsers.cookies_of(answer)[f"__Host-estampe-oidc-{state[:16]}"]
        for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/", "Max-Age=600"):
            assert part in cookie
        assert state not in cookie


def test_nothing_that_is_kept_of_a_detour_ends_it(place: Place) -> None:
    with place.browser() as browser:
        url = _start(browser)
        state = dict(parse.parse_qsl(parse.urlsplit(url).query))["state"]
        with place.office.db.read() as connection:
            kept = str([tuple(row) for row in connection.exec_driver_sql("SELECT * FROM oidc_attempts")])
        assert state not in kept
        assert all(value not in kept for value in browser.cookies.values())


def test_tabs_of_one_browser_do_not_disturb_each_other(place: Place) -> None:
    place.member()
    with place.browser() as browser:
        first, second = _start(browser, next="/first"), _start(browser, next="/second")
        assert browser.get(_at_provider(first)).headers["location"] == "/first"
        assert browser.get(_at_provider(second)).headers["location"] == "/second"


@pytest.mark.parametrize(
    "next",
    [
        "//evil.test", "/\\evil.test", "\\/evil.test", "https://evil.test", "//evil.test/%2f..", "evil.test", "", "/\tx",
        "/\r\nset-cookie: x=y", "javascript:alert(1)", "/é", "/" + "x" * 1024, "///evil.test", "/ /evil.test", "http:/x",
    ],
)  # fmt: skip
def test_nobody_is_sent_elsewhere_afterwards(place: Place, next: str) -> None:
    with place.browser() as browser:
        assert browser.code_of(browser.get("/v1/oidc/start", params={"next": next})) == (400, "invalid-request")
    assert place.there.grants == {}


def test_signing_in_there_replaces_the_session_that_was_planted(place: Place) -> None:
    place.member()
    place.member("bob", password=browsers.PASSWORD)
    with place.browser(address="198.51.100.1") as thief, place.browser() as browser:
        thief.sign_in("bob")
        planted = thief.cookies[SESSION]
        browser.cookies.set(SESSION, planted, domain="estampe.test", path="/")
        answer = _sign_in(browser)
        assert planted not in browsers.cookies_of(answer)[SESSION]
        assert thief.get("/v1/session").status_code == 401


# --- answers that are none --------------------------------------------------------------------------------------------------


def _refused(place: Place, answer: Any, code: str = "oidc-answer-refused") -> None:
    assert (answer.status_code, answer.json()["code"]) == (401, code), answer.text
    assert SESSION not in browsers.cookies_of(answer)
    assert place.entries()[-1][3] == code


def test_an_answer_is_taken_once(place: Place) -> None:
    place.member()
    with place.browser() as browser:
        back = _at_provider(_start(browser))
        jar = dict(browser.cookies)
        assert browser.get(back).status_code == 303
        for name, value in jar.items():
            browser.cookies.set(name, value, domain="estampe.test", path="/")
        _refused(place, browser.get(back))


def test_an_answer_counts_only_in_the_browser_that_went(place: Place) -> None:
    """Else who began could have another signed in as himself (and the attempt is used up by the try)."""
    place.member()
    with place.browser() as mallory, place.browser() as victim:
        back = _at_provider(_start(mallory))
        _refused(place, victim.get(back))
        _refused(place, mallory.get(back))


def test_an_answer_that_comes_late_or_that_nobody_waits_for_is_refused(place: Place) -> None:
    place.member()
    with place.browser() as browser:
        back = _at_provider(_start(browser))
        _refused(place, browser.get(_changed(back, state="x" * 43)))
        place.office.now += datetime.timedelta(minutes=10)
        _refused(place, browser.get(back))


def test_an_answer_of_another_provider_is_refused_before_its_code_is_sent_anywhere(place: Place) -> None:
    place.member()
    with place.browser() as browser:
        for changes in ({"iss": "https://elsewhere.test"}, {"iss": place.there.issuer + "/"}):
            back = _at_provider(_start(browser))
            _refused(place, browser.get(_changed(back, **changes)))
        assert "/token" not in place.there.fetched
        back = _at_provider(_start(browser))
        _refused(place, browser.get(back.replace("&iss=", "&no=")))


def test_the_code_of_another_attempt_is_refused(place: Place) -> None:
    place.member()
    with place.browser() as browser:
        first, second = _at_provider(_start(browser)), _at_provider(_start(browser))
        code = dict(parse.parse_qsl(parse.urlsplit(second).query))["code"]
        _refused(place, browser.get(_changed(first, code=code)))


def test_a_token_that_must_not_be_believed_opens_nothing(place: Place) -> None:
    place.member()
    with place.browser() as browser:
        place.there.bend = lambda claims: claims.update(nonce="another")
        _refused(place, _sign_in(browser))
        place.there.bend, place.there.mint = (
            None,
            lambda claims: openid_provider.token({"alg": "none"}, claims, lambda _: b""),
        )
        _refused(place, _sign_in(browser))


def test_a_refusal_of_the_provider_is_one_of_ours_and_its_words_are_not_shown(place: Place) -> None:
    with place.browser() as browser:
        back = _at_provider(_start(browser))
        state = dict(parse.parse_qsl(parse.urlsplit(back).query))["state"]
        query = {
            "state": state,
            "error": "access_denied",
            "error_description": "<b>hello</b>",
            "iss": place.there.issuer,
        }
        answer = browser.get("/v1/oidc/callback", params=query)
        _refused(place, answer)
        assert "hello" not in answer.text


@pytest.mark.parametrize("query", ["", "state=short", "state=" + "x" * 200, "state=" + "é" * 43, "code=c"])
def test_an_address_that_no_provider_has_made_is_refused(place: Place, query: str) -> None:
    with place.browser() as browser:
        assert browser.code_of(browser.get(f"/v1/oidc/callback?{query}")) == (400, "invalid-request")


def test_answers_that_are_none_are_counted_by_address_and_a_provider_that_fails_is_not(place: Place) -> None:
    place.member()
    with place.browser() as browser, place.browser(address="198.51.100.1") as other:
        place.there.token_answer = (503, b"{}")
        for _nth in range(31):
            assert browser.code_of(_sign_in(browser)) == (503, "oidc-unavailable")
        place.there.token_answer = None
        for _nth in range(30):
            browser.get("/v1/oidc/callback", params={"state": "x" * 43})
        entries = len(place.entries())
        assert browser.code_of(browser.get("/v1/oidc/callback", params={"state": "x" * 43})) == (429, "sign-in-locked")
        assert len(place.entries()) == entries
        assert _sign_in(other).status_code == 303


def test_beginnings_are_counted_by_address(place: Place) -> None:
    with place.browser() as browser, place.browser(address="198.51.100.1") as other:
        for _nth in range(60):
            _start(browser)
        assert browser.code_of(browser.get("/v1/oidc/start")) == (429, "sign-in-locked")
        assert _start(other)


def test_a_locked_password_does_not_lock_the_provider_and_neither_does_the_other_way_round(place: Place) -> None:
    place.member()
    with place.browser() as browser:
        for _nth in range(10):
            browser.sign_in(password="not the password")
        assert browser.code_of(browser.sign_in()) == (429, "sign-in-locked")
        assert _sign_in(browser).status_code == 303


# --- who it is --------------------------------------------------------------------------------------------------------------


def test_who_was_not_invited_is_refused_and_the_operator_reads_who_it_was(place: Place) -> None:
    with place.browser() as browser:
        answer = _sign_in(browser)
        _refused(place, answer, "oidc-person-unknown")
        assert answer.json()["facts"] == {"name": "alice", "subject": "s-1"}
        assert place.entries()[-1] == ("finish_oidc", "nobody", "alice (s-1)", "oidc-person-unknown")
        for _nth in range(9):
            _sign_in(browser)
        assert browser.code_of(_sign_in(browser)) == (429, "sign-in-locked")
    assert place.office.bundle.people.rows.find_secret("alice") is None


def test_a_name_that_somebody_took_at_the_provider_gives_nothing_that_is_anothers_here(place: Place) -> None:
    """Names there may be chosen by anybody, or given again: one with a password, or linked already, is not theirs."""
    place.member(password=browsers.PASSWORD)
    place.member("bob")
    with place.browser() as browser:
        _refused(place, _sign_in(browser), "oidc-person-unknown")
        place.there.person = {"sub": "s-bob", "preferred_username": "bob"}
        assert _sign_in(browser).status_code == 303
        place.there.person = {"sub": "s-other", "preferred_username": "bob"}
        _refused(place, _sign_in(browser), "oidc-person-unknown")


def test_a_person_stays_the_user_whatever_they_are_called_later(place: Place) -> None:
    place.member()
    with place.browser() as browser:
        assert _sign_in(browser).status_code == 303
        place.there.person = {"sub": "s-1", "preferred_username": "root"}
        assert _sign_in(browser).status_code == 303
        assert browser.get("/v1/identity").json()["name"] == "alice"
        place.there.person = {"sub": "s-1"}
        assert _sign_in(browser).status_code == 303


def test_the_operator_links_who_has_a_password_and_takes_it_back(place: Place) -> None:
    place.member(password=browsers.PASSWORD)
    place.member("bob")
    with place.browser() as browser, testclient.TestClient(peer.come_from(place.api, 0)) as operator:
        assert operator.put("/v1/users/alice/oidc", json={"subject": "s-1"}).status_code == 204
        assert operator.put("/v1/users/bob/oidc", json={"subject": "s-1"}).json()["code"] == "name-in-use"
        assert operator.put("/v1/users/nobody/oidc", json={"subject": "s-9"}).status_code == 404
        assert _sign_in(browser).status_code == 303
        assert operator.delete("/v1/users/alice/oidc").status_code == 204
        assert browser.get("/v1/session").status_code == 401
        _refused(place, _sign_in(browser), "oidc-person-unknown")
    assert ("link_user", "uid 0", "alice (s-1)", None) in place.entries()


def test_who_is_not_known_gets_a_user_where_that_is_set_and_a_name_that_is_none_here_nothing(place: Place) -> None:
    place.set_policy(is_open=True, roles=(oidc.GroupRole(group="staff", account="acme", role=account.Role.VIEWER),))
    with place.browser() as browser:
        place.there.person["groups"] = ["staff"]
        assert _sign_in(browser).status_code == 303
        assert browser.get("/v1/identity").json()["role"] == "viewer"
        place.there.person = {"sub": "s-2", "preferred_username": "Not A Name"}
        _refused(place, _sign_in(browser), "oidc-person-unknown")
        place.there.person = {"sub": "s-3"}
        _refused(place, _sign_in(browser), "oidc-person-unknown")


def test_who_belongs_to_no_account_is_refused_as_a_wrong_password_is(place: Place) -> None:
    place.office.bundle.people.add_user("alice", password=None, is_cloud_operator=False)
    with place.browser() as browser:
        _refused(place, _sign_in(browser), "sign-in-refused")


def test_a_member_of_several_accounts_says_which(place: Place) -> None:
    place.member()
    globex = place.office.bundle.accounts.create("globex")
    place.office.bundle.people.add_member(globex.id, "alice", account.Role.VIEWER)
    with place.browser() as browser:
        assert browser.code_of(_sign_in(browser)) == (400, "account-ambiguous")
        assert _sign_in(browser, account="globex").status_code == 303
        assert browser.get("/v1/identity").json()["account"]["name"] == "globex"


def test_groups_give_and_take_roles_and_leave_those_made_by_hand(place: Place) -> None:
    roles = (
        oidc.GroupRole(group="staff", account="acme", role=account.Role.VIEWER),
        oidc.GroupRole(group="admins", account="acme", role=account.Role.OWNER),
        oidc.GroupRole(group="admins", account="globex", role=account.Role.OPERATOR),
        oidc.GroupRole(group="admins", account="no-such", role=account.Role.OPERATOR),
    )
    place.set_policy(roles=roles)
    globex = place.office.bundle.accounts.create("globex")
    place.office.bundle.people.add_user("alice", password=None, is_cloud_operator=False)

    def held() -> dict[str, str]:
        user = place.office.bundle.people.rows.get("alice")
        return {each.name: role.value for each, role in place.office.bundle.people.rows.list_memberships(user.id)}

    def sign_in_with(*groups: str) -> int:
        place.there.person["groups"] = list(groups)
        with place.browser() as browser:
            return int(_sign_in(browser, account="acme").status_code)

    assert sign_in_with("staff", "admins") == 303
    assert held() == {"acme": "owner", "globex": "operator"}
    assert sign_in_with("staff") == 303
    assert held() == {"acme": "viewer"}
    place.office.bundle.people.add_member(globex.id, "alice", account.Role.OWNER)
    assert sign_in_with("admins") == 303
    assert held() == {"acme": "owner", "globex": "owner"}
    assert sign_in_with() == 401
    assert held() == {"globex": "owner"}


# --- commands ---------------------------------------------------------------------------------------------------------------

BINDING = "b" * 43


def _command(place: Place, **changes: Any) -> tuple[dict[str, Any], Any]:
    """What a command sends after a detour, and the API as it meets it."""
    net = testclient.TestClient(place.api, client=("192.0.2.9", 50000))
    begun = net.post("/v1/oidc/command", json={"port": 50123, "binding": BINDING}).json()
    back = _at_provider(begun["url"])
    assert back.startswith("http://127.0.0.1:50123/callback?")
    found = dict(parse.parse_qsl(parse.urlsplit(back).query))
    body = {"state": begun["state"], "binding": BINDING, "code": found["code"], "issuer": found["iss"], **changes}
    return body, net


def test_a_command_gets_a_key_for_some_hours(place: Place) -> None:
    place.member()
    body, net = _command(place)
    answer = net.post("/v1/oidc/login", json=body)
    assert answer.status_code == 200, answer.text
    key = answer.json()["new"]["key"]
    told = net.get("/v1/identity", headers={"authorization": f"Bearer {key}"}).json()
    assert (told["name"], told["role"]) == ("alice", "operator")
    _refused(place, net.post("/v1/oidc/login", json=body))


@pytest.mark.parametrize(
    "changes",
    [{"binding": "c" * 43}, {"state": "d" * 43}, {"issuer": "https://elsewhere.test"}, {"code": "e"}, {"code": None}],
)
def test_who_has_not_begun_cannot_end_for_a_command(place: Place, changes: dict[str, Any]) -> None:
    place.member()
    body, net = _command(place, **changes)
    _refused(place, net.post("/v1/oidc/login", json=body))


def test_the_answer_to_a_command_opens_no_session_and_the_other_way_round(place: Place) -> None:
    place.member()
    body, net = _command(place)
    with place.browser() as browser:
        browser.cookies.set(f"__Host-estampe-oidc-{body['state'][:16]}", BINDING)
        query = {"state": body["state"], "code": body["code"], "iss": body["issuer"]}
        _refused(place, browser.get("/v1/oidc/callback", params=query))
        back = dict(parse.parse_qsl(parse.urlsplit(_at_provider(_start(browser))).query))
        binding = browser.cookies[f"__Host-estampe-oidc-{back['state'][:16]}"]
    taken = {"state": back["state"], "binding": binding, "code": back["code"], "issuer": back["iss"]}
    _refused(place, net.post("/v1/oidc/login", json=taken))


def test_where_no_provider_is_known_that_is_said(place: Place) -> None:
    object.__setattr__(place.services, "oidc", dataclasses.replace(place.services.oidc, provider=None))
    with place.browser() as browser, testclient.TestClient(peer.come_from(place.api, 0)) as operator:
        assert browser.code_of(browser.get("/v1/oidc/start")) == (422, "oidc-not-configured")
        begun = browser.post("/v1/oidc/command", json={"port": 1, "binding": BINDING})
        assert browser.code_of(begun) == (422, "oidc-not-configured")
        assert operator.put("/v1/users/alice/oidc", json={"subject": "x"}).json()["code"] == "oidc-not-configured"
    place.set_policy(redirect_uri=None)
    with place.browser() as browser:
        assert browser.code_of(browser.get("/v1/oidc/start")) == (422, "oidc-not-configured")
