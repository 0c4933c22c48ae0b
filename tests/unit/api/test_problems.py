"""Errors: one table, problem documents, and nothing of the inside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies
from starlette import testclient
from tests.unit.api import fakes

from estampe import errors
from estampe.api import app, body_limit, peer
from estampe.schemas import problem

_EXAMPLES = [
    (errors.InvalidSize(text="x"), 400),
    (errors.SocketDenied(socket="/s"), 403),
    (errors.TemplateChanged(template="x", etag="y"), 412),
    (errors.IdempotencyKeyReused(key="x"), 422),
    (errors.ServerNotFound(server="x"), 404),
    (errors.ServerBusy(server="x", operation="y"), 409),
    (errors.Cancelled(), 409),
    (errors.FormatUnsupported(volume="vda", format="vmdk"), 422),
    (errors.ChunkMissing(chunk="x"), 500),
    (errors.HypervisorUnavailable(uri="x", detail="y"), 503),
    (errors.EstampeError(detail="x"), 500),
]
# (method, path, body) of every route that asks a service
_ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/v1/servers", None),
    ("GET", "/v1/servers/web-01", None),
    ("POST", "/v1/servers/web-01/start", None),
    ("POST", "/v1/servers/web-01/stop", {}),
    ("DELETE", "/v1/servers/web-01", None),
    ("POST", "/v1/servers/web-01/assign", {"account": "default"}),
    ("POST", "/v1/captures", {"server": "web-01"}),
    ("POST", "/v1/captures/plan", {"server": "web-01"}),
    ("POST", "/v1/deployments", {"template": "web", "name": "web-02"}),
    ("POST", "/v1/deployments/plan", {"template": "web", "name": "web-02"}),
    ("GET", "/v1/templates", None),
    ("GET", "/v1/templates/web", None),
    ("PATCH", "/v1/templates/web", {"note": "x"}),
    ("DELETE", "/v1/templates/web", None),
    ("POST", "/v1/templates/web/deprecate", {}),
    ("POST", "/v1/templates/web/disable", None),
    ("POST", "/v1/templates/web/enable", None),
    ("POST", "/v1/templates/web/restore", None),
    ("POST", "/v1/templates/web/protect", None),
    ("POST", "/v1/templates/web/unprotect", None),
    ("POST", "/v1/templates/web/purge", None),
    ("GET", "/v1/templates/web/servers", None),
    ("GET", "/v1/templates/web/usage", None),
    ("GET", "/v1/templates/web/shares", None),
    ("PUT", "/v1/templates/web/shares/globex", {}),
    ("DELETE", "/v1/templates/web/shares/globex", None),
    ("POST", "/v1/templates/web/publish", {}),
    ("POST", "/v1/templates/web/unpublish", None),
    ("POST", "/v1/templates/web/hide", None),
    ("POST", "/v1/templates/web/unhide", None),
    ("GET", "/v1/retention/rules", None),
    ("PUT", "/v1/retention/rules/ci-*", {"keep_last": 5}),
    ("DELETE", "/v1/retention/rules/ci-*", None),
    ("POST", "/v1/retention/apply", {}),
    ("PUT", "/v1/templates/web/characteristics", {}),
    ("PATCH", "/v1/templates/web/characteristics", {"tuned": {"rng": True}}),
    ("GET", "/v1/profiles", None),
    ("GET", "/v1/profiles/web", None),
    ("GET", "/v1/operations", None),
    ("GET", "/v1/operations/0000012d", None),
    ("GET", "/v1/operations/0000012d/events", None),
    ("POST", "/v1/operations/0000012d/cancel", None),
    ("GET", "/v1/store/usage", None),
    ("POST", "/v1/store/check", {}),
    ("POST", "/v1/store/sweep", {}),
]
# Their services are real ones here too: tests/unit/accounts and tests/unit/api/test_accounts.py try them.
_ACCOUNT_ROUTES = (
    "/v1/accounts",
    "/v1/users",
    "/v1/api-keys",
    "/v1/audit",
    "/v1/login",
    "/v1/logout",
    "/v1/identity",
    "/v1/session",
    "/v1/sign-in",
    "/v1/oidc",
)
_BODY_ROUTES = [(method, path, body) for method, path, body in _ROUTES if body is not None]


def test_every_route_is_tried_here(http: testclient.TestClient) -> None:
    described = http.get("/v1/openapi.json").json()["paths"]
    named = {(method.upper(), path) for path, methods in described.items() for method in methods}
    tried = {
        (
            method,
            path.replace("web-01", "{reference}")
            .replace("/web", "/{reference}")
            .replace("0000012d", "{reference}")
            .replace("ci-*", "{pattern}")
            .replace("globex", "{account}"),
        )
        for method, path, _body in _ROUTES
    }
    asks_no_fake = ("/v1/health", "/v1/ready", "/v1/version", "/v1/metrics", *_ACCOUNT_ROUTES)
    assert {(method, path) for method, path in named - tried if not path.startswith(asks_no_fake)} == set()


@pytest.mark.parametrize(("error", "status"), _EXAMPLES, ids=lambda value: getattr(value, "code", value))
def test_a_family_of_errors_has_one_status(error: errors.EstampeError, status: int) -> None:
    assert problem.status_of(type(error)) == status


def test_every_error_has_a_status() -> None:
    for kind in errors.all_errors().values():
        assert any(family in problem.STATUSES for family in kind.__mro__)


@pytest.mark.parametrize(("method", "path", "body"), _ROUTES)
@pytest.mark.parametrize(("error", "status"), [_EXAMPLES[5], _EXAMPLES[6]], ids=["missing", "busy"])
def test_what_a_service_raises_becomes_a_problem(
    http: testclient.TestClient,
    world: fakes.World,
    method: str,
    path: str,
    body: Any,
    error: errors.EstampeError,
    status: int,
) -> None:
    world.failure = error
    answer = http.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:estampe:error:{error.code}"
    assert problem["status"] == status
    assert problem["detail"] == str(error)
    assert problem["facts"] == error.facts
    assert str(
        errors.from_record({"code": problem["code"], "message": problem["detail"], "facts": problem["facts"]})
    ) == str(error)


@pytest.mark.parametrize(("method", "path", "body"), _ROUTES)
def test_a_defect_tells_nothing_but_an_id_which_the_log_has(
    http: testclient.TestClient, world: fakes.World, caplog: pytest.LogCaptureFixture, method: str, path: str, body: Any
) -> None:
    world.failure = RuntimeError("/secret/path of the inside")
    answer = http.request(method, path, json=body)
    assert answer.status_code == 500
    problem = answer.json()
    assert problem["code"] == "internal"
    assert "secret" not in answer.text
    assert "RuntimeError" not in answer.text
    assert problem["request_id"] in problem["detail"]
    logged = [record for record in caplog.records if problem["request_id"] in record.getMessage()]
    assert logged[0].exc_info is not None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/", 404),
        ("GET", "/v1/servers/", 404),
        ("PUT", "/v1/servers", 405),
        ("GET", "/docs", 404),
    ],
)
def test_an_unknown_route_is_a_problem_too(http: testclient.TestClient, method: str, path: str, status: int) -> None:
    answer = http.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, "route-not-found")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/captures", {}, "server"),
        ("/v1/captures", {"server": ""}, "server"),
        ("/v1/captures", {"server": "a\nb"}, "server"),
        ("/v1/captures", {"server": "x" * 257}, "server"),
        ("/v1/captures", {"server": "x", "sealed": True}, "sealed"),
        ("/v1/captures", {"server": "x", "is_forced": 1}, "is_forced"),
        ("/v1/captures", {"server": "x", "stop_timeout_seconds": -1}, "stop_timeout_seconds"),
        ("/v1/captures", {"server": "x", "stop_timeout_seconds": 1e9}, "stop_timeout_seconds"),
        ("/v1/captures", {"server": "x", "note": "y" * 4097}, "note"),
        ("/v1/captures", {"server": "x", "note": "\x1b[31m"}, "note"),
        ("/v1/captures", {"server": "x", "note": "\x00"}, "note"),
        ("/v1/captures", {"server": "x", "tags": ["a b"]}, "tags.0"),
        ("/v1/captures", {"server": "x", "tags": ["a"] * 33}, "tags"),
        ("/v1/captures", {"server": "x", "volumes": ["../etc"]}, "volumes.0"),
        ("/v1/captures", {"server": "x", "volumes": "vda"}, "volumes"),
        ("/v1/deployments", {"template": "x", "name": "n", "count": 0}, "count"),
        ("/v1/deployments", {"template": "x", "name": "n", "count": 101}, "count"),
        ("/v1/deployments", {"template": "x", "name": "n", "cpus": "2"}, "cpus"),
        ("/v1/deployments", {"template": "x", "name": "n", "memory_bytes": 2**60}, "memory_bytes"),
        ("/v1/deployments", {"template": "x", "name": "n", "volume_sizes": {"vda": 0}}, "volume_sizes.vda"),
        ("/v1/deployments", {"template": "x", "name": "n", "volume_format": "vmdk"}, "volume_format"),
        ("/v1/deployments", {"template": "x", "name": "n", "interfaces": [{"addresses": ["192.0.2.10"]}]}, "interfaces.0.addresses.0"),
        ("/v1/deployments", {"template": "x", "name": "n", "interfaces": [{"addresses": ["300.0.2.1/24"]}]}, "interfaces.0.addresses.0"),
        ("/v1/deployments", {"template": "x", "name": "n", "interfaces": [{"gateways": ["192.0.2.1/24"]}]}, "interfaces.0.gateways.0"),
        ("/v1/deployments", {"template": "x", "name": "n", "interfaces": [{"mac": "x"}]}, "interfaces.0.mac"),
        ("/v1/deployments", {"template": "x", "name": "n", "interfaces": [{}] * 17}, "interfaces"),
        ("/v1/deployments", {"template": "x", "name": "n", "ssh_keys": ["rm -rf /"]}, "ssh_keys.0"),
        ("/v1/deployments", {"template": "x", "name": "n", "ssh_keys": ["ssh-rsa AAAA\nevil"]}, "ssh_keys.0"),
        ("/v1/deployments", {"template": "x", "name": "n", "user_data": "x" * (512 * 1024 + 1)}, "user_data"),
        ("/v1/store/check", {"sample": 0}, "sample"),
        ("/v1/store/check", {"sample": 1.5}, "sample"),
        ("/v1/store/sweep", {"grace_seconds": -1}, "grace_seconds"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named_and_no_service_is_asked(
    http: testclient.TestClient, world: fakes.World, path: str, body: Any, field: str
) -> None:
    answer = http.post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")
    assert answer.json()["facts"]["field"] == field
    assert world.calls == []


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/templates", {"limit": 0}),
        ("/v1/templates", {"limit": 1001}),
        ("/v1/templates", {"after": "x" * 513}),
        ("/v1/templates", {"name": ""}),
        ("/v1/templates", {"name": "a\0"}),
        ("/v1/templates", {"sort": "colour"}),
        ("/v1/templates", {"colour": "blue"}),
        ("/v1/operations", {"since": "yesterday"}),
        ("/v1/operations", {"since": "0.5"}),
        ("/v1/operations", {"since": "9999-12-31T23:59:59-23:59"}),
        ("/v1/operations", {"since": "2026-11-23T12:00:00"}),
        ("/v1/servers", {"power_state": "tired"}),
        ("/v1/operations", {"state": "done"}),
        ("/v1/operations", {"kind": "x"}),
        ("/v1/operations/0000012d", {"wait": 61}),
        ("/v1/operations/0000012d", {"wait": "nan"}),
        ("/v1/operations/0000012d", {"wait": -1}),
        ("/v1/servers/" + "x" * 257, {}),
        ("/v1/servers/%00", {}),
    ],
)
def test_a_bad_query_or_path_is_refused(
    http: testclient.TestClient, world: fakes.World, path: str, query: dict[str, Any]
) -> None:
    answer = http.get(path, params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")
    assert world.calls == []


def test_a_refusal_never_repeats_the_value(http: testclient.TestClient) -> None:
    answer = http.post(
        "/v1/deployments", json={"template": "x", "name": "n", "user_data": 12345678, "ssh_keys": ["hunter2"]}
    )
    assert "hunter2" not in answer.text
    assert "12345678" not in answer.text


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"server": ' + b"9" * 5000 + b"}", b"NaN"]
)
def test_a_body_that_is_not_json_is_refused(http: testclient.TestClient, world: fakes.World, content: bytes) -> None:
    answer = http.post("/v1/captures", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")
    assert world.calls == []


def test_a_body_that_is_too_long_is_refused(http: testclient.TestClient, world: fakes.World) -> None:
    def pieces() -> Iterator[bytes]:
        for _nth in range(8):
            yield b"x" * 1024 * 1024

    announced = http.post("/v1/captures", content=b"x" * (body_limit.MAX_BODY_BYTES + 1))
    unannounced = http.post("/v1/captures", content=pieces())
    for answer in (announced, unannounced):
        assert (answer.status_code, answer.json()["facts"]["field"]) == (400, "body")
    assert world.calls == []


_JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats() | strategies.text(),
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = [
    "server", "name", "note", "tags", "volumes", "is_forced", "template", "count", "cpus", "memory_bytes", "volume_sizes",
    "interfaces", "hostname", "ssh_keys", "user_data", "sample", "grace_seconds", "is_dry_run", "timeout_seconds", "\ud800",
]  # fmt: skip


_FUZZED = testclient.TestClient(peer.come_from(app.create(fakes.World().services()), 0), raise_server_exceptions=False)


@hypothesis.given(
    route=strategies.sampled_from(_BODY_ROUTES),
    body=_JSON | strategies.dictionaries(strategies.sampled_from(_FIELDS), _JSON),
)
@hypothesis.settings(max_examples=200, deadline=None)
def test_no_body_makes_a_defect(route: tuple[str, str, Any], body: Any) -> None:
    method, path, _good = route
    answer = _FUZZED.request(method, path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["code"] in {
            "invalid-request",
            "template-not-found",
            "server-not-found",
            "account-not-found",
        }
