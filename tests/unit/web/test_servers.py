"""Servers in pages, and what is done with them."""

from __future__ import annotations

import uuid

import pytest
from tests.unit.api import fakes
from tests.unit.web import reader
from tests.unit.web import town as towns

from estampe import errors
from estampe.model import final, power


@pytest.fixture
def fresh(town) -> str:
    """A server of acme's that runs, and that no other test looks at."""
    name = f"s-{uuid.uuid4().hex[:8]}"
    town.site.add_server(name, is_running=True)
    town.services.servers.assign(name, town.acme.id)
    return name


def _goes_to(answer, path: str) -> None:
    assert (answer.status_code, answer.headers.get("Location")) == (303, path), reader.Page(answer.text).text


def _act(alice, name: str, action: str, **fields: str):
    form = alice.open(f"/servers/{name}").form(f"/servers/{name}/-/{action}")
    return alice.post(form["action"], data=form["fields"] | fields)


def test_the_list_has_the_accounts_own(alice, gina) -> None:
    page = alice.open("/servers")
    assert {"/servers/web-01", "/servers/web-01/-/capture"} <= set(page.links)
    assert "/servers/lab-01" not in page.links
    assert "/servers/web-01" not in gina.open("/servers").links
    assert gina.get("/servers/web-01").status_code == 404


def test_hostile_names_stay_text_and_lead_to_their_page(alice) -> None:
    page = alice.open("/servers")
    assert towns.HOSTILE_SERVER in page.text
    (link,) = [each for each in page.links if "onerror" in each and not each.endswith("/-/capture")]
    assert towns.HOSTILE_SERVER in alice.open(link).text


@pytest.mark.parametrize(
    ("query", "is_found"),
    [("name=web", True), ("name=nothing", False), ("state=shut off", True), ("state=paused", False), ("state=x", True)],
)
def test_the_list_is_narrowed(alice, query, is_found) -> None:
    assert ("/servers/web-01" in alice.open(f"/servers?{query}").links) == is_found


def test_a_server_tells_what_it_is(alice, fresh) -> None:
    text = alice.open(f"/servers/{fresh}").text
    for told in ("running", "Addresses", "vda", "raw", "Network interfaces", "not from a template"):
        assert told in text, told


def test_addresses_are_those_that_its_agent_tells(town, alice, fresh) -> None:
    assert "Addresses none told yet" in alice.open(f"/servers/{fresh}").text
    town.site.add_server("told-01", is_running=True, addresses=["192.0.2.17", "2001:db8::17"])
    town.services.servers.assign("told-01", town.acme.id)
    assert "Addresses 192.0.2.17 2001:db8::17" in alice.open("/servers/told-01").text


def test_one_is_shut_down_and_started(alice, fresh) -> None:
    _goes_to(_act(alice, fresh, "stop"), f"/servers/{fresh}")
    page = alice.open(f"/servers/{fresh}")
    assert "The server is off." in page.text
    _goes_to(_act(alice, fresh, "start"), f"/servers/{fresh}")
    assert "running" in alice.open(f"/servers/{fresh}").text
    refused = _act(alice, fresh, "stop", timeout_seconds="soon")
    assert (refused.status_code, "must be a whole number" in refused.text) == (400, True)


def test_one_is_deleted_with_its_volumes_or_without(town, alice, fresh) -> None:
    refused = _act(alice, fresh, "delete")
    assert (refused.status_code, "does not allow this now" in refused.text) == (409, True)
    _goes_to(_act(alice, fresh, "delete", is_forced="yes", is_volumes_deleted="yes"), "/servers")
    assert "The server is deleted." in alice.open("/servers").text
    assert f"{fresh}.raw" not in town.site.volumes()


def test_one_is_given_to_another_account_by_the_cloud_operator(town, alice, gina, fresh) -> None:
    assert f"/servers/{fresh}/-/assign" not in {form["action"] for form in alice.open(f"/servers/{fresh}").forms}
    assert alice.fill(f"/servers/{fresh}/-/assign", account="globex").status_code == 403
    with reader.Reader(town) as oscar:
        oscar.sign_in("oscar", account=None)
        oscar.fill("/account/switch", account="acme")
        refused = _act(oscar, fresh, "assign", account="nobody-so")
        assert (refused.status_code, "There is no account nobody-so." in refused.text) == (404, True)
        _goes_to(_act(oscar, fresh, "assign", account="globex"), "/servers")
    assert gina.get(f"/servers/{fresh}").status_code == 200
    assert alice.get(f"/servers/{fresh}").status_code == 404


def test_a_viewer_is_offered_nothing_that_would_be_refused(town) -> None:
    with reader.Reader(town) as victor:
        victor.sign_in("victor", account=None)
        for path in ("/servers", "/servers/web-01"):
            page = victor.open(path)
            assert {form["action"] for form in page.forms if form["method"] == "post"} == {"/sign-out"}
            assert "/servers/web-01/-/capture" not in page.links
        assert victor.fill("/servers/web-01/-/start").status_code == 403


def test_what_its_deployment_made_of_it_is_told(world, http) -> None:
    report = (
        final.Change(what="host name", means=final.Means.SEED, detail="web-02"),
        final.Change(
            what="time zone", means=final.Means.APPLIANCE, detail="<b>Europe/Paris</b>", outcome=final.Outcome.LEFT, why="no zoneinfo there"
        ),
    )  # fmt: skip
    world.servers["web-02"] = fakes.a_server(name="web-02")
    world.reports["web-02"] = report
    text = reader.Page(http.get("/servers/web-02").text).text
    for told in (
        "Its final configuration", "done host name : web-02 by the seed that its first boot reads",
        "left as it was time zone : <b>Europe/Paris</b>", "no zoneinfo there",
    ):  # fmt: skip
        assert told in text, told


def test_one_that_was_not_deployed_has_no_report(alice) -> None:
    assert "final configuration" not in alice.open("/servers/web-01").text


def test_what_is_no_action_is_no_page(alice) -> None:
    assert alice.fill("/servers/web-01/-/nonsense").status_code == 404


def test_a_server_that_did_not_shut_down_says_what_to_do(world, http) -> None:
    world.servers["web-01"] = fakes.a_server(power_state=power.PowerState.RUNNING)
    form = reader.Page(http.get("/servers/web-01").text).form("/servers/web-01/-/stop")
    for failure, said in (
        (errors.ShutdownTimeout(server="web-01", seconds=60.0), "did not shut down in time, and was left running"),
        (errors.HypervisorUnavailable(uri="qemu:///system", detail="gone"), "The hypervisor does not answer."),
    ):
        world.failure = failure
        answer = http.post(form["action"], data=form["fields"])
        world.failure = None
        assert said in answer.text
        assert answer.status_code in {409, 503}
