"""What holds for every route: request ids, idempotency keys, ETags, cursors, measurements, readiness."""

from __future__ import annotations

import concurrent.futures
import json
import re
import threading
import uuid
from typing import Any

import fastapi
import pytest
from starlette import testclient
from tests.unit.api import fakes

from estampe import errors
from estampe.api import app, idempotency, metrics, peer, readiness
from estampe.capture import request as capture_request
from estampe.model import account, operation, template

_CREATES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/captures", {"server": "web-01"}),
    ("/v1/deployments", {"template": "web", "name": "web-02"}),
    ("/v1/store/check", {"sample": 0.5}),
    ("/v1/store/sweep", {"is_dry_run": True}),
]

# --- request ids ------------------------------------------------------------------------------------------------------


def test_every_answer_has_a_request_id(http: testclient.TestClient, world: fakes.World) -> None:
    ids = [http.get(path).headers["x-request-id"] for path in ("/v1/servers", "/v1/health", "/v1/nothing")]
    assert len({uuid.UUID(each) for each in ids}) == 3


def test_the_callers_own_request_id_is_kept(http: testclient.TestClient) -> None:
    answer = http.get("/v1/servers/none", headers={"X-Request-Id": "deploy-7:a.b_c"})
    assert answer.headers["x-request-id"] == "deploy-7:a.b_c"
    assert answer.json()["request_id"] == "deploy-7:a.b_c"


@pytest.mark.parametrize("bad", ["", "x" * 65, "a b", "a\tb", "é", "{}", 'a"b'])
def test_an_ill_formed_request_id_is_replaced(http: testclient.TestClient, bad: str) -> None:
    answer = http.get("/v1/health", headers={"X-Request-Id": bad.encode()})  # type: ignore[dict-item]
    assert uuid.UUID(answer.headers["x-request-id"])


def test_an_operation_keeps_the_id_of_the_request_that_began_it(http: testclient.TestClient) -> None:
    begun = http.post("/v1/captures", json={"server": "web-01"}, headers={"X-Request-Id": "r-1"}).json()
    assert begun["request_id"] == "r-1"


def test_a_body_that_is_too_long_has_a_request_id_too(http: testclient.TestClient) -> None:
    answer = http.post("/v1/captures", content=b"x", headers={"content-length": "99999999", "X-Request-Id": "r-2"})
    assert (answer.status_code, answer.json()["request_id"]) == (400, "r-2")


# --- idempotency keys -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "body"), _CREATES)
def test_a_repeated_create_gets_the_first_answer_and_begins_nothing(
    http: testclient.TestClient, world: fakes.World, path: str, body: dict[str, Any]
) -> None:
    first = http.post(path, json=body, headers={"Idempotency-Key": "k"})
    again = http.post(path, json=body, headers={"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.content == again.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(world.operations) == 1


def test_without_a_key_each_create_begins_an_operation(http: testclient.TestClient, world: fakes.World) -> None:
    for _nth in range(2):
        http.post("/v1/captures", json={"server": "web-01"})
    assert len(world.operations) == 2


def test_another_spelling_of_one_request_is_the_same_request(http: testclient.TestClient, world: fakes.World) -> None:
    for body in ('{"server": "web-01", "is_sealed": true}', '{"is_sealed":true,"server":"web-01","tags":[]}'):
        headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
        assert http.post("/v1/captures", content=body, headers=headers).status_code == 202
    assert len(world.operations) == 1


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/captures", {"server": "db-01"}), ("/v1/store/check", {"sample": 1.0})]
)
def test_a_key_used_for_another_request_is_refused(
    http: testclient.TestClient, world: fakes.World, path: str, body: dict[str, Any]
) -> None:
    http.post("/v1/captures", json={"server": "web-01"}, headers={"Idempotency-Key": "k"})
    answer = http.post(path, json=body, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")
    assert len(world.operations) == 1


def test_a_create_that_failed_may_be_tried_again_with_its_key(http: testclient.TestClient, world: fakes.World) -> None:
    world.failure = errors.ServerBusy(server="web-01", operation="x")
    assert http.post("/v1/captures", json={"server": "web-01"}, headers={"Idempotency-Key": "k"}).status_code == 409
    world.failure = None
    assert http.post("/v1/captures", json={"server": "web-01"}, headers={"Idempotency-Key": "k"}).status_code == 202


def test_a_create_cut_off_after_its_begin_is_answered_with_its_operation(
    http: testclient.TestClient, world: fakes.World
) -> None:
    """As a daemon finds it that was killed between the begin of the operation and the keeping of the answer."""
    begun = http.post("/v1/captures", json={"server": "web-01"}, headers={"Idempotency-Key": "k"}).json()
    world.keys["k"] = fakes.unanswered(world.keys["k"])
    again = http.post("/v1/captures", json={"server": "web-01"}, headers={"Idempotency-Key": "k"})
    assert again.json()["id"] == begun["id"]
    assert len(world.operations) == 1


def test_a_create_cut_off_before_its_begin_is_run_with_the_id_it_was_to_have(
    http: testclient.TestClient, world: fakes.World
) -> None:
    begun = http.post("/v1/captures", json={"server": "web-01"}, headers={"Idempotency-Key": "k"}).json()
    world.keys["k"] = fakes.unanswered(world.keys["k"])
    world.operations.clear()
    again = http.post("/v1/captures", json={"server": "web-01"}, headers={"Idempotency-Key": "k"})
    assert again.json()["id"] == begun["id"]
    assert list(map(str, world.operations)) == [begun["id"]]


def test_of_two_creates_at_once_one_runs_and_both_get_its_answer(world: fakes.World) -> None:
    services = world.services()
    inside, free = threading.Event(), threading.Event()

    class Slow(fakes.Captures):
        def start(self, owner_id: uuid.UUID, request: capture_request.CaptureRequest) -> operation.Operation:
            inside.set()
            assert free.wait(30)
            return super().start(owner_id, request)

    object.__setattr__(services, "captures", Slow(world))
    marked = peer.come_from(app.create(services), 0)
    with testclient.TestClient(marked) as http, concurrent.futures.ThreadPoolExecutor(4) as pool:

        def create(_nth: int) -> bytes:
            return http.post("/v1/captures", json={"server": "web-01"}, headers={"Idempotency-Key": "k"}).content

        asked = [pool.submit(create, nth) for nth in range(4)]
        assert inside.wait(30)
        free.set()
        assert len({each.result(30) for each in asked}) == 1
    assert len(world.operations) == 1


def test_a_repetition_does_not_wait_for_ever_for_the_first_request() -> None:
    turns = idempotency.Turns(patience_seconds=0)
    with (
        turns.take(account.DEFAULT_ACCOUNT_ID, "k"),
        pytest.raises(errors.RequestInProgress),
        turns.take(account.DEFAULT_ACCOUNT_ID, "k"),
    ):
        pass


@pytest.mark.parametrize("key", ["", "x" * 256, "a b"])
def test_an_ill_formed_key_is_refused(http: testclient.TestClient, world: fakes.World, key: str) -> None:
    answer = http.post("/v1/captures", json={"server": "web-01"}, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")
    assert world.operations == {}


# --- ETags ------------------------------------------------------------------------------------------------------------


def test_a_template_that_is_known_is_not_sent_again(http: testclient.TestClient) -> None:
    first = http.get("/v1/templates/web@1")
    for known in (first.headers["etag"], f"W/{first.headers['etag']}", f'"x", {first.headers["etag"]}', "*"):
        again = http.get("/v1/templates/web@1", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    assert http.get("/v1/templates/web@1", headers={"If-None-Match": '"x"'}).status_code == 200


def test_an_edit_changes_the_etag_and_answers_the_new_one(http: testclient.TestClient) -> None:
    seen = http.get("/v1/templates/web@1").headers["etag"]
    edited = http.patch("/v1/templates/web@1", json={"note": "new"}, headers={"If-Match": seen})
    assert edited.status_code == 200
    assert edited.headers["etag"] == http.get("/v1/templates/web@1").headers["etag"] != seen


def test_a_template_that_names_another_is_sent_again_for_the_others_name_may_have_changed(
    http: testclient.TestClient,
) -> None:
    http.post("/v1/templates/web@1/deprecate", json={"successor": "web@2"})
    seen = http.get("/v1/templates/web@1")
    again = http.get("/v1/templates/web@1", headers={"If-None-Match": seen.headers["etag"]})
    assert (again.status_code, again.json()) == (200, seen.json())


@pytest.mark.parametrize(
    "move", [("deprecate", {}), ("disable", None), ("enable", None), ("protect", None), ("unprotect", None)]
)
def test_a_move_changes_the_etag_and_answers_the_new_one(
    http: testclient.TestClient, move: tuple[str, dict[str, str] | None]
) -> None:
    seen = http.get("/v1/templates/web@1").headers["etag"]
    moved = http.post(f"/v1/templates/web@1/{move[0]}", json=move[1], headers={"If-Match": seen})
    assert moved.status_code == 200
    assert moved.headers["etag"] == http.get("/v1/templates/web@1").headers["etag"] != seen


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"note": "mine"}),
        ("DELETE", "", None),
        ("PUT", "/characteristics", {"tuned_for": "mine"}),
        ("PATCH", "/characteristics", {"tuned_for": "mine"}),
        ("POST", "/deprecate", {}),
        ("POST", "/disable", None),
        ("POST", "/enable", None),
        ("POST", "/restore", None),
        ("POST", "/protect", None),
        ("POST", "/unprotect", None),
        ("POST", "/purge", None),
    ],
)
def test_what_has_changed_meanwhile_is_left_alone(
    http: testclient.TestClient, world: fakes.World, method: str, path: str, body: dict[str, str] | None
) -> None:
    if path in {"/restore", "/purge"}:
        http.delete("/v1/templates/web@1")
    seen = http.get("/v1/templates/web@1").headers["etag"]
    http.patch("/v1/templates/web@1", json={"note": "theirs"})
    there = list(world.templates)
    answer = http.request(method, f"/v1/templates/web@1{path}", headers={"If-Match": seen}, json=body)
    assert (answer.status_code, answer.json()["code"]) == (412, "template-changed")
    assert world.templates == there


def test_a_star_matches_whatever_is_there(http: testclient.TestClient) -> None:
    assert http.delete("/v1/templates/web@1", headers={"If-Match": "*"}).status_code == 200


@pytest.mark.parametrize("bad", ["", "x", '"x" "y"', '"x",', ",", '"'])
def test_an_ill_formed_etag_is_refused(http: testclient.TestClient, world: fakes.World, bad: str) -> None:
    answer = http.delete("/v1/templates/web@1", headers={"If-Match": bad})
    assert (answer.status_code, answer.json()["facts"]["field"]) == (400, "If-Match")
    assert len(world.templates) == 2


# --- the gate ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def by_tcp(api: fastapi.FastAPI) -> testclient.TestClient:
    return testclient.TestClient(api, raise_server_exceptions=False)


def test_by_tcp_nobody_is_let_in_anywhere_but_where_nobody_is_asked(
    by_tcp: testclient.TestClient, world: fakes.World
) -> None:
    described = by_tcp.get("/v1/openapi.json").json()["paths"]
    tried = {
        (method, path): by_tcp.request(method.upper(), path.replace("{reference}", "web")).status_code
        for path, methods in described.items()
        for method in methods
    }
    is_open = {route for route, status in tried.items() if status != 401}
    signing_in = {
        ("post", "/v1/login"), ("post", "/v1/session"), ("get", "/v1/oidc/start"), ("get", "/v1/oidc/callback"),
        ("post", "/v1/oidc/command"), ("post", "/v1/oidc/login"), ("get", "/v1/sign-in"),
    }  # fmt: skip
    assert is_open == {("get", "/v1/health"), ("get", "/v1/ready")} | signing_in
    assert world.calls == []


def test_a_refusal_by_tcp_is_a_problem(by_tcp: testclient.TestClient) -> None:
    assert by_tcp.get("/v1/servers").json()["code"] == "sign-in-needed"


# --- readiness --------------------------------------------------------------------------------------------------------


def test_readiness_names_the_parts(http: testclient.TestClient, world: fakes.World) -> None:
    assert http.get("/v1/ready").json()["parts"] == ["database", "store", "libvirt", "engine"]
    world.failure = errors.NotReady(problems="libvirt does not answer", parts="libvirt")
    answer = http.get("/v1/ready")
    assert (answer.status_code, answer.json()["facts"]["parts"]) == (503, "libvirt")


def test_a_part_that_fails_or_hangs_is_told_and_hangs_nobody() -> None:
    free = threading.Event()
    asked: list[str] = []

    def hang() -> None:
        asked.append("libvirt")
        free.wait(30)

    def fail() -> None:
        raise errors.StoreUnavailable(where="/s", action="tell its free space", detail="gone")

    asking = readiness.Readiness({"database": int, "store": fail, "libvirt": hang}, deadline_seconds=0.05)
    for _nth in range(2):
        with pytest.raises(errors.NotReady, match=r"store fails: .*gone; libvirt does not answer") as caught:
            asking.check()
    assert caught.value.facts["parts"] == "store, libvirt"
    assert asked == ["libvirt"]  # it was not asked again while it still hung
    free.set()


def test_all_parts_that_answer_are_ready() -> None:
    assert readiness.Readiness({"database": int, "store": int}).check() == ("database", "store")


# --- measurements -----------------------------------------------------------------------------------------------------


def _measured(text: str, name: str) -> dict[str, float]:
    """Label text -> value of the lines of one measurement."""
    return {
        labels: float(value)
        for labels, value in re.findall(rf"^{name}(?:\{{(.*)\}})? ([0-9.e+]+)$", text, re.MULTILINE)
    }


def test_requests_are_measured_by_route_not_by_path(world: fakes.World) -> None:
    marked = peer.come_from(app.create(world.services()), 0)
    http = testclient.TestClient(marked)
    for path in ("/v1/servers/web-01", "/v1/servers/none", "/v1/servers/web-01", "/v1/nowhere"):
        http.get(path)
    http.request("BREW", "/v1/servers")
    found = _measured(http.get("/v1/metrics").text, "estampe_http_request_duration_seconds_count")
    assert found['method="GET",route="/v1/servers/{reference}",status="200"'] == 2
    assert found['method="GET",route="/v1/servers/{reference}",status="404"'] == 1
    assert found['method="GET",route="none",status="404"'] == 1
    assert not any("BREW" in labels or "nowhere" in labels for labels in found)


def test_operations_are_measured_by_kind_and_state() -> None:
    counts = {(operation.Kind.CAPTURE, operation.State.QUEUED): 3, (operation.Kind.DEPLOY, operation.State.FAILED): 1}
    meter = metrics.Metrics(operations=lambda: counts, available_bytes=lambda: 7)
    meter.advanced(operation.Kind.CAPTURE, 100)
    meter.advanced(operation.Kind.CAPTURE, 28)
    ended_at = fakes.NOW.replace(minute=2)
    meter.ended(fakes.an_operation(state=operation.State.SUCCEEDED, ended_at=ended_at, result={"new_bytes": 64}))
    text = meter.render().decode()
    assert _measured(text, "estampe_operations")['kind="capture",state="queued"'] == 3
    assert _measured(text, "estampe_operations")['kind="sweep",state="running"'] == 0
    assert _measured(text, "estampe_queue_length")['kind="capture"'] == 3
    assert _measured(text, "estampe_volume_bytes_total") | {} == {
        'kind="capture"': 128, 'kind="deploy"': 0, 'kind="check"': 0, 'kind="sweep"': 0,
    }  # fmt: skip
    assert _measured(text, "estampe_stored_bytes_total") == {"": 64}
    assert _measured(text, "estampe_operation_duration_seconds_sum") == {'kind="capture",state="succeeded"': 120}
    assert _measured(text, "estampe_store_available_bytes") == {"": 7}


def test_usage_is_counted_in_the_background_and_kept_for_a_while(world: fakes.World) -> None:
    now = [0.0]
    counted = metrics.CachedUsage(world.services().storage.usage, seconds=300, clock=lambda: now[0])
    assert counted.latest() is None
    counted.wait(30)
    meter = metrics.Metrics(usage=counted)
    assert _measured(meter.render().decode(), "estampe_store_chunks") == {"": 6144}
    now[0] = 299.0
    meter.render()
    assert world.calls == [("usage",)]
    now[0] = 300.0
    meter.render()
    counted.wait(30)
    assert world.calls == [("usage",), ("usage",)]


def test_what_does_not_answer_is_left_out_of_the_measurements() -> None:
    def fail() -> metrics.Counts:
        raise errors.DatabaseUnavailable(where="x", detail="y")

    def gone() -> int | None:
        raise errors.StoreUnavailable(where="/s", action="tell its free space", detail="gone")

    text = metrics.Metrics(operations=fail, available_bytes=gone).render().decode()
    assert "estampe_operations{" not in text
    assert "estampe_store_available_bytes " not in text
    assert "estampe_build_info" in text


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/templates", "/v1/operations", "/v1/servers"])
def test_a_cursor_of_ones_own_is_refused(http: testclient.TestClient, path: str) -> None:
    answer = http.get(path, params={"after": "bm9uc2Vuc2U"})
    assert (answer.status_code, answer.json()["facts"]["field"]) == (400, "after")


def test_servers_come_in_pages(http: testclient.TestClient, world: fakes.World) -> None:
    for number in range(5):
        name = f"db-{number}"
        world.servers[name] = fakes.a_server(name=name, id=fakes.an_id(10 + number))
    seen, after = [], None
    while True:
        page = http.get("/v1/servers", params={"limit": 2, **({"after": after} if after else {})}).json()
        seen += [found["name"] for found in page["servers"]]
        after = page["next"]
        if after is None:
            break
    assert seen == ["db-0", "db-1", "db-2", "db-3", "db-4", "web-01"]


def test_the_wishes_of_a_list_reach_the_service(http: testclient.TestClient, world: fakes.World) -> None:
    query = "state=active&state=capturing&is_sealed=true&guest=*debian*&sort=-created&limit=7"
    assert http.get(f"/v1/templates?{query}").status_code == 200
    (asked,) = [call[1] for call in world.calls]
    assert asked.states == (template.State.ACTIVE, template.State.CAPTURING)
    assert (asked.is_sealed, asked.guest_glob, asked.sort, asked.limit) == (True, "*debian*", "-created", 7)


# --- the description --------------------------------------------------------------------------------------------------


def test_every_error_of_the_description_is_a_problem_document(http: testclient.TestClient) -> None:
    described = http.get("/v1/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    for methods in described["paths"].values():
        for route in methods.values():
            assert "default" not in route["responses"]
            for status, answer in route["responses"].items():
                assert "X-Request-Id" in answer["headers"]
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in json.dumps(described)


def test_operation_ids_are_the_names_of_routes(http: testclient.TestClient) -> None:
    described = http.get("/v1/openapi.json").json()["paths"]
    ids = [route["operationId"] for methods in described.values() for route in methods.values()]
    assert len(set(ids)) == len(ids)
    assert {"list_templates", "start_capture", "watch_operation"} <= set(ids)
