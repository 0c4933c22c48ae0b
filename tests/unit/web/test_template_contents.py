"""What is installed in a template, and what is different between two."""

from __future__ import annotations

import re

import pytest

from estampe.model import inventory

CONTENTS, DIFF = "/templates/web@3/-/contents", "/templates/web@2/-/diff"


def test_packages_services_and_users_are_told(alice) -> None:
    assert CONTENTS in alice.open("/templates/web@3").links
    text = alice.open(CONTENTS).text
    for told in ("4 of 4", "nginx 1.23-1 amd64", "shop.service", "shop 998 /usr/sbin/nologin"):
        assert told in text, told


def test_packages_are_searched(alice) -> None:
    page = alice.open(f"{CONTENTS}?name=SSL")
    assert "1 of 4" in page.text
    assert "openssl 3.0.15" in page.text
    assert "nginx 1.23" not in page.text
    assert "0 of 4" in alice.open(f"{CONTENTS}?name=%3Cscript%3E").text


def test_others_see_packages_alone(gina) -> None:
    assert "/templates/acme/web@3/-/contents" in gina.open("/templates/acme/web@3").links
    text = gina.open("/templates/acme/web@3/-/contents").text
    assert "nginx 1.23-1" in text
    assert "nologin" not in text
    assert "shop.service" not in text


def test_of_a_long_list_a_part_is_shown_and_said_so(town, alice) -> None:
    made = town.capture(town.acme, "long-list")
    packages = [inventory.Package(name=f"p{nth:04}", version="1", architecture="amd64") for nth in range(700)]
    known = inventory.Inventory(packages=tuple(packages), users=(), services=(), files={}, cut=("packages",))
    town.site.give_inventory(made.id, inventory.encode(known))
    text = alice.open("/templates/long-list@1/-/contents").text
    assert "700 of 700 · the first 500 are shown · the list was too long to be recorded whole" in text
    assert "p0499" in text
    assert "p0500" not in text


def test_a_template_without_inventory_says_why(town, alice) -> None:
    town.capture(town.acme, "unlooked")
    assert "/templates/unlooked@1/-/contents" not in alice.open("/templates/unlooked@1").links
    answer = alice.get("/templates/unlooked@1/-/contents")
    assert (answer.status_code, "Capture the server again" in answer.text) == (404, True)


def test_versions_lead_to_their_differences_from_the_older_to_the_newer(alice) -> None:
    assert f"{DIFF}?to=web%403" in alice.open("/templates/web@3").links
    assert f"{DIFF}?to=web%403" in alice.open("/templates/web@2").links


def test_differences_are_told(alice) -> None:
    page = alice.open(f"{DIFF}?to=web@3")
    for told in ("Packages 1", "nginx:amd64 changed 1.22-1 1.23-1", "Users 1", "shop added — ", "Files in /etc 1"):
        assert told in page.text, told
    assert "/templates/web@3/-/diff?to=web%402" in page.links
    assert "They are alike" not in page.text
    assert "removed" in alice.open("/templates/web@3/-/diff?to=web@2").text
    assert "They are alike in all that is compared." in alice.open(f"{DIFF}?to=web@2").text


def test_without_another_template_it_asks_for_one(alice) -> None:
    page = alice.open(DIFF)
    assert page.form(DIFF)["fields"] == {"to": ""}
    assert ("option", {"value": "web@1"}) in page.tags


@pytest.mark.parametrize(
    ("to", "status"), [("nothing-so@1", 404), ("%3Cscript%3E", 404), ("x" * 400, 404), ("web@0", 404)]
)
def test_what_is_not_there_is_told_above_the_form(alice, to, status) -> None:
    answer = alice.get(f"{DIFF}?to={to}")
    assert answer.status_code in {status, 400}
    assert "Compare with" in answer.text
    assert "<script>" not in answer.text


def test_others_templates_are_compared_by_what_they_show(gina) -> None:
    text = gina.open("/templates/acme/web@3/-/diff?to=lab@1").text
    assert "Not compared" in text or "Packages" in text
    assert not re.search(r"/etc/nginx", text)
    assert gina.get("/templates/acme/web@2/-/diff?to=lab@1").status_code == 404
