"""What keeps the console safe: headers, tokens, origins, escaping, and that the gate decides."""

from __future__ import annotations

import hashlib
import re
import tomllib

import pytest
from starlette import testclient
from tests.unit.web import reader, town

from estampe.api import peer
from estampe.web import assets, headers, pages

_PATHS = ("/catalogue", "/catalogue?tab=public", "/templates/web@3", "/templates/db@1", "/trash", "/account")


# --- headers and files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/sign-in", "/nothing-so", "/catalogue", "/preferences"])
def test_every_answer_forbids_what_pages_do_not_need(nobody, path) -> None:
    told = nobody.get(path).headers
    assert told["Content-Security-Policy"] == headers.CONTENT_SECURITY_POLICY
    assert "unsafe" not in told["Content-Security-Policy"]
    assert told["X-Content-Type-Options"] == "nosniff"
    assert told["Referrer-Policy"] == "same-origin"
    assert told["Cross-Origin-Opener-Policy"] == "same-origin"
    assert told["Cache-Control"] == "no-store"
    assert re.fullmatch(r"[0-9a-f-]{36}", told["X-Request-Id"])


def test_files_are_kept_for_ever_by_their_contents(nobody) -> None:
    files = assets.Assets.load()
    answer = nobody.get(files.url("css/estampe.css"))
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert (answer.headers["Content-Type"], len(answer.content) > 1000) == ("text/css; charset=utf-8", True)
    assert nobody.get("/static/0000/css/estampe.css").headers["Cache-Control"] == "no-store"
    for name in ("nothing.css", "../app.py", "vendor/vendored.toml", "%2e%2e/app.py"):
        assert nobody.get(f"/static/{files.digest}/{name}").status_code == 404, name


def test_what_is_vendored_is_what_its_registry_has() -> None:
    directory = assets.DIRECTORY / "vendor"
    listed = tomllib.loads((directory / "vendored.toml").read_text())["file"]
    for each in listed:
        assert hashlib.sha256((directory / each["name"]).read_bytes()).hexdigest() == each["sha256"], each["name"]
        assert (directory / each["licence_file"]).read_text()
    told = {each["name"] for each in listed} | {each["licence_file"] for each in listed} | {"vendored.toml"}
    assert {path.name for path in directory.iterdir()} == told


# --- hostile text -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", _PATHS)
def test_hostile_names_and_notes_stay_text(alice, path) -> None:
    page = alice.open(path)
    scripts = [told for tag, told in page.tags if tag == "script"]
    assert all(told.get("src", "").startswith("/static/") for told in scripts)
    handlers = [name for _tag, told in page.tags for name in told if name.startswith("on") or name == "style"]
    images = [told["src"] for tag, told in page.tags if tag == "img"]
    assert (handlers, [each for each in images if not each.startswith("/static/")]) == ([], [])
    if "db@1" in path or path == "/catalogue":
        assert town.HOSTILE in page.text


@pytest.mark.parametrize(
    "path", ["/catalogue?name=%3Cscript%3E", "/catalogue?tab=%22%3E%3Cb%3E", "/%3Cscript%3E", "/templates/%3Cb%3E@1"]
)
def test_hostile_addresses_stay_text(alice, path) -> None:
    answer = alice.get(path)
    assert answer.status_code in {200, 404}
    assert not re.search(r"<script>|<b>", answer.text)


def test_no_key_and_no_secret_is_in_a_page(alice) -> None:
    cookie = alice.cookies["estampe-session"]
    for path in _PATHS:
        text = alice.get(path).text
        assert cookie not in text
        assert "est_" not in text


# --- forms ------------------------------------------------------------------------------------------------------------------


def _posts() -> list[str]:
    found = [each for of in pages.ALL for each in of.handled if each.method == "POST" and each.needs_token]
    return [each.path.replace("{reference:path}", "web@3").replace("{action}", "protect") for each in found]


@pytest.mark.parametrize("path", _posts())
@pytest.mark.parametrize("token", [None, "", "0" * 64])
def test_a_form_without_the_token_changes_nothing(alice, path, token) -> None:
    fields = {"account": "globex", "theme": "dark", **({} if token is None else {"csrf_token": token})}
    answer = alice.post(path, data=fields)
    assert (answer.status_code, "cross-site-refused" in answer.text) == (403, True)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", _posts())
@pytest.mark.parametrize(
    "told", [{"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
def test_a_form_from_elsewhere_changes_nothing(alice, path, told) -> None:
    answer = alice.post(path, data={"csrf_token": alice.token()}, headers=told)
    assert (answer.status_code, "cross-site-refused" in answer.text) == (403, True)


def test_nobody_is_signed_in_by_a_form_of_another_site(nobody) -> None:
    fields = {"name": "alice", "password": town.PASSWORD, "account": "acme"}
    assert nobody.post("/sign-in", data=fields, headers={"Origin": "https://evil.test"}).status_code == 403
    assert "estampe-session" not in nobody.cookies


def test_only_the_form_to_sign_in_needs_no_token() -> None:
    assert [each.path for of in pages.ALL for each in of.handled if not each.needs_token] == ["/sign-in"]


def test_every_form_that_changes_something_carries_the_token(alice) -> None:
    for path in (*_PATHS, "/preferences", "/templates/old@1"):
        posted = [form for form in alice.open(path).forms if form["method"] == "post"]
        assert posted
        assert {form["fields"].get("csrf_token") for form in posted} == {alice.token()}, path


@pytest.mark.parametrize(
    ("body", "kind"), [(b"x" * 2_000_000, "application/x-www-form-urlencoded"), (b"{}", "application/json")]
)
def test_what_is_no_form_is_refused(alice, body, kind) -> None:
    assert alice.post("/preferences", content=body, headers={"Content-Type": kind}).status_code == 400


# --- who may see what ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*_PATHS, "/", "/templates/web@3/-/usage"])
def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(nobody, path) -> None:
    answer = nobody.get(path)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/sign-in?next=%2F")


def test_htmx_is_sent_to_sign_in_as_a_whole_page(nobody) -> None:
    told = {"HX-Request": "true", "HX-Current-URL": f"{town.ORIGIN}/catalogue?tab=public"}
    answer = nobody.get("/templates/web@3/-/usage", headers=told)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/sign-in?next=%2Fcatalogue%3Ftab%3Dpublic")


def _page(opened: reader.Reader, path: str) -> tuple[int, str]:
    answer = opened.get(path)
    return answer.status_code, re.sub(r'value="[0-9a-f]{64}"|next=[^"]*', "", answer.text)


def test_what_is_foreign_looks_as_what_is_missing(gina) -> None:
    for suffix in ("", "/-/usage"):
        foreign = _page(gina, f"/templates/acme/web@1{suffix}")
        missing = _page(gina, f"/templates/acme/wob@1{suffix}")
        assert foreign[0] == missing[0] == 404
        assert foreign[1].replace("web", "wob") == missing[1]
    foreign = gina.fill("/templates/acme/web@1/-/delete")
    missing = gina.fill("/templates/acme/wob@1/-/delete")
    assert (foreign.status_code, missing.status_code) == (404, 404)


def test_what_another_shares_is_seen_and_not_changed(gina) -> None:
    page = gina.open("/templates/acme/web@3")
    assert "published by acme" in page.text
    assert {form["action"].rsplit("/", 1)[-1] for form in page.forms} == {"sign-out", "hide"}
    assert "web-01" not in page.text  # its server's name is acme's own business
    for action in ("edit", "delete", "share", "publish", "protect"):
        refused = gina.fill(f"/templates/acme/web@3/-/{action}", account="globex")
        assert (refused.status_code, "template-not-owned" in refused.text or refused.status_code == 404) == (
            refused.status_code,
            True,
        )
        assert refused.status_code in {403, 404}


def test_the_socket_lends_its_rights_to_no_browser(town) -> None:
    """Who forwards the socket for a browser (`ssh -L`) must not make every page it shows the cloud operator."""
    served = peer.come_from(town.served, 0)
    with testclient.TestClient(served, base_url="http://estampe", follow_redirects=False) as http:
        assert http.get("/v1/identity").json()["is_cloud_operator"]
        assert http.get("/catalogue").status_code == 303
        assert http.post("/account/switch", data={"account": "acme"}).status_code == 303


def test_the_api_is_where_it_was(nobody) -> None:
    assert nobody.get("/v1/health").json() == {"status": "ok"}
    missing = nobody.get("/v1/nothing-so")
    assert (missing.status_code, missing.headers["Content-Type"]) == (404, "application/problem+json")
    assert nobody.delete("/v1/templates").status_code == 405
