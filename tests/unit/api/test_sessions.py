"""Sessions of browsers over HTTP: cookies, CSRF, other sites, and how they end."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any

import fastapi
import pytest
from starlette import testclient
from tests.unit.api import browsers, fakes, people

from estampe.api import access_table, app, peer
from estampe.model import account, origin

PASSWORD = browsers.PASSWORD
COOKIE = "__Host-estampe-session"


@pytest.fixture(scope="module")
def api() -> fastapi.FastAPI:
    return app.create(fakes.World().services(), public_origin=browsers.ORIGIN)


@pytest.fixture
def office() -> people.Office:
    office = people.office()
    office.reset()
    acme = office.bundle.accounts.create("acme")
    for name, role in (("alice", account.Role.OWNER), ("bob", account.Role.VIEWER)):
        office.bundle.people.add_user(name, password=PASSWORD, is_cloud_operator=False)
        office.bundle.people.add_member(acme.id, name, role)
    return office


@pytest.fixture
def browser(office: people.Office, api: fastapi.FastAPI) -> Iterator[browsers.Browser]:
    with browsers.Browser(api) as opened:
        yield opened


def _other(api: fastapi.FastAPI, **options: Any) -> browsers.Browser:
    return browsers.Browser(api, **options)


def _change(browser: testclient.TestClient, **headers: str) -> tuple[int, str | None]:
    """Asks for a change that alice may make."""
    answer = browser.post("/v1/api-keys", json={"name": "ci"}, headers=headers)
    return answer.status_code, answer.json().get("code")


def _entries(office: people.Office) -> list[tuple[str, str, str, str | None]]:
    with office.db.read() as connection:
        rows = connection.exec_driver_sql("SELECT action, actor, subject, code FROM audit_entries ORDER BY at")
        return [tuple(row) for row in rows]


# --- signing in -----------------------------------------------------------------------------------------------------------


def test_a_password_opens_a_session_whose_cookie_no_page_can_read(browser: browsers.Browser) -> None:
    answer = browser.sign_in()
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    cookie = browsers.cookies_of(answer)[COOKIE]
    assert re.fullmatch(rf"{COOKIE}=[0-9a-f]{{64}}; HttpOnly; Path=/; SameSite=lax; Secure", cookie)
    told = answer.json()
    assert (told["actor"]["name"], told["actor"]["role"], told["session"]["method"]) == ("alice", "owner", "password")
    again = browser.get("/v1/session").json()
    assert again == {**told, "actor": {**told["actor"], "address": "192.0.2.7"}}
    assert browser.get("/v1/identity").json()["name"] == "alice"


def test_nothing_that_is_kept_lets_anybody_in(browser: browsers.Browser, office: people.Office) -> None:
    told = browser.sign_in().json()
    secret = browser.cookies[COOKIE]
    with office.db.read() as connection:
        kept = str([tuple(row) for row in connection.exec_driver_sql("SELECT * FROM sessions")])
    assert secret not in kept
    assert told["csrf_token"] not in kept


def test_over_plain_http_which_is_this_host_alone_the_cookie_has_no_prefix(office: people.Office) -> None:
    plain = app.create(fakes.World().services())
    with _other(plain, base="http://127.0.0.1:8080", address="127.0.0.1") as browser:
        cookie = browsers.cookies_of(browser.sign_in())["estampe-session"]
        assert "Secure" not in cookie
        assert "HttpOnly" in cookie
        assert _change(browser, **{"x-csrf-token": browser.token(), "origin": "http://127.0.0.1:8080"}) == (201, None)
    with _other(plain, base="https://127.0.0.1:8443") as browser:  # TLS of our own, without a public URL
        assert COOKIE in browsers.cookies_of(browser.sign_in())


def test_a_cookie_that_lacks_the_prefix_is_none_over_https(browser: browsers.Browser) -> None:
    browser.sign_in()
    secret = browser.cookies[COOKIE]
    browser.cookies.clear()
    assert browser.get("/v1/session", headers={"cookie": f"estampe-session={secret}"}).status_code == 401


def test_a_wrong_password_opens_nothing_and_is_told_to_nobody(browser: browsers.Browser, office: people.Office) -> None:
    for name in ("alice", "my-secret-typed-here"):
        answer = browser.sign_in(name, "not the password")
        assert browser.code_of(answer) == (401, "sign-in-refused")
        assert not browsers.cookies_of(answer)
    assert _entries(office) == [
        ("create_session", "nobody", "alice", "sign-in-refused"),
        ("create_session", "nobody", "(unknown name)", "sign-in-refused"),
    ]


def test_guessing_for_a_session_is_locked_as_guessing_for_a_key_is(browser: browsers.Browser) -> None:
    for _nth in range(5):
        browser.sign_in(password="not the password")
        browser.post("/v1/login", json={"name": "alice", "password": "not the password"})
    answer = browser.sign_in()
    assert browser.code_of(answer) == (429, "sign-in-locked")
    assert int(answer.headers["retry-after"]) > 0


# --- fixation ---------------------------------------------------------------------------------------------------------------


def test_signing_in_never_takes_over_a_session_that_was_planted(browser: browsers.Browser, api: Any) -> None:
    with _other(api, address="198.51.100.1") as thief:
        thief.sign_in("bob")
        planted = thief.cookies[COOKIE]
        for value in (planted, "0" * 64, "x"):
            browser.cookies.clear()
            browser.cookies.set(COOKIE, value, domain="estampe.test", path="/")
            answer = browser.sign_in()
            fresh = browsers.cookies_of(answer)[COOKIE].partition("=")[2].partition(";")[0]
            assert fresh not in {planted, value}
        assert thief.code_of(thief.get("/v1/session")) == (401, "session-ended")


def test_signing_in_again_ends_the_session_before(browser: browsers.Browser, api: Any) -> None:
    browser.sign_in()
    before = browser.cookies[COOKIE]
    browser.sign_in()
    assert browser.cookies[COOKIE] != before
    with _other(api) as copy:
        copy.cookies.set(COOKIE, before)
        assert copy.get("/v1/session").status_code == 401


# --- requests that nobody meant ---------------------------------------------------------------------------------------------


def test_a_change_by_cookie_needs_the_sessions_own_token(
    browser: browsers.Browser, api: Any, office: people.Office
) -> None:
    browser.sign_in()
    with _other(api) as other:
        other.sign_in("bob")
        foreign = other.token()
        for headers in ({}, {"x-csrf-token": ""}, {"x-csrf-token": foreign}, {"x-csrf-token": "0" * 64}):
            assert _change(browser, **headers) == (403, "cross-site-refused")
    browser_cookie = browser.cookies[COOKIE]
    assert _change(browser, **{"x-csrf-token": browser_cookie}) == (403, "cross-site-refused")
    assert _change(browser, **{"x-csrf-token": browser.token()}) == (201, None)
    refused = [entry for entry in _entries(office) if entry[3] == "cross-site-refused"]
    assert refused == [("create_api_key", "alice", "", "cross-site-refused")] * 5


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"}, {"origin": "null"}, {"origin": "http://estampe.test"},
        {"origin": "https://estampe.test:8443"}, {"origin": "https://estampe.test.evil.test"}, {"origin": ""},
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "https://estampe.test"},
    ],
)  # fmt: skip
def test_what_the_browser_says_comes_from_elsewhere_is_refused_whatever_token_it_shows(
    browser: browsers.Browser, headers: dict[str, str]
) -> None:
    assert browser.code_of(
        browser.post("/v1/session", json={"name": "alice", "password": PASSWORD}, headers=headers)
    ) == (403, "cross-site-refused")
    browser.sign_in()
    assert _change(browser, **{**headers, "x-csrf-token": browser.token()}) == (403, "cross-site-refused")


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"origin": "https://estampe.test"}, {"sec-fetch-site": "same-origin", "origin": "https://estampe.test"},
        {"sec-fetch-site": "none"},
    ],
)  # fmt: skip
def test_what_our_own_pages_send_passes(browser: browsers.Browser, headers: dict[str, str]) -> None:
    browser.sign_in()
    assert _change(browser, **{**headers, "x-csrf-token": browser.token()}) == (201, None)


def test_keys_and_socket_peers_are_asked_for_no_token(browser: browsers.Browser, api: Any) -> None:
    key = browser.post("/v1/login", json={"name": "alice", "password": PASSWORD}).json()["new"]["key"]
    headers = {"authorization": f"Bearer {key}", "origin": "https://evil.test"}
    assert _change(browser, **headers) == (201, None)
    browser.sign_in()
    assert _change(browser, **headers) == (201, None)  # a key wins over the cookie
    with testclient.TestClient(peer.come_from(api, 0)) as local:
        assert _change(local, origin="https://evil.test") == (201, None)


def test_a_form_of_our_own_pages_shows_the_token_in_a_field(browser: browsers.Browser) -> None:
    browser.sign_in()
    token = browser.token()
    for fields in ({}, {"csrf_token": "0" * 64}, {"csrf_token": [token, token]}):
        assert browser.post("/v1/logout", data=fields).status_code == 403
    too_many = "&".join([f"f{nth}=" for nth in range(300)] + [f"csrf_token={token}"])
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert browser.post("/v1/logout", content=too_many, headers=form).status_code == 403
    assert browser.post("/v1/logout", content=b"csrf_token=\xff", headers=form).status_code == 403
    assert browser.post("/v1/logout", data={"csrf_token": token}).status_code == 204
    assert COOKIE not in browser.cookies
    assert browser.get("/v1/session").status_code == 401


def test_no_route_that_changes_something_escapes(browser: browsers.Browser, api: fastapi.FastAPI) -> None:
    browser.sign_in()
    tried = 0
    for path, methods in api.openapi()["paths"].items():
        for method, route in methods.items():
            if method.upper() in origin.SAFE_METHODS or access_table.RULES[route["operationId"]].is_open:
                continue
            asked = path.replace("{account}", "acme").replace("{reference}", "alice").replace("{rule_id}", "x")
            answer = browser.request(method.upper(), asked, json={})
            assert browser.code_of(answer) == (403, "cross-site-refused"), (method, path)
            tried += 1
    assert tried > 30


# --- endings ----------------------------------------------------------------------------------------------------------------


def test_signing_out_ends_the_session_for_whoever_has_its_cookie(browser: browsers.Browser, api: Any) -> None:
    browser.sign_in()
    copied = browser.cookies[COOKIE]
    answer = browser.delete("/v1/session", headers={"x-csrf-token": browser.token()})
    assert answer.status_code == 204
    assert "Max-Age=0" in browsers.cookies_of(answer)[COOKIE]
    with _other(api) as copy:
        copy.cookies.set(COOKIE, copied)
        assert copy.code_of(copy.get("/v1/session")) == (401, "session-ended")


def test_who_shows_no_session_has_none_to_end(browser: browsers.Browser, api: Any) -> None:
    assert browser.delete("/v1/session").status_code == 401
    with testclient.TestClient(peer.come_from(api, 0)) as local:
        assert local.get("/v1/session").json()["session"] is None
        assert local.get("/v1/session").json()["csrf_token"] is None
        assert local.delete("/v1/session").status_code == 400


def test_a_session_ends_unused_and_however_much_it_is_used(browser: browsers.Browser, office: people.Office) -> None:
    hour = datetime.timedelta(hours=1)
    browser.sign_in()
    office.now = people.NOW + hour
    assert browser.code_of(browser.get("/v1/session")) == (401, "session-ended")
    office.now = people.NOW
    browser.sign_in()
    for nth in range(12 * 4):
        office.now = people.NOW + nth * hour / 4
        assert browser.get("/v1/session").status_code == 200
    office.now = people.NOW + 12 * hour
    assert browser.get("/v1/session").status_code == 401


def test_a_new_password_and_a_suspended_account_end_sessions(browser: browsers.Browser, office: people.Office) -> None:
    browser.sign_in()
    office.bundle.people.rows.set_password("alice", people.QUICK.hash(PASSWORD), at=office.now)
    assert browser.get("/v1/session").status_code == 401
    browser.sign_in()
    acme = office.bundle.accounts.resolve("acme")
    office.bundle.accounts.suspend(acme.id)
    assert browser.get("/v1/session").status_code == 401
    browser.sign_in()  # to look at things
    assert _change(browser, **{"x-csrf-token": browser.token()}) == (403, "account-suspended")


def test_a_role_and_a_membership_hold_at_once(browser: browsers.Browser, office: people.Office) -> None:
    browser.sign_in()
    acme = office.bundle.accounts.resolve("acme")
    office.bundle.people.set_role(acme.id, "alice", account.Role.VIEWER)
    assert browser.get("/v1/session").json()["actor"]["role"] == "viewer"
    office.bundle.people.remove_member(acme.id, "alice")
    assert browser.get("/v1/session").status_code == 401


def test_a_session_acts_for_its_account_alone(browser: browsers.Browser, office: people.Office) -> None:
    office.bundle.accounts.create("globex")
    browser.sign_in()
    for name in ("globex", "no-such"):
        assert browser.get("/v1/session", headers={"estampe-account": name}).status_code == 404
    office.bundle.people.add_user("root", password=PASSWORD, is_cloud_operator=True)
    told = browser.sign_in("root", account="acme").json()
    assert (told["actor"]["account"]["name"], told["actor"]["is_cloud_operator"]) == ("acme", True)
    assert browser.get("/v1/identity").json()["account"]["name"] == "acme"
    named = browser.get("/v1/session", headers={"estampe-account": "globex"}).json()
    assert named["actor"]["account"]["name"] == "globex"
    assert named["session"]["id"] == told["session"]["id"]


def test_what_is_no_session_is_refused_not_passed_over(browser: browsers.Browser, api: Any) -> None:
    for value in ("", "x", "0" * 64, "0" * 63, "é" * 64):
        answer = browser.get("/v1/session", headers={"cookie": f"{COOKIE}={value}".encode()})
        assert browser.code_of(answer) == (401, "session-ended"), value
    with testclient.TestClient(peer.come_from(api, 0), base_url=browsers.ORIGIN) as local:
        assert local.get("/v1/session", headers={"cookie": f"{COOKIE}=x"}).status_code == 401
        assert local.get("/v1/health", headers={"cookie": f"{COOKIE}=x"}).status_code == 200


# --- lists ------------------------------------------------------------------------------------------------------------------


def test_owners_see_and_end_all_sessions_of_the_account_and_others_their_own(
    browser: browsers.Browser, api: Any, office: people.Office
) -> None:
    browser.sign_in()
    with _other(api, address="198.51.100.1") as other:
        other.headers["user-agent"] = "Fox\x7f" + "y" * 300
        other.sign_in("bob")
        listed = browser.get("/v1/sessions", params={"sort": "user"}).json()["sessions"]
        assert [each["user"] for each in listed] == ["alice", "bob"]
        assert listed[1]["agent"] == "Fox" + "y" * 253
        assert listed[1]["address"] == "198.51.100.1"
        assert [each["user"] for each in other.get("/v1/sessions").json()["sessions"]] == ["bob"]
        alices, bobs = (each["id"] for each in listed)
        headers = {"x-csrf-token": other.token()}
        assert other.code_of(other.delete(f"/v1/sessions/{alices}", headers=headers)) == (404, "session-not-found")
        ended = browser.delete(f"/v1/sessions/{bobs[:8]}", headers={"x-csrf-token": browser.token()})
        assert (ended.status_code, ended.json()["user"]) == (200, "bob")
        assert other.get("/v1/session").status_code == 401
    assert _entries(office)[-1][:3] == ("revoke_session", "alice", bobs[:8])


def test_lists_of_sessions_come_in_pages_and_by_filter(browser: browsers.Browser, api: Any) -> None:
    browser.sign_in()
    for _nth in range(3):
        with _other(api) as other:
            other.sign_in("bob")
    first = browser.get("/v1/sessions", params={"limit": 3, "sort": "-user"}).json()
    second = browser.get("/v1/sessions", params={"limit": 3, "sort": "-user", "after": first["next"]}).json()
    assert [each["user"] for each in first["sessions"] + second["sessions"]] == ["bob", "bob", "bob", "alice"]
    assert second["next"] is None
    assert len(browser.get("/v1/sessions", params={"user": "a*"}).json()["sessions"]) == 1
    assert browser.get("/v1/sessions", params={"method": "oidc"}).json()["sessions"] == []


# --- acting for another account -------------------------------------------------------------------------------------------


def _member_of_globex(office: people.Office, role: account.Role = account.Role.VIEWER) -> None:
    office.bundle.people.add_member(office.bundle.accounts.create("globex").id, "alice", role)


def _switch(browser: browsers.Browser, name: str) -> Any:
    return browser.put("/v1/session/account", json={"account": name}, headers={"X-CSRF-Token": browser.token()})


def test_a_person_sees_the_accounts_to_choose_from_and_switches(office, browser) -> None:
    _member_of_globex(office)
    browser.sign_in(account="acme")
    listed = browser.get("/v1/session/accounts").json()["memberships"]
    assert [(each["account"]["name"], each["role"]) for each in listed] == [("acme", "owner"), ("globex", "viewer")]
    before, until = browser.cookies[COOKIE], browser.get("/v1/session").json()["session"]["expires_at"]
    office.now += datetime.timedelta(minutes=30)
    told = _switch(browser, "globex").json()
    assert (told["actor"]["account"]["name"], told["actor"]["role"]) == ("globex", "viewer")
    assert told["session"]["expires_at"] == until  # not a way to stay signed in for ever
    assert browser.cookies[COOKIE] != before
    assert browser.get("/v1/session", headers={"Cookie": f"{COOKIE}={before}"}).status_code == 401
    assert [entry[:3] for entry in _entries(office)][-1] == ("switch_account", "alice", "globex")


def test_nobody_switches_to_an_account_of_others(office, browser) -> None:
    office.bundle.accounts.create("globex")
    browser.sign_in()
    cookie = browser.cookies[COOKIE]
    foreign, missing = _switch(browser, "globex"), _switch(browser, "nothing-so")
    assert [browser.code_of(each) for each in (foreign, missing)] == [(404, "account-not-found")] * 2
    assert browser.cookies[COOKIE] == cookie


def test_switching_needs_the_token_and_a_session(office, browser) -> None:
    _member_of_globex(office)
    browser.sign_in(account="acme")
    refused = browser.put("/v1/session/account", json={"account": "globex"})
    assert browser.code_of(refused) == (403, "cross-site-refused")
    key = browser.post("/v1/login", json={"name": "bob", "password": PASSWORD}).json()["new"]["key"]
    refused = browser.put("/v1/session/account", json={"account": "acme"}, headers={"Authorization": f"Bearer {key}"})
    assert browser.code_of(refused) == (400, "invalid-request")


def test_anybody_is_told_how_to_sign_in(office, browser) -> None:
    assert browser.get("/v1/sign-in").json() == {"has_oidc": True}
