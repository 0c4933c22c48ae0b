"""Routes of accounts, people, keys and the audit log; and how requests say who sends them."""

from __future__ import annotations

import logging
from typing import Any

import fastapi
import pytest
from starlette import testclient
from tests.unit.api import fakes, people, serving

from estampe import errors
from estampe.client import client
from estampe.model import audit, operation

PASSWORD = "correct horse battery"


@pytest.fixture
def acme(http: testclient.TestClient) -> None:
    """An account with alice as its owner."""
    assert http.post("/v1/accounts", json={"name": "acme"}).status_code == 201
    assert http.post("/v1/users", json={"name": "alice", "password": PASSWORD}).status_code == 201
    added = http.post("/v1/accounts/acme/members", json={"user": "alice", "role": "owner"})
    assert (added.status_code, added.json()) == (201, {"user": "alice", "role": "owner"})


@pytest.fixture
def net(world: fakes.World, served: tuple[fakes.World, fastapi.FastAPI]) -> Any:
    """The application as strangers meet it: over TCP."""
    with testclient.TestClient(served[1], raise_server_exceptions=False, client=("192.0.2.7", 50000)) as connected:
        yield connected


def _login(net: testclient.TestClient, password: str = PASSWORD, **more: str) -> Any:
    return net.post("/v1/login", json={"name": "alice", "password": password, **more})


def _as(key: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}", **more}


def _audit(http: testclient.TestClient, **query: Any) -> list[dict[str, Any]]:
    return http.get("/v1/audit", params=query).json()["entries"]


# --- who asks ---------------------------------------------------------------------------------------------------------


def test_over_tcp_nobody_is_let_in_without_a_key(net: testclient.TestClient) -> None:
    answer = net.get("/v1/servers")
    assert (answer.status_code, answer.json()["code"]) == (401, "sign-in-needed")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert net.get("/v1/health").status_code == 200


def test_who_is_not_let_in_does_not_learn_what_is_wrong_with_the_body(net: testclient.TestClient) -> None:
    for content in (b"{", b"[" * 10_000, b"{}"):
        assert net.post("/v1/captures", content=content).status_code == 401


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer ", "est_x", "Bearer a b", ""])
def test_what_is_no_bearer_token_is_refused_also_on_the_socket(http: testclient.TestClient, header: str) -> None:
    answer = http.get("/v1/servers", headers={"authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, "api-key-refused")


@pytest.mark.parametrize("name", ["no-such", "", "a" * 129, "\x7f", "caf\xe9"])
def test_an_account_that_is_not_there_is_said_so(http: testclient.TestClient, name: str) -> None:
    answer = http.get("/v1/servers", headers={"estampe-account": name.encode("latin-1")})
    assert (answer.status_code, answer.json()["code"]) == (404, "account-not-found")


@pytest.mark.usefixtures("acme")
def test_services_are_asked_for_the_account_that_is_acted_for(
    http: testclient.TestClient, net: testclient.TestClient, world: fakes.World
) -> None:
    acme = http.get("/v1/accounts/acme").json()["id"]
    http.get("/v1/servers")
    http.get("/v1/servers", headers={"estampe-account": "acme"})
    net.get("/v1/servers", headers=_as(_login(net).json()["new"]["key"]))
    assert [str(call[1]) for call in world.calls] == [str(fakes.OWNER), acme, acme]


@pytest.mark.usefixtures("acme")
def test_signing_in_out_and_who_one_is(net: testclient.TestClient) -> None:
    signed_in = _login(net).json()
    assert signed_in["actor"]["account"]["name"] == "acme"
    key = signed_in["new"]["key"]
    who = net.get("/v1/identity", headers=_as(key)).json()
    assert (who["name"], who["role"], who["is_cloud_operator"], who["address"]) == (
        "alice",
        "owner",
        False,
        "192.0.2.7",
    )
    assert net.post("/v1/logout", headers=_as(key)).status_code == 204
    assert net.get("/v1/identity", headers=_as(key)).json()["code"] == "api-key-refused"


@pytest.mark.usefixtures("acme")
def test_a_locked_sign_in_says_when_to_come_back(net: testclient.TestClient) -> None:
    for _nth in range(10):
        assert _login(net, "wrong password").json()["code"] == "sign-in-refused"
    locked = _login(net)
    assert (locked.status_code, locked.json()["code"]) == (429, "sign-in-locked")
    assert int(locked.headers["retry-after"]) == locked.json()["facts"]["seconds"] == 15 * 60 + 1


def test_the_daemon_knows_the_user_at_the_other_end_of_its_socket(tmp_path: Any) -> None:
    import os

    world = fakes.World()
    world.reset()
    with serving.serving(world, tmp_path / "s"), client.Client(tmp_path / "s") as daemon:
        who = daemon.get_identity()
        assert (who.name, who.address, who.is_cloud_operator) == (f"uid {os.getuid()}", "unix", True)
        daemon.start_server("web-01")
        assert next(daemon.list_audit_entries()).actor == f"uid {os.getuid()}"


def test_a_client_shows_its_key_and_its_account(tmp_path: Any) -> None:
    world = fakes.World()
    world.reset()
    path = tmp_path / "s"
    with serving.serving(world, path), client.Client(path) as daemon:
        people.office().bundle.accounts.create("acme")
        with client.Client(path, account="acme") as acting:
            assert acting.get_identity().account.name == "acme"
            key = acting.create_api_key(client.make(client.api_key.CreateApiKeyRequest, name="ci")).key
        with client.Client(path, key=key) as keyed:
            assert (keyed.get_identity().account.name, keyed.get_identity().is_cloud_operator) == ("acme", False)
            with pytest.raises(errors.CloudOperatorOnly):
                keyed.get_usage()
        assert daemon.get_usage()
        with pytest.raises(errors.ApiKeyRefused):
            client.Client(path, key="with\nnewline")


# --- accounts ---------------------------------------------------------------------------------------------------------


def test_an_account_is_made_suspended_resumed_and_deleted(http: testclient.TestClient, acme: None) -> None:
    assert http.post("/v1/accounts/acme/suspend").json()["state"] == "suspended"
    assert http.post("/v1/accounts/acme/resume").json()["state"] == "active"
    assert {each["name"] for each in http.get("/v1/accounts").json()["accounts"]} == {"acme", "default"}
    assert http.delete("/v1/accounts/acme").status_code == 204
    assert http.get("/v1/accounts/acme").json()["code"] == "account-not-found"


def test_a_suspended_account_can_be_looked_at_and_left(
    http: testclient.TestClient, net: testclient.TestClient, acme: None
) -> None:
    key = _login(net).json()["new"]["key"]
    http.post("/v1/accounts/acme/suspend")
    assert net.get("/v1/servers", headers=_as(key)).status_code == 200
    refused = net.post("/v1/captures", json={"server": "web-01"}, headers=_as(key))
    assert (refused.status_code, refused.json()["code"]) == (403, "account-suspended")
    acting = {"estampe-account": "acme"}
    assert http.post("/v1/captures", json={"server": "web-01"}, headers=acting).status_code == 202
    assert net.post("/v1/logout", headers=_as(key)).status_code == 204


def test_a_quota_is_changed_limit_by_limit(http: testclient.TestClient, acme: None) -> None:
    http.patch("/v1/accounts/acme/quota", json={"servers": 3, "stored_bytes": 1024})
    http.patch("/v1/accounts/acme/quota", json={"servers": None, "templates": 0})
    limits = http.get("/v1/accounts/acme/quota").json()["limits"]
    assert {name: value for name, value in limits.items() if value is not None} == {
        "stored_bytes": 1024,
        "templates": 0,
    }
    assert http.patch("/v1/accounts/acme/quota", json={"servers": -1}).status_code == 400


def test_members_see_the_account_and_owners_change_it(
    http: testclient.TestClient, net: testclient.TestClient, acme: None
) -> None:
    http.post("/v1/users", json={"name": "bob"})
    key = _login(net).json()["new"]["key"]
    net.post("/v1/accounts/acme/members", json={"user": "bob", "role": "viewer"}, headers=_as(key))
    net.patch("/v1/accounts/acme/members/bob", json={"role": "operator"}, headers=_as(key))
    members = net.get("/v1/accounts/acme/members", headers=_as(key)).json()["members"]
    assert members == [{"user": "alice", "role": "owner"}, {"user": "bob", "role": "operator"}]
    assert net.delete("/v1/accounts/acme/members/bob", headers=_as(key)).status_code == 204
    assert [each["name"] for each in net.get("/v1/accounts", headers=_as(key)).json()["accounts"]] == ["acme"]


def test_a_key_is_shown_once(http: testclient.TestClient) -> None:
    made = http.post("/v1/api-keys", json={"name": "ci", "expires_at": "2027-01-31T00:00:00+01:00"}).json()
    assert made["api_key"]["expires_at"] == "2027-01-30T23:00:00Z"
    listed = http.get("/v1/api-keys")
    assert made["key"].rpartition("_")[2] not in listed.text
    assert [each["name"] for each in listed.json()["api_keys"]] == ["ci"]
    assert http.delete("/v1/api-keys/ci").json()["revoked_at"] is not None


@pytest.mark.parametrize("time", ["2027-01-31T00:00:00", "tomorrow", 5, "", None])
def test_a_time_without_a_zone_or_sense_is_refused(http: testclient.TestClient, time: Any) -> None:
    answer = http.post("/v1/api-keys", json={"name": "ci", "expires_at": time})
    assert answer.status_code == (201 if time is None else 400)


@pytest.mark.parametrize("password", ["\ud800" * 12, "x" * 1025, "", 5])
def test_a_password_that_cannot_be_is_refused_and_not_told(http: testclient.TestClient, password: Any) -> None:
    import json

    body = json.dumps({"name": "bob", "password": password})
    answer = http.post("/v1/users", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["facts"]["field"]) == (400, "password")


def test_store_wide_operations_are_the_cloud_operators_alone(
    http: testclient.TestClient, net: testclient.TestClient, world: fakes.World, acme: None
) -> None:
    swept = world.begin(operation.Kind.SWEEP, "the store")
    mine = world.begin(operation.Kind.CAPTURE, "web-01")
    headers = _as(_login(net).json()["new"]["key"])
    assert [each["id"] for each in net.get("/v1/operations", headers=headers).json()["operations"]] == [str(mine.id)]
    shown, missing = (net.get(f"/v1/operations/{each}", headers=headers) for each in (swept.id, fakes.an_id(9)))
    assert shown.status_code == missing.status_code == 404
    assert shown.text.replace(str(swept.id), "") == missing.text.replace(str(fakes.an_id(9)), "")
    assert net.post(f"/v1/operations/{swept.id}/cancel", headers=headers).status_code == 404
    assert len(http.get("/v1/operations").json()["operations"]) == 2


# --- the audit log ----------------------------------------------------------------------------------------------------


def test_an_entry_says_who_did_what_to_what_from_where_and_what_came_of_it(
    http: testclient.TestClient, net: testclient.TestClient, acme: None
) -> None:
    key = _login(net).json()["new"]["key"]
    net.post("/v1/servers/web-01/start", headers=_as(key))
    net.post("/v1/servers/no-such/start", headers=_as(key))
    told = [
        tuple(entry[name] for name in ("account", "actor", "action", "subject", "address", "outcome", "code"))
        for entry in _audit(http, account="acme", actor="alice")
    ]
    assert told == [
        ("acme", "alice", "start_server", "no-such", "192.0.2.7", "refused", "server-not-found"),
        ("acme", "alice", "start_server", "web-01", "192.0.2.7", "done", None),
        ("acme", "alice", "sign_in", "alice", "192.0.2.7", "done", None),
    ]


def test_refused_changes_and_defects_are_entries_too(
    http: testclient.TestClient, net: testclient.TestClient, world: fakes.World, acme: None
) -> None:
    key = _login(net).json()["new"]["key"]
    net.post("/v1/store/sweep", json={}, headers=_as(key))
    net.post("/v1/captures", json={"server": ""}, headers=_as(key))
    net.post("/v1/captures", content=b"{", headers=_as(key, **{"content-type": "application/json"}))
    world.failure = RuntimeError("a defect")
    net.post("/v1/servers/web-01/start", headers=_as(key))
    world.failure = errors.HypervisorUnavailable(uri="x", detail="y")
    net.post("/v1/servers/web-01/start", headers=_as(key))
    assert [(entry["outcome"], entry["code"]) for entry in _audit(http, actor="alice")][:5] == [
        ("failed", "hypervisor-unavailable"),
        ("failed", "internal"),
        ("refused", "invalid-request"),
        ("refused", "invalid-request"),
        ("refused", "cloud-operator-only"),
    ]


def test_no_secret_is_in_the_log(http: testclient.TestClient, net: testclient.TestClient, acme: None) -> None:
    http.post("/v1/deployments", json={"template": "web", "name": "n", "user_data": "hunter2-user-data"})
    made = http.post("/v1/api-keys", json={"name": "ci"}).json()
    net.post("/v1/login", json={"name": "my-password-typed-as-name", "password": PASSWORD})
    _login(net, "hunter2-password")
    with people.office().db.read() as connection:
        dump = "\n".join(connection.connection.driver_connection.iterdump())
    entries = "\n".join(line for line in dump.splitlines() if "audit_entries" in line)
    for secret in (PASSWORD, "hunter2", "my-password-typed-as-name", made["key"].rpartition("_")[2]):
        assert secret not in entries
    assert [entry["subject"] for entry in _audit(http, action="sign_in")] == ["alice", "(unknown name)"]


def test_who_nobody_is_fills_no_log(http: testclient.TestClient, net: testclient.TestClient, acme: None) -> None:
    before = len(_audit(http))
    for _nth in range(3):
        net.post("/v1/captures", json={"server": "x"})
        net.post("/v1/captures", json={"server": "x"}, headers=_as("est_nothing"))
    assert len(_audit(http)) == before
    for _nth in range(20):
        _login(net, "wrong password")
    assert len(_audit(http)) == before + 10  # then it is locked


def test_what_callers_name_is_kept_printable_and_short(http: testclient.TestClient) -> None:
    http.post("/v1/servers/a%1b%5b31m%00%e2%80%ae" + "x" * 300 + "/start")
    subject = _audit(http)[0]["subject"]
    assert subject.startswith("a\\x1b[31m\\x00\\u202e")
    assert len(subject) == 256


def test_an_owner_reads_the_accounts_own_log_and_no_other(
    http: testclient.TestClient, net: testclient.TestClient, acme: None
) -> None:
    http.post("/v1/accounts", json={"name": "globex"})
    http.post("/v1/accounts/acme/suspend")
    http.post("/v1/accounts/acme/resume")
    key = _login(net).json()["new"]["key"]
    entries = net.get("/v1/audit", headers=_as(key)).json()["entries"]
    assert {entry["account"] for entry in entries} == {"acme"}
    assert "suspend_account" in {entry["action"] for entry in entries}
    foreign, missing = (
        net.get("/v1/audit", params={"account": name}, headers=_as(key)) for name in ("globex", "absent")
    )
    assert foreign.status_code == missing.status_code == 404
    assert {entry["account"] for entry in _audit(http)} == {"acme", "globex", "default"}


def test_the_log_comes_in_pages(http: testclient.TestClient) -> None:
    for _nth in range(5):
        http.post("/v1/servers/web-01/start")
    seen, after = [], None
    while True:
        page = http.get("/v1/audit", params={"limit": 2, **({"after": after} if after else {})}).json()
        seen += [entry["id"] for entry in page["entries"]]
        after = page["next"]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 5


def test_the_log_is_asked_by_time(http: testclient.TestClient) -> None:
    http.post("/v1/servers/web-01/start")
    at = people.NOW.isoformat()
    assert len(_audit(http, since=at)) == 1
    assert _audit(http, until=at) == []
    assert http.get("/v1/audit", params={"since": "yesterday"}).status_code == 400
    assert http.get("/v1/audit", params={"nonsense": "x"}).status_code == 400


class Deaf:
    """A log that cannot be written."""

    def record(self, **_facts: Any) -> audit.Entry:
        raise errors.DatabaseUnavailable(where="x", detail="full")


def test_a_change_that_the_log_cannot_hold_is_told_to_the_daemons_log(
    http: testclient.TestClient, served: tuple[fakes.World, fastapi.FastAPI], caplog: pytest.LogCaptureFixture
) -> None:
    services = served[1].state.services
    real = services.audit
    object.__setattr__(services, "audit", Deaf())
    try:
        with caplog.at_level(logging.ERROR):
            assert http.post("/v1/servers/web-01/start").status_code == 200
    finally:
        object.__setattr__(services, "audit", real)
    assert "no audit entry: uid 0 start_server 'web-01': done" in caplog.text
