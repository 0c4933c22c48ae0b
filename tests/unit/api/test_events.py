"""Operations as server-sent events."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette import testclient
from tests.unit.api import fakes, serving

from estampe import errors
from estampe.client import client
from estampe.model import account, operation
from estampe.schemas import api_key

_END: dict[str, Any] = {"state": operation.State.SUCCEEDED, "result": {}, "ended_at": fakes.NOW}


@pytest.fixture
def running(world: fakes.World) -> operation.Operation:
    return world.begin(operation.Kind.CAPTURE, "web-01")


def _events(text: str) -> list[dict[str, str]]:
    return [
        dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        for block in text.strip().split("\n\n")
    ]


def test_an_ended_operation_is_one_event(
    http: testclient.TestClient, world: fakes.World, running: operation.Operation
) -> None:
    world.change(running.id, **_END)
    answer = http.get(f"/v1/operations/{running.id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    (event,) = _events(answer.text)
    assert (event["event"], event["id"]) == ("ended", "2")
    assert json.loads(event["data"])["state"] == "succeeded"


def test_who_has_seen_the_end_is_told_it_again_and_not_kept_waiting(
    http: testclient.TestClient, world: fakes.World, running: operation.Operation
) -> None:
    world.change(running.id, **_END)
    answer = http.get(f"/v1/operations/{running.id}/events", headers={"Last-Event-ID": "2"})
    assert [event["event"] for event in _events(answer.text)] == ["ended"]


def test_an_operation_that_is_not_there_is_an_ordinary_problem(http: testclient.TestClient) -> None:
    answer = http.get("/v1/operations/0000012d/events")
    assert (answer.status_code, answer.json()["code"]) == (404, "operation-not-found")


def test_an_ill_formed_last_event_id_is_refused(http: testclient.TestClient, running: operation.Operation) -> None:
    answer = http.get(f"/v1/operations/{running.id}/events", headers={"Last-Event-ID": "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")


@contextlib.contextmanager
def _following(path: Path, reference: str, count: int) -> Iterator[list[list[str]]]:
    """`count` followers in threads; the phases that each of them hears, joined on leaving."""
    heard: list[list[str]] = [[] for _nth in range(count)]

    def follow(mine: list[str]) -> None:
        with contextlib.suppress(errors.EstampeError), client.Client(path) as daemon:
            for state in daemon.watch_operation(reference):
                mine.append(state.progress.phase)  # noqa: PERF401 - seen by the test while it grows

    threads = [threading.Thread(target=follow, args=(mine,), daemon=True) for mine in heard]
    for thread in threads:
        thread.start()
    yield heard
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def _until(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def test_a_hundred_followers_hear_every_change_and_hold_no_thread(tmp_path: Path) -> None:
    world = fakes.World()
    begun = world.begin(operation.Kind.CAPTURE, "web-01")
    path = tmp_path / "estampe.sock"
    with serving.serving(world, path), client.Client(path) as daemon:
        before = threading.active_count()
        with _following(path, str(begun.id), 100) as heard:
            _until(lambda: all(heard))
            world.change(begun.id, progress=operation.Progress(phase="copying vda"))
            _until(lambda: all(len(each) == 2 for each in heard))
            assert daemon.get_health().status == "ok"
            # A hundred of the test's own; the daemon's are those that look, and those of ordinary requests at the begin.
            assert threading.active_count() - before - 100 <= 45
            looks = len(world.calls)
            threading.Event().wait(0.6)
            assert len(world.calls) - looks <= 6  # one look a tick, not a hundred
            world.change(begun.id, progress=operation.Progress(phase="done"), **_END)
    assert all(each == ["planning", "copying vda", "done"] for each in heard)


def test_a_stream_ends_with_the_key_that_opened_it(tmp_path: Path) -> None:
    world = fakes.World()
    begun = world.begin(operation.Kind.CAPTURE, "web-01")
    path = tmp_path / "estampe.sock"
    heard, refused = [], []
    with serving.serving(world, path), client.Client(path) as operator:
        made = operator.create_api_key(api_key.CreateApiKeyRequest(name="ci", role=account.Role.OWNER))

        def follow() -> None:
            try:
                with client.Client(path, key=made.key) as member:
                    for state in member.watch_operation(str(begun.id)):
                        heard.append(state.progress.phase)  # noqa: PERF401 - seen by the test while it grows
            except errors.EstampeError as error:
                refused.append(error.code)

        following = threading.Thread(target=follow, daemon=True)
        following.start()
        _until(lambda: heard)
        world.change(begun.id, progress=operation.Progress(phase="copying vda"))
        _until(lambda: len(heard) == 2)
        operator.revoke_api_key(str(made.api_key.id))
        world.change(begun.id, progress=operation.Progress(phase="copying vdb"))
        following.join(30)
    assert not following.is_alive()
    assert heard == ["planning", "copying vda"]
    assert refused == ["api-key-refused"]


def test_a_stream_ends_when_the_daemon_stops(tmp_path: Path) -> None:
    world = fakes.World()
    begun = world.begin(operation.Kind.CAPTURE, "web-01")
    path = tmp_path / "estampe.sock"
    heard: list[bytes] = []

    def follow() -> None:
        import httpx

        with (
            httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as http,
            http.stream("GET", f"http://estampe/v1/operations/{begun.id}/events") as answer,
        ):
            heard.extend(answer.iter_bytes())

    following = threading.Thread(target=follow, daemon=True)
    with serving.serving(world, path):
        following.start()
        _until(lambda: heard)
        began = time.monotonic()
    following.join(30)
    assert not following.is_alive()
    assert time.monotonic() - began < 2  # the daemon cuts off what runs on only after two seconds
    assert len(heard) == 1


def test_a_follower_goes_on_where_it_was_after_a_restart_of_the_daemon(tmp_path: Path) -> None:
    world = fakes.World()
    begun = world.begin(operation.Kind.CAPTURE, "web-01")
    path = tmp_path / "estampe.sock"
    with serving.serving(world, path):
        following = _following(path, str(begun.id), 1)
        heard = following.__enter__()
        _until(lambda: all(heard))
    world.change(begun.id, progress=operation.Progress(phase="copying vda"))
    with serving.serving(world, path):
        _until(lambda: len(heard[0]) == 2)
        world.change(begun.id, progress=operation.Progress(phase="done"), **_END)
        following.__exit__(None, None, None)
    assert heard == [["planning", "copying vda", "done"]]


def test_a_row_that_changed_before_the_stream_began_is_not_told_twice(
    http: testclient.TestClient, world: fakes.World, running: operation.Operation
) -> None:
    world.operations[running.id] = dataclasses.replace(running, revision=7, **_END)
    answer = http.get(f"/v1/operations/{running.id}/events", headers={"Last-Event-ID": "5"})
    assert [event["id"] for event in _events(answer.text)] == ["7"]
