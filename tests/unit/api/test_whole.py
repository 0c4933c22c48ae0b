"""The API over the real services: a fake host, a store in memory, an engine that a test drives, each real database."""

from __future__ import annotations

import datetime
import json
import re
import urllib.parse
import uuid
from collections.abc import Iterator

import pytest
import structlog
from starlette import testclient
from tests.unit import site_under_test

from estampe import errors
from estampe.api import app, peer
from estampe.db import idempotency
from estampe.model import account, listing

_CAPTURE = {"server": "web", "is_sealed": False}


def _client(site, services=None) -> testclient.TestClient:
    api = app.create(services or site.services, meter=site.installation.meter)
    return testclient.TestClient(peer.come_from(api, 0), raise_server_exceptions=False)


@pytest.fixture
def site(tmp_path, migrated_url, short_directory) -> Iterator:
    made = site_under_test.Site(tmp_path, migrated_url, run_directory=short_directory)
    yield made
    made.close()


@pytest.fixture
def site_with_server(site) -> Iterator:
    site.add_server("web")
    return site


def test_a_create_is_answered_the_same_after_a_restart_of_the_daemon(site_with_server) -> None:
    site = site_with_server
    first = _client(site).post("/v1/captures", json=_CAPTURE, headers={"Idempotency-Key": "k"})
    site.run()
    site.engine = site.engine.relaunch()
    site._start_daemon()
    again = _client(site).post("/v1/captures", json=_CAPTURE, headers={"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert _client(site).get("/v1/templates").json()["templates"][0]["version"] == 1
    assert len(_client(site).get("/v1/operations").json()["operations"]) == 1


def test_a_create_whose_answer_could_not_be_kept_is_found_again(site_with_server) -> None:
    site = site_with_server

    class Forgetful(idempotency.Keys):
        is_full = True

        def keep(self, owner_id: uuid.UUID, key: str, answer: str) -> None:
            if self.is_full:
                raise errors.DatabaseUnavailable(where="x", detail="the disk is full")
            super().keep(owner_id, key, answer)

    services = site.services
    keys = Forgetful(site.db)
    object.__setattr__(services, "idempotency", keys)
    http = _client(site, services)
    assert http.post("/v1/captures", json=_CAPTURE, headers={"Idempotency-Key": "k"}).status_code == 503
    keys.is_full = False
    again = http.post("/v1/captures", json=_CAPTURE, headers={"Idempotency-Key": "k"})
    assert again.status_code == 202
    assert [each["id"] for each in http.get("/v1/operations").json()["operations"]] == [again.json()["id"]]


def test_a_request_id_goes_through_the_whole_operation(site_with_server) -> None:
    site = site_with_server
    seen = []
    note = site._observe
    site.engine._observer = lambda *told: (note(*told), seen.append(structlog.contextvars.get_contextvars()))
    begun = _client(site).post("/v1/captures", json=_CAPTURE, headers={"X-Request-Id": "r-1"}).json()
    site.run()
    assert begun["request_id"] == "r-1"
    assert seen
    assert all(each == {"request_id": "r-1", "operation_id": begun["id"]} for each in seen)


def test_an_operation_is_followed_from_queued_to_its_end(site_with_server) -> None:
    site = site_with_server
    http = _client(site)
    begun = http.post("/v1/captures", json=_CAPTURE).json()
    site.run()
    answer = http.get(f"/v1/operations/{begun['id']}/events", headers={"Last-Event-ID": str(begun["revision"])})
    event = dict(line.split(": ", 1) for line in answer.text.strip().splitlines())
    assert (event["event"], json.loads(event["data"])["state"]) == ("ended", "succeeded")
    assert int(event["id"]) > begun["revision"]


def test_what_a_capture_read_and_stored_is_measured(site_with_server) -> None:
    site = site_with_server
    http = _client(site)
    http.post("/v1/captures", json=_CAPTURE)
    assert 'estampe_queue_length{kind="capture"} 1.0' in http.get("/v1/metrics").text
    site.run()
    text = http.get("/v1/metrics").text
    assert 'estampe_operations{kind="capture",state="succeeded"} 1.0' in text
    (told,) = site.services.operations.list(account.DEFAULT_ACCOUNT_ID, listing.OperationQuery()).items
    assert float(re.search(r"^estampe_stored_bytes_total (.*)$", text, re.MULTILINE)[1]) == told.result["new_bytes"] > 0
    read = re.search(r'^estampe_volume_bytes_total{kind="capture"} (.*)$', text, re.MULTILINE)
    assert 0 < float(read[1]) <= told.result["read_bytes"]


def test_a_sound_installation_is_ready_and_a_broken_one_says_which_part(site) -> None:
    assert _client(site).get("/v1/ready").json()["parts"] == ["database", "store", "libvirt", "engine"]
    with site.db.write() as connection:
        connection.exec_driver_sql("ALTER TABLE operations RENAME TO lost")
    answer = _client(site).get("/v1/ready")
    assert (answer.status_code, answer.json()["facts"]["parts"]) == (503, "database")


def test_templates_are_edited_under_the_etag_that_was_seen(site_with_server) -> None:
    site = site_with_server
    http = _client(site)
    site.succeed(site.capture())
    seen = http.get("/v1/templates/web").headers["etag"]
    assert http.patch("/v1/templates/web", json={"tags": ["a"]}, headers={"If-Match": seen}).status_code == 200
    assert http.patch("/v1/templates/web", json={"tags": ["b"]}, headers={"If-Match": seen}).status_code == 412
    assert http.delete("/v1/templates/web", headers={"If-Match": seen}).status_code == 412
    now = http.get("/v1/templates/web").headers["etag"]
    assert http.delete("/v1/templates/web", headers={"If-Match": now}).json()["trash"] is not None
    for move in ("restore", "purge"):
        assert http.post(f"/v1/templates/web@1/{move}", headers={"If-Match": now}).status_code == 412
    trashed = http.get("/v1/templates/web@1").headers["etag"]
    assert http.post("/v1/templates/web@1/purge", headers={"If-Match": trashed}).status_code == 204


def test_servers_come_in_pages_that_stand_still_when_one_goes(site) -> None:
    for name in ("a", "b", "c", "d"):
        site.add_server(name)
    http = _client(site)
    first = http.get("/v1/servers", params={"limit": 2}).json()
    assert http.delete("/v1/servers/b").status_code == 204
    second = http.get("/v1/servers", params={"limit": 2, "after": first["next"]}).json()
    assert [each["name"] for each in first["servers"] + second["servers"]] == ["a", "b", "c", "d"]
    assert second["next"] is None
    assert [each["name"] for each in http.get("/v1/servers", params={"name": "?"}).json()["servers"]] == ["a", "c", "d"]
    assert http.get("/v1/servers", params={"name": "[a]"}).json()["servers"] == []
    assert http.get("/v1/servers", params={"power_state": "running"}).json()["servers"] == []


def test_a_template_lives_from_its_capture_to_its_purge_by_housekeeping(site_with_server) -> None:
    site = site_with_server
    http = _client(site)
    http.post("/v1/captures", json={**_CAPTURE, "tags": ["blue"], "note": "as it was"})
    site.run()
    http.post("/v1/deployments", json={"template": "web", "name": "new"})
    site.run()
    (made,) = http.get(
        "/v1/templates", params={"tag": "blue", "name": "w*", "state": "active", "sort": "-size"}
    ).json()["templates"]
    assert [each["name"] for each in http.get("/v1/templates/web@1/servers").json()["servers"]] == ["new"]
    assert http.put("/v1/retention/rules/w*", json={"keep_last": 1}).status_code == 200
    assert http.delete("/v1/templates/web@1").status_code in {200, 204}
    site.installation.housekeeping.tend()
    assert [each["id"] for each in http.get("/v1/templates?is_trashed=true").json()["templates"]] == [made["id"]]
    site.today += datetime.timedelta(days=site.settings.trash_days + 1)
    site.installation.housekeeping.tend()
    assert http.get(f"/v1/templates/{made['id']}").status_code == 404
    (row,) = [each for each in http.get("/v1/servers").json()["servers"] if each["name"] == "new"]
    assert "web@1" in json.dumps(row)
    assert list(site.store.list_manifests()) == []


_STRANGE = ("a\0b", "\ud800", "a\udfffb")


@pytest.mark.parametrize("text", _STRANGE)
def test_texts_that_no_database_keeps_are_problems_of_the_caller(site_with_server, text) -> None:
    site = site_with_server
    http = _client(site)
    http.post("/v1/captures", json=_CAPTURE)
    site.run()
    quoted = urllib.parse.quote(text.encode("utf-8", "surrogatepass"))
    answers = [
        http.patch(
            "/v1/templates/web@1", content=json.dumps({"note": text}), headers={"Content-Type": "application/json"}
        ),
        http.post("/v1/captures", content=json.dumps({"server": text}), headers={"Content-Type": "application/json"}),
        http.get(f"/v1/templates/{quoted}"),
        http.get(f"/v1/servers/{quoted}"),
        http.get(f"/v1/operations/{quoted}"),
        http.delete(f"/v1/retention/rules/{quoted}"),
        http.get(f"/v1/templates?name={quoted}"),
        http.get(f"/v1/templates?tag={quoted}"),
        http.get(f"/v1/templates?guest={quoted}"),
        http.get(f"/v1/operations?subject={quoted}"),
    ]
    found = {str(each.request.url): each.status_code for each in answers}
    # In a URL, half a pair becomes a replacement character: a filter like any other, which nothing matches.
    assert [
        url for url, status in found.items() if not (400 <= status < 500 or ("?" in url and "\0" not in text))
    ] == []
    assert {each.headers["content-type"] for each in answers if each.status_code != 200} == {"application/problem+json"}


def test_a_template_tells_its_owner_what_it_takes_of_the_store(site_with_server) -> None:
    site = site_with_server
    site.succeed(site.capture())
    alone = _client(site).get("/v1/templates/web@1/usage").json()
    assert alone["unique_bytes"] == alone["stored_bytes"] > 0
    site.succeed(site.capture())
    both = _client(site).get("/v1/templates/web@1/usage").json()
    assert (both["unique_bytes"], both["stored_bytes"]) == (0, alone["stored_bytes"])
    assert _client(site).get("/v1/templates/nothing-so/usage").status_code == 404
    begun = site.capture()
    capturing = _client(site).get("/v1/templates/web@3/usage")
    assert (capturing.status_code, begun.state.value) == (404, "queued")  # its row comes with its first step
