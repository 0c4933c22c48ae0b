"""The pages of a server's screen and serial console, and the tickets that their scripts ask for."""

from __future__ import annotations

import uuid

import pytest
from tests.unit.web import reader

from estampe.model import terminal


@pytest.fixture
def fresh(town) -> str:
    """A server of acme's that runs, with a screen and a serial port."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    server_uuid = town.site.host.add_server(name, has_terminals=True)
    town.site.host.start(server_uuid)
    town.services.servers.assign(name, town.acme.id)
    return name


def _token(page: reader.Page) -> str:
    return next(told["data-csrf"] for _tag, told in page.tags if "data-csrf" in told)


def _ask(alice, name: str, kind: str, **fields: str):
    token = _token(alice.open(f"/servers/{name}/{kind}"))
    return alice.post(f"/servers/{name}/{kind}", data={"csrf_token": token, **fields})


@pytest.mark.parametrize("kind", terminal.Kind)
def test_a_page_loads_its_script_and_says_where_the_socket_is(alice, town, fresh, kind) -> None:
    page = alice.open(f"/servers/{fresh}/{kind}")
    (told,) = [told for _tag, told in page.tags if "data-terminal" in told]
    server = town.services.servers.get(town.acme.id, fresh).summary
    assert told["data-socket"] == f"/v1/servers/{server.id}/{kind}"
    assert told["data-server-off"] == "4000"
    assert any(f"/js/{kind}.js" in told.get("src", "") for tag, told in page.tags if tag == "script")
    assert {f"/servers/{fresh}", f"/servers/{fresh}/screen", f"/servers/{fresh}/serial"} <= set(page.links)


def test_a_server_that_is_on_leads_there(alice, fresh, town) -> None:
    assert {f"/servers/{fresh}/screen", f"/servers/{fresh}/serial"} <= set(alice.open(f"/servers/{fresh}").links)
    assert f"/servers/{fresh}/screen" not in alice.open("/servers/web-01").links  # it is off


@pytest.mark.parametrize("kind", terminal.Kind)
def test_a_ticket_goes_to_the_script_alone(alice, fresh, kind) -> None:
    answer = _ask(alice, fresh, kind, is_taken_over="yes")
    offered = answer.json()["subprotocols"]
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert len(terminal.ticket_in(offered) or "") == 43
    assert offered[1] not in alice.open(f"/servers/{fresh}/{kind}").text


def test_what_is_wrong_is_said_in_the_readers_language(alice, town) -> None:
    name = f"t-{uuid.uuid4().hex[:8]}"
    town.site.add_server(name, is_running=True)
    town.services.servers.assign(name, town.acme.id)
    told = _ask(alice, name, "screen")
    assert (told.status_code, told.json()["code"]) == (422, "no-screen")
    assert told.json()["title"] == "This server has no screen that can be shown."
    alice.headers["accept-language"] = "fr"
    assert "console série" in _ask(alice, name, "serial").json()["title"]


def test_a_ticket_takes_the_token_of_the_page(alice, fresh) -> None:
    assert alice.post(f"/servers/{fresh}/screen", data={"csrf_token": "another"}).status_code == 403


def test_a_viewer_is_told_what_it_takes_and_gets_none(victor, fresh) -> None:
    page = victor.open(f"/servers/{fresh}/screen")
    assert "takes the role operator" in page.text
    assert not [told for _tag, told in page.tags if "data-terminal" in told]
    token = next(told["value"] for _tag, told in page.tags if told.get("name") == "csrf_token")
    answer = victor.post(f"/servers/{fresh}/screen", data={"csrf_token": token})
    assert (answer.status_code, answer.json()["code"]) == (403, "role-denied")


def test_of_another_account_there_is_nothing(gina, fresh) -> None:
    for kind in terminal.Kind:
        assert gina.get(f"/servers/{fresh}/{kind}").status_code == 404
