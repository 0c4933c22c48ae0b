"""Every route's success, and that what a service is asked is what the caller said."""

from __future__ import annotations

from typing import Any

import fastapi
import pytest
from starlette import testclient
from tests.unit.api import fakes

from estampe import errors
from estampe.capture import request as capture
from estampe.deploy import request as deploy
from estampe.model import characteristics, listing, operation
from estampe.store import manifests


@pytest.fixture
def running(world: fakes.World) -> operation.Operation:
    return world.begin(operation.Kind.CAPTURE, "web-01")


def test_servers_are_listed(http: testclient.TestClient, world: fakes.World) -> None:
    world.servers["db-01"] = fakes.a_server(name="db-01", id=fakes.an_id(2), domain_uuid=fakes.an_id(102))
    answer = http.get("/v1/servers")
    assert answer.status_code == 200
    assert [server["name"] for server in answer.json()["servers"]] == ["db-01", "web-01"]
    assert answer.json()["servers"][1]["power_state"] == "running"


@pytest.mark.parametrize("reference", ["web-01", str(fakes.an_id(1)), str(fakes.an_id(101))])
def test_a_server_is_shown_with_its_configuration(http: testclient.TestClient, reference: str) -> None:
    shown = http.get(f"/v1/servers/{reference}").json()
    assert shown["summary"]["name"] == "web-01"
    assert shown["configuration"]["volumes"][0]["target"] == "vda"
    assert shown["addresses"] == ["192.0.2.10/24"]


def test_a_server_that_cannot_be_captured_is_shown_with_the_reason(
    http: testclient.TestClient, world: fakes.World
) -> None:
    world.problem = "it is a container"
    shown = http.get("/v1/servers/web-01").json()
    assert shown["configuration"] is None
    assert shown["problem"] == "it is a container"


def test_a_server_is_stopped_started_and_deleted(http: testclient.TestClient, world: fakes.World) -> None:
    stopped = http.post("/v1/servers/web-01/stop", json={"is_forced": True, "timeout_seconds": 5})
    assert stopped.json()["power_state"] == "shut off"
    assert http.post("/v1/servers/web-01/start").json()["power_state"] == "running"
    gone = http.delete("/v1/servers/web-01", params={"is_volumes_deleted": True})
    assert gone.status_code == 204
    assert world.calls == [("stop", "web-01", True, 5.0), ("start", "web-01"), ("delete", "web-01", True, False)]
    assert world.servers == {}


def test_volumes_stay_unless_told_otherwise(http: testclient.TestClient, world: fakes.World) -> None:
    http.delete("/v1/servers/web-01")
    assert world.calls == [("delete", "web-01", False, False)]


def test_a_capture_begins_with_what_was_asked(http: testclient.TestClient, world: fakes.World) -> None:
    body = {
        "server": "web-01", "name": "web", "note": "a\nb", "tags": ["x", "x", "y"], "volumes": ["vda"],
        "is_forced": True, "stop_timeout_seconds": 30, "is_sealed": False,
    }  # fmt: skip
    answer = http.post("/v1/captures", json=body)
    assert answer.status_code == 202
    assert answer.json()["kind"] == "capture"
    asked = capture.CaptureRequest(
        server="web-01",
        name="web",
        note="a\nb",
        tags=("x", "y"),
        volumes=("vda",),
        is_forced=True,
        stop_timeout_seconds=30.0,
        is_sealed=False,
    )
    assert world.calls == [("capture", asked)]


def test_a_capture_is_planned_and_nothing_begins(http: testclient.TestClient, world: fakes.World) -> None:
    plan = http.post("/v1/captures/plan", json={"server": "web-01"}).json()
    assert plan["template_version"] == 3
    assert plan["volumes"][0]["skipped_bytes"] == 7 * fakes.GIB
    assert world.operations == {}
    assert world.calls == [("plan", capture.CaptureRequest(server="web-01"))]


def test_a_deployment_begins_with_what_was_asked(http: testclient.TestClient, world: fakes.World) -> None:
    body: dict[str, Any] = {
        "template": "web@1", "name": "web-02", "count": 2, "cpus": 4, "memory_bytes": fakes.GIB,
        "volume_sizes": {"vda": 40 * fakes.GIB}, "pool": "fast", "volume_format": "raw", "hostname": "web.example.org",
        "interfaces": [{"network": "lan", "addresses": ["192.0.2.10/24", "2001:db8::10/64"], "gateways": ["192.0.2.1"], "dns": ["192.0.2.53"]}],
        "ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here"], "user_data": "#cloud-config\n", "is_started": False,
    }  # fmt: skip
    answer = http.post("/v1/deployments", json=body)
    assert answer.status_code == 202
    interface = deploy.InterfaceRequest(
        network="lan", addresses=("192.0.2.10/24", "2001:db8::10/64"), gateways=("192.0.2.1",), dns=("192.0.2.53",)
    )
    asked = deploy.DeployRequest(
        template="web@1", name="web-02", count=2, cpus=4, memory_bytes=fakes.GIB, volume_sizes={"vda": 40 * fakes.GIB},
        pool="fast", volume_format="raw", interfaces=(interface,), hostname="web.example.org",
        ssh_keys=("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here",), user_data="#cloud-config\n", is_started=False,
    )  # fmt: skip
    assert world.calls == [("deploy", asked)]


def test_user_data_is_never_answered(http: testclient.TestClient) -> None:
    body = {"template": "web", "name": "web-02", "user_data": "password: hunter2"}
    assert "hunter2" not in http.post("/v1/deployments", json=body).text


def test_a_deployment_is_planned_and_nothing_begins(http: testclient.TestClient, world: fakes.World) -> None:
    plan = http.post("/v1/deployments/plan", json={"template": "web", "name": "web-02"}).json()
    assert plan["servers"][0]["interfaces"][0]["bridge"] == "br0"
    assert plan["changes"][0]["what"] == "machine type"
    assert world.operations == {}
    assert world.calls == [("plan", deploy.DeployRequest(template="web", name="web-02"))]


def test_templates_come_in_pages(http: testclient.TestClient, world: fakes.World) -> None:
    world.templates = [fakes.a_template(id=fakes.an_id(200 + number), version=number) for number in range(5, 0, -1)]
    seen, after = [], None
    while True:
        page = http.get("/v1/templates", params={"limit": 2, **({"after": after} if after else {})}).json()
        seen += [found["version"] for found in page["templates"]]
        after = page["next"]
        if after is None:
            break
    assert seen == [5, 4, 3, 2, 1]


def test_templates_are_found_by_name_and_tag(http: testclient.TestClient, world: fakes.World) -> None:
    http.get("/v1/templates", params={"name": "web*", "tag": "production"})
    assert world.calls == [("list", listing.TemplateQuery(name_glob="web*", tag="production"))]


@pytest.mark.parametrize("reference", ["web", "web@2", str(fakes.an_id(202))])
def test_a_template_is_shown_with_its_manifest(http: testclient.TestClient, reference: str) -> None:
    shown = http.get(f"/v1/templates/{reference}").json()
    assert shown["template"]["version"] == 2
    assert shown["manifest"]["guest"]["file_systems"][0]["mount_point"] == "/"
    assert shown["manifest"]["has_nvram"] is True


def test_a_template_tells_how_its_volumes_are_cut_up(http: testclient.TestClient) -> None:
    shown = http.get("/v1/templates/web").json()["manifest"]
    assert shown["layout"]["volumes"][0]["partitions"][0]["start_bytes"] == 1024**2
    assert shown["layout"]["groups"][0]["logical_volumes"][0]["name"] == "data"
    assert (shown["guest"]["network"], shown["has_inventory"]) == ("netplan", True)


def test_the_inventory_of_a_template_is_told(http: testclient.TestClient, world: fakes.World) -> None:
    told = http.get("/v1/templates/web@1/inventory").json()
    assert told["packages"] == [{"name": "nginx", "version": "1.22-9", "architecture": "amd64"}]
    assert told["files"] == {"/etc/hosts": "00" * 32}
    assert world.calls == [("inventory", "web@1")]


def test_two_templates_are_compared(http: testclient.TestClient, world: fakes.World) -> None:
    told = http.get("/v1/templates/web@1/diff", params={"to": "web@2"}).json()
    assert (told["before"], told["after"]) == ("web@1", "web@2")
    assert told["packages"] == [{"kind": "changed", "what": "nginx:amd64", "before": "1.22-9", "after": "1.24-1"}]
    assert told["not_compared"][0]["what"] == "users"
    assert world.calls == [("compare", "web@1", "web@2")]
    assert http.get("/v1/templates/web@1/diff").status_code == 400


def test_only_what_is_named_of_a_template_is_edited(http: testclient.TestClient, world: fakes.World) -> None:
    edited = http.patch("/v1/templates/web@1", json={"tags": ["a", "b", "a"]})
    assert edited.json()["tags"] == ["a", "b"]
    assert edited.json()["note"] == "nginx"
    assert world.calls == [("edit", "web@1", None, None, ("a", "b"))]


TOLD = {
    "tuned_for": "builds",
    "least": {"cpus": 2, "memory_bytes": fakes.GIB, "volume_sizes": {"vda": 12 * fakes.GIB}},
    "recommended": {"cpus": 4},
    "tuned": {"queues": "cpus", "cache": "none", "io": "native", "rng": True},
}
KNOWN = characteristics.Characteristics(
    tuned_for="builds",
    least=characteristics.Resources(cpus=2, memory_bytes=fakes.GIB, volume_sizes={"vda": 12 * fakes.GIB}),
    recommended=characteristics.Resources(cpus=4),
    tuned=characteristics.Tuned(queues="cpus", cache="none", io="native", rng=True),
)


def test_characteristics_are_replaced_whole(http: testclient.TestClient, world: fakes.World) -> None:
    answer = http.put("/v1/templates/web@1/characteristics", json=TOLD)
    assert answer.status_code == 200
    assert answer.json()["characteristics"]["least"]["volume_sizes"] == {"vda": 12 * fakes.GIB}
    assert answer.json()["characteristics"]["tuned"]["queues"] == "cpus"
    assert world.calls == [("replace characteristics", "web@1", KNOWN)]
    assert http.put("/v1/templates/web@1/characteristics", json={}).json()["characteristics"] is None


def test_only_what_is_named_of_characteristics_is_changed(http: testclient.TestClient, world: fakes.World) -> None:
    http.put("/v1/templates/web@1/characteristics", json=TOLD)
    body = {"unset": ["least.memory"], "profile": "linux-server", "tuned": {"queues": 2}, "recommended": {"cpus": None}}
    changed = http.patch("/v1/templates/web@1/characteristics", json=body).json()["characteristics"]
    assert (changed["least"]["memory_bytes"], changed["least"]["cpus"], changed["recommended"]["cpus"]) == (None, 2, 4)
    assert (changed["tuned"]["queues"], changed["tuned"]["bus"], changed["tuned"]["cache"]) == (2, "virtio-blk", "none")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"tuned": {"bus": "ide"}}, "tuned.bus"),
        ({"tuned": {"colour": "red"}}, "tuned.colour"),
        ({"tuned": {"io": "native"}}, "tuned.io"),
        ({"tuned": {"cpu": "x' y"}}, "tuned.cpu"),
        ({"tuned": {"rng": "yes"}}, "tuned.rng"),
        ({"tuned": {"queues": "all"}}, "tuned.queues"),
        ({"least": {"memory_bytes": 1}}, "least.memory_bytes"),
        ({"least": {"volume_sizes": {"../x": 1}}}, "least.volume_sizes"),
        ({"least": {"cpus": 4}, "recommended": {"cpus": 2}}, "recommended.cpus"),
        ({"tuned_for": "a\nb"}, "tuned_for"),
    ],
)
def test_characteristics_that_cannot_be_are_refused_by_name(
    http: testclient.TestClient, world: fakes.World, body: dict[str, Any], field: str
) -> None:
    answer = http.put("/v1/templates/web@1/characteristics", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")
    assert answer.json()["facts"]["field"].startswith(field)
    assert world.calls == []


def test_a_capture_may_say_what_its_template_is_tuned_for(http: testclient.TestClient, world: fakes.World) -> None:
    http.post("/v1/captures", json={"server": "web-01", "characteristics": TOLD})
    assert world.calls == [("capture", capture.CaptureRequest(server="web-01", characteristics=KNOWN))]


def test_a_deployment_may_do_without_the_tuned_settings(http: testclient.TestClient, world: fakes.World) -> None:
    http.post("/v1/deployments", json={"template": "web", "name": "web-02", "is_tuned": False})
    assert world.calls == [("deploy", deploy.DeployRequest(template="web", name="web-02", is_tuned=False))]


def test_the_plan_of_a_deployment_tells_what_is_given_and_what_is_not(http: testclient.TestClient) -> None:
    plan = http.post("/v1/deployments/plan", json={"template": "web", "name": "web-02"}).json()
    assert [setting["why"] for setting in plan["settings"]] == [None, "no KVM"]
    assert plan["tuned_for"] == "web pages"


def test_profiles_are_listed_and_shown(http: testclient.TestClient) -> None:
    names = [profile["name"] for profile in http.get("/v1/profiles").json()["profiles"]]
    assert names == ["linux-database", "linux-scsi", "linux-server"]
    assert http.get("/v1/profiles/linux-database").json()["tuned"]["balloon"] == "none"
    missing = http.get("/v1/profiles/windows")
    assert (missing.status_code, missing.json()["code"]) == (404, "profile-not-found")


def test_a_template_is_deleted_to_the_trash_restored_deleted_again_and_purged(
    http: testclient.TestClient, world: fakes.World
) -> None:
    deleted = http.delete("/v1/templates/web@1").json()
    assert deleted["reference"] == "web@1"
    assert deleted["trash"] == {
        "at": "2026-11-23T12:00:00Z",
        "by": "uid 0",
        "until": "2026-11-30T12:00:00Z",
        "state_before": "active",
    }
    assert [each["version"] for each in http.get("/v1/templates").json()["templates"]] == [2]
    trashed = http.get("/v1/templates", params={"is_trashed": True}).json()["templates"]
    assert [(each["version"], each["state"]) for each in trashed] == [(1, "trashed")]
    assert http.post("/v1/templates/web@1/restore").json()["trash"] is None
    assert http.post("/v1/templates/web@1/purge").json()["code"] == "template-state"
    http.delete("/v1/templates/web@1")
    assert http.post("/v1/templates/web@1/purge").status_code == 204
    assert [found.version for found in world.templates] == [2]


def test_without_a_trash_a_deleted_template_has_no_time_in_it(http: testclient.TestClient, world: fakes.World) -> None:
    world.trash_days = 0
    assert http.delete("/v1/templates/web@1").json()["trash"] is None


def test_a_template_is_deprecated_disabled_and_enabled_again(http: testclient.TestClient, world: fakes.World) -> None:
    deprecated = http.post("/v1/templates/web@1/deprecate", json={"successor": "web@2"}).json()
    assert (deprecated["state"], deprecated["successor_id"]) == ("deprecated", str(fakes.an_id(202)))
    assert http.get("/v1/templates/web@1").json()["successor"] == "web@9"
    assert http.post("/v1/templates/web@1/disable").json()["state"] == "disabled"
    assert http.get("/v1/templates/web@1").json()["manifest"] is not None
    enabled = http.post("/v1/templates/web@1/enable").json()
    assert (enabled["state"], enabled["successor_id"]) == ("active", None)


def test_a_protected_template_refuses_to_be_deleted(http: testclient.TestClient, world: fakes.World) -> None:
    assert http.post("/v1/templates/web@1/protect").json()["is_protected"] is True
    refused = http.delete("/v1/templates/web@1")
    assert (refused.status_code, refused.json()["code"]) == (409, "template-protected")
    assert http.post("/v1/templates/web@1/unprotect").json()["is_protected"] is False
    assert http.delete("/v1/templates/web@1").status_code == 200


def test_the_servers_of_a_template_are_told(http: testclient.TestClient, world: fakes.World) -> None:
    world.servers["web-02"] = fakes.a_server(name="web-02", id=fakes.an_id(2), template_id=fakes.an_id(202))
    world.servers["web-03"] = fakes.a_server(name="web-03", id=fakes.an_id(3), template_id=fakes.an_id(201))
    of_one = http.get("/v1/templates/web@1/servers").json()["servers"]
    assert [each["name"] for each in of_one] == ["web-03"]
    of_all = http.get("/v1/templates/web@1/servers", params={"is_every_version": True}).json()["servers"]
    assert [each["name"] for each in of_all] == ["web-02", "web-03"]


def test_a_retention_rule_is_set_listed_applied_and_removed(http: testclient.TestClient, world: fakes.World) -> None:
    assert http.put("/v1/retention/rules/w*", json={"keep_last": 1}).json() == {
        "pattern": "w*",
        "keep_last": 1,
        "keep_days": None,
    }
    assert [each["pattern"] for each in http.get("/v1/retention/rules").json()["rules"]] == ["w*"]
    report = http.post("/v1/retention/apply", json={"is_dry_run": True}).json()
    told = [(each["template"]["version"], each["is_kept"], each["pattern"]) for each in report["verdicts"]]
    assert told == [(2, True, "w*"), (1, False, "w*")]
    assert http.delete("/v1/retention/rules/w*").status_code == 204
    assert http.delete("/v1/retention/rules/w*").json()["code"] == "retention-rule-not-found"
    assert ("apply", True) in world.calls


@pytest.mark.parametrize(
    ("pattern", "body"),
    [
        ("ci-*", {"keep_last": 0}),
        ("ci-*", {"keep_last": 10_001}),
        ("ci-*", {"keep_last": 5, "keep_days": 0}),
        ("ci-*", {"keep_days": 5}),
        ("ci-*", {"keep_last": True}),
        ("CI*", {"keep_last": 5}),
        ("%0A", {"keep_last": 5}),
        ("x" * 64, {"keep_last": 5}),
    ],
)
def test_a_retention_rule_that_cannot_be_is_refused(
    http: testclient.TestClient, world: fakes.World, pattern: str, body: dict[str, Any]
) -> None:
    assert http.put(f"/v1/retention/rules/{pattern}", json=body).status_code == 400
    assert world.rules == {}


def test_operations_are_listed_by_state_and_kind(
    http: testclient.TestClient, world: fakes.World, running: operation.Operation
) -> None:
    answer = http.get("/v1/operations", params={"state": ["running", "queued"], "kind": "capture", "limit": 5})
    assert [found["id"] for found in answer.json()["operations"]] == [str(running.id)]
    states = (operation.State.RUNNING, operation.State.QUEUED)
    assert world.calls == [("list", listing.OperationQuery(states=states, kind=operation.Kind.CAPTURE, limit=5))]


def test_an_operation_is_shown_by_the_first_digits_of_its_id(
    http: testclient.TestClient, running: operation.Operation
) -> None:
    shown = http.get(f"/v1/operations/{str(running.id)[:8]}").json()
    assert shown["progress"]["phase"] == "planning"
    assert shown["change_token"] == running.change_token


def test_a_long_poll_answers_with_the_change(
    http: testclient.TestClient, world: fakes.World, running: operation.Operation
) -> None:
    world.script = [{}, {"progress": operation.Progress(phase="copying vda", total_bytes=10)}]
    answer = http.get(f"/v1/operations/{running.id}", params={"wait": 30, "seen": running.change_token})
    assert answer.json()["progress"]["phase"] == "copying vda"


def test_a_long_poll_that_has_seen_nothing_answers_at_once(
    http: testclient.TestClient, world: fakes.World, running: operation.Operation
) -> None:
    assert http.get(f"/v1/operations/{running.id}", params={"wait": 30}).json()["progress"]["phase"] == "planning"


def test_a_long_poll_of_an_ended_operation_answers_at_once(
    http: testclient.TestClient, world: fakes.World, running: operation.Operation
) -> None:
    world.change(running.id, state=operation.State.SUCCEEDED, result={})
    ended = world.operations[running.id]
    answer = http.get(f"/v1/operations/{running.id}", params={"wait": 30, "seen": ended.change_token})
    assert answer.json()["state"] == "succeeded"


def test_a_long_poll_ends_when_the_daemon_stops(
    http: testclient.TestClient, api: fastapi.FastAPI, running: operation.Operation
) -> None:
    api.state.stopping.set()
    answer = http.get(f"/v1/operations/{running.id}", params={"wait": 60, "seen": running.change_token})
    assert answer.json()["state"] == "running"


def test_an_operation_is_cancelled(
    http: testclient.TestClient, world: fakes.World, running: operation.Operation
) -> None:
    assert http.post(f"/v1/operations/{running.id}/cancel").json()["is_cancel_requested"] is True


def test_usage_is_told(http: testclient.TestClient, world: fakes.World) -> None:
    error = errors.ManifestCorrupt(template="x", detail="it is too short")
    world.unreadable = (manifests.Unreadable(template_id=fakes.an_id(9), error=error),)
    told = http.get("/v1/store/usage").json()
    assert told["distinct_bytes"] == 6 * fakes.GIB
    assert told["templates"][0]["unique_bytes"] == fakes.GIB
    assert "too short" in told["unreadable"][0]["error"]


def test_growth_is_told(http: testclient.TestClient, world: fakes.World) -> None:
    told = http.get("/v1/store/growth?days=90").json()
    assert [each["stored_bytes"] for each in told["samples"]] == [fakes.GIB, 2 * fakes.GIB, 3 * fakes.GIB]
    assert http.get("/v1/store/growth").status_code == 200
    assert world.calls == [("growth", 90), ("growth", 365)]
    for days in ("0", "3661", "x"):
        assert http.get(f"/v1/store/growth?days={days}").status_code == 400


def test_check_and_sweep_begin(http: testclient.TestClient, world: fakes.World) -> None:
    assert http.post("/v1/store/check", json={"sample": 0.05}).json()["kind"] == "check"
    assert http.post("/v1/store/sweep", json={"is_dry_run": True, "grace_seconds": 3600}).json()["kind"] == "sweep"
    assert http.post("/v1/store/sweep", json={}).status_code == 202
    assert world.calls == [("check", 0.05), ("sweep", True, 3600.0), ("sweep", False, None)]


def test_the_daemon_says_that_it_lives_and_what_it_is(http: testclient.TestClient) -> None:
    assert http.get("/v1/health").json() == {"status": "ok"}
    assert http.get("/v1/version").json()["api"] == "v1"


def test_the_description_of_the_api_is_served(http: testclient.TestClient) -> None:
    assert "/v1/captures" in http.get("/v1/openapi.json").json()["paths"]
