"""Signing in and out, accounts, and what a browser remembers."""

from __future__ import annotations

import pytest
from tests.unit.web import reader
from tests.unit.web import town as towns


def test_a_person_signs_in_and_goes_on_to_where_it_was(nobody) -> None:
    answer = nobody.sign_in("gina", account=None, next="/catalogue?tab=public")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/catalogue?tab=public")
    assert "gina" in nobody.open("/catalogue").text
    assert nobody.get("/sign-in?next=/trash").headers["Location"] == "/trash"


@pytest.mark.parametrize("goal", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", ""])
def test_nobody_is_led_to_another_host(nobody, goal) -> None:
    assert nobody.sign_in("gina", account=None, next=goal).headers["Location"] == "/"


@pytest.mark.parametrize(("name", "password"), [("gina", "wrong"), ("nobody-so", "wrong"), ("<b>", "x"), ("", "")])
def test_a_refusal_tells_nothing_of_what_was_wrong(nobody, name, password) -> None:
    answer = nobody.sign_in(name, account=None, password=password)
    assert (answer.status_code, "sign-in-refused" in answer.text) == (401, True)
    assert "<b>" not in answer.text
    assert password == "" or f'value="{password}"' not in answer.text


def test_names_are_found_however_they_are_written(nobody) -> None:
    assert nobody.sign_in("Gina ", account=None).status_code == 303


def test_who_belongs_to_several_accounts_is_asked_which(nobody) -> None:
    answer = nobody.sign_in("alice", account=None)
    assert answer.status_code == 400
    page = reader.Page(answer.text)
    assert "You belong to several accounts" in page.text
    assert "acme globex" in page.text
    assert nobody.sign_in("alice", account="globex").status_code == 303
    assert "viewer in account globex" in nobody.open("/catalogue").text


def test_a_lock_out_says_how_long(town) -> None:
    with reader.Reader(town, address="198.51.100.9") as guesser:
        for _ in range(10):
            answer = guesser.sign_in("victor", account=None, password="wrong")
        answer = guesser.sign_in("victor", account=None)
    assert (answer.status_code, "sign-in-locked" in answer.text) == (429, True)
    assert "Wait " in reader.Page(answer.text).text


def test_signing_out_ends_the_session_at_the_daemon(alice) -> None:
    cookie = alice.cookies["estampe-session"]
    answer = alice.fill("/sign-out")
    assert answer.headers["Location"] == "/sign-in"
    assert "You are signed out." in alice.open("/sign-in").text
    assert alice.get("/v1/session", headers={"Cookie": f"estampe-session={cookie}"}).status_code == 401


def test_a_session_that_ended_leads_to_sign_in(alice, town) -> None:
    town.services.sessions.revoke(town.actor(town.acme, "alice"), alice.get("/v1/session").json()["session"]["id"])
    assert alice.get("/trash").headers["Location"] == "/sign-in?next=%2Ftrash"
    assert alice.post("/templates/web@3/-/protect", data={"csrf_token": "x"}).headers["Location"] == "/sign-in?next=%2F"


def test_accounts_are_switched_without_signing_in_again(alice) -> None:
    page = alice.open("/account")
    assert "acme owner the present one" in page.text
    form = page.form("/account/switch")
    assert form["fields"]["account"] == "globex"
    answer = alice.post(form["action"], data=form["fields"])
    assert answer.status_code == 303
    after = alice.open("/catalogue")
    assert "viewer in account globex" in after.text
    assert "You work for account globex now." in after.text
    assert "You work for account" not in alice.open("/catalogue").text  # said once
    assert alice.get("/templates/web@1").status_code == 404
    assert "Actions" in alice.open("/templates/lab@1").text


def test_nobody_switches_to_an_account_of_others(gina) -> None:
    answer = gina.fill("/account/switch", account="acme")
    assert (answer.status_code, "account-not-found" in answer.text) == (404, True)


def test_the_cloud_operator_chooses_among_all_accounts(town) -> None:
    with reader.Reader(town) as oscar:
        oscar.sign_in("oscar", account=None)
        assert "acme" in oscar.open("/account?name=a*").text
        oscar.fill("/account/switch", account="acme")
        assert "web @3" in oscar.open("/templates/web@3").text


def test_another_browser_is_signed_out(town, alice) -> None:
    with reader.Reader(town, address="192.0.2.99") as other:
        other.sign_in()
        page = alice.open("/account")
        assert "192.0.2.99" in page.text
        mine = alice.get("/v1/session").json()["session"]["id"]
        ends = [form for form in page.forms if form["action"] == "/account/sessions/end"]
        assert mine not in {form["fields"]["session"] for form in ends}
        for form in ends:
            assert alice.post(form["action"], data=form["fields"]).status_code == 303
        assert other.get("/catalogue").status_code == 303


# --- language and colours ---------------------------------------------------------------------------------------------------


def test_language_and_colours_are_chosen_and_kept(nobody) -> None:
    assert '<html lang="en" data-theme="auto">' in nobody.get("/sign-in").text
    answer = nobody.post("/preferences", data={"language": "fr", "theme": "dark", "next": "/sign-in"})
    assert answer.headers["Location"] == "/sign-in"
    page = nobody.get("/sign-in").text
    assert '<html lang="fr" data-theme="dark">' in page
    assert "Votre choix est enregistré." in page
    assert "Mot de passe" in page


def test_a_browser_is_answered_in_its_own_language(town) -> None:
    with reader.Reader(town, language="fr-FR, en;q=0.5") as french:
        french.sign_in()
        assert "Partagés avec moi" in french.open("/catalogue").text
        assert "Aller au catalogue" in french.get("/nothing-so").text
        assert "Le nom, le mot de passe ou le compte est incorrect." in french.sign_in(password="x").text


@pytest.mark.parametrize("fields", [{"language": "xx"}, {"theme": "<b>"}, {}])
def test_a_choice_that_there_is_not_is_passed_over(nobody, fields) -> None:
    nobody.post("/preferences", data=fields)
    assert {"estampe-language", "estampe-theme"} & set(nobody.cookies) == set()


# --- the OpenID provider ----------------------------------------------------------------------------------------------------


def test_without_a_provider_nothing_is_said_of_one(nobody) -> None:
    assert "OpenID" not in nobody.open("/sign-in").text


def test_the_detour_ends_in_a_page_where_something_is_wrong(nobody) -> None:
    for path in ("/v1/oidc/start?next=/", f"/v1/oidc/callback?state={'s' * 43}&code=c"):
        answer = nobody.get(path)
        assert answer.headers["Content-Type"].startswith("text/html"), path
        assert answer.status_code == 422
        assert "There is no OpenID provider here." in reader.Page(answer.text).text
    assert nobody.get("/v1/oidc/start", headers={"Accept": "*/*"}).headers["Content-Type"] == "application/problem+json"


def test_people_sign_in_at_the_provider_where_there_is_one(town) -> None:
    provided = towns.provided(town)
    with reader.Reader(town, served=provided) as person:
        (link,) = [each for each in person.open("/sign-in?next=/trash").links if "oidc" in each]
        answer = person.get(link)
        assert answer.headers["Location"].startswith("https://idp.test/authorize?state=")
        state = answer.headers["Location"].partition("state=")[2]
        back = person.get(f"/v1/oidc/callback?state={state}&code=c")
        assert (back.status_code, back.headers["Location"]) == (303, "/trash")
        assert "estampe-session" in person.cookies
