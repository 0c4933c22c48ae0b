"""Both clients are made of one set of calls; what one can do, the other can."""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.docs import generate
from tests.unit.api import fakes, serving

from estampe import errors
from estampe.client import call, calls, client, exchange, method
from estampe.model import operation
from estampe.schemas import capture, store, template


def _run(path: Path, work: Callable[[client.AsyncClient], Coroutine[Any, Any, Any]]) -> Any:
    async def connected() -> Any:
        async with client.AsyncClient(path) as daemon:
            return await work(daemon)

    return asyncio.run(connected())


def test_every_route_has_a_method_and_every_method_a_route() -> None:
    browsers = {"start_oidc", "finish_oidc"}  # a browser is sent there
    routes = {route["operationId"] for _method, _path, route in generate.routes()} - browsers
    assert {name for name in vars(client.Routes) if not name.startswith("_")} == routes | {
        "wait_operation"  # get_operation, with a wait
    }


def test_every_method_is_of_the_call_of_its_name() -> None:
    for name, made in vars(client.Routes).items():
        if isinstance(made, method.Ask | method.Each | method.Follow):
            assert made.describe is getattr(calls, name)
            assert inspect.getdoc(made.describe), name


def test_answers_are_typed(served: tuple[fakes.World, Path], world: fakes.World) -> None:
    async def work(daemon: client.AsyncClient) -> None:
        assert [found.name async for found in daemon.list_servers()] == ["web-01"]
        assert (await daemon.get_template("web@1")).manifest is not None
        assert (await daemon.start_check(store.CheckRequest())).kind is operation.Kind.CHECK
        assert (await daemon.get_readiness()).status == "ready"
        assert "estampe_build_info" in await daemon.get_metrics()
        await daemon.delete_template("web@1")

    _run(served[1], work)


def test_all_pages_are_read(served: tuple[fakes.World, Path], world: fakes.World) -> None:
    world.templates = [fakes.a_template(id=fakes.an_id(1000 + number), version=number) for number in range(450, 0, -1)]

    async def work(daemon: client.AsyncClient) -> None:
        assert [found.version async for found in daemon.list_templates()] == list(range(450, 0, -1))
        assert [found.version async for found in daemon.list_templates(limit=3)] == [450, 449, 448]

    _run(served[1], work)


def test_an_error_arrives_as_it_was_raised(served: tuple[fakes.World, Path], world: fakes.World) -> None:
    async def work(daemon: client.AsyncClient) -> None:
        with pytest.raises(errors.ServerNotFound):
            await daemon.get_server("none")

    _run(served[1], work)


def test_nobody_there_is_daemon_unavailable(tmp_path: Path) -> None:
    async def work(daemon: client.AsyncClient) -> None:
        with pytest.raises(errors.DaemonUnavailable, match="No such file"):
            await daemon.get_health()

    _run(tmp_path / "none", work)


def test_an_operation_is_watched_to_its_end(served: tuple[fakes.World, Path], world: fakes.World) -> None:
    begun = world.begin(operation.Kind.CAPTURE, "web-01")

    async def work(daemon: client.AsyncClient) -> list[str]:
        heard = []
        async for state in daemon.watch_operation(str(begun.id)):
            heard.append(state.state.value)
            if not state.state.has_ended:
                world.change(begun.id, state=operation.State.SUCCEEDED, result={}, ended_at=fakes.NOW)
        return heard

    assert _run(served[1], work) == ["running", "succeeded"]


def test_an_edit_of_what_has_changed_is_refused(daemon: client.Client) -> None:
    seen = daemon.get_template("web@1").template
    edited = daemon.edit_template("web@1", template.EditRequest(note="theirs"))
    with pytest.raises(errors.TemplateChanged):
        daemon.edit_template("web@1", template.EditRequest(note="mine"), if_match=seen.etag)
    with pytest.raises(errors.TemplateChanged):
        daemon.delete_template("web@1", if_match=seen.etag)
    daemon.delete_template("web@1", if_match=edited.etag)


def test_each_create_has_a_key_of_its_own_and_a_given_one_is_kept(daemon: client.Client, world: fakes.World) -> None:
    request = capture.CaptureRequest(server="web-01")
    assert daemon.start_capture(request).id != daemon.start_capture(request).id
    kept = [daemon.start_capture(request, idempotency_key="k").id for _nth in range(2)]
    assert kept[0] == kept[1]
    assert len(world.keys) == 3


def _losing_answers(path: Path, behind: Path, losses: int) -> threading.Thread:
    """Passes requests on to the daemon at `behind`; the first `losses` answers are lost on the way back."""
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(path))
    bound.listen()

    def run() -> None:
        left = losses
        with bound:
            while left >= 0:
                connection, _ = bound.accept()
                with connection, socket.socket(socket.AF_UNIX) as daemon:
                    asked = connection.recv(65536)
                    if not asked:
                        continue  # the client's probe
                    while b"\r\n\r\n{" not in asked:
                        asked += connection.recv(65536)
                    daemon.connect(str(behind))
                    daemon.sendall(asked)
                    answer = daemon.recv(65536)
                    while not answer.endswith(b"}"):
                        answer += daemon.recv(65536)
                    if left == 0:
                        connection.sendall(answer)
                    left -= 1

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_a_create_whose_answer_was_lost_is_asked_again_and_made_once(
    served: tuple[fakes.World, Path], world: fakes.World, tmp_path: Path
) -> None:
    proxy = _losing_answers(tmp_path / "s", served[1], losses=2)
    with client.Client(tmp_path / "s", pause_seconds=0) as daemon:
        begun = daemon.start_capture(capture.CaptureRequest(server="web-01"))
    proxy.join(10)
    assert list(world.operations) == [begun.id]
    assert len([each for each in world.calls if each[0] == "capture"]) == 1


def test_a_daemon_that_was_never_there_is_not_asked_again() -> None:
    failure = exchange.Daemon(url="http://x").unavailable("refused")
    create = call.Call(read=call.nothing, method="POST", path="/captures", is_create=True)
    with pytest.raises(errors.DaemonUnavailable):
        exchange.Repetitions(create).note(failure, None)


def test_a_server_can_be_reached_again_after_the_daemon_came_back(tmp_path: Path) -> None:
    world, path = fakes.World(), tmp_path / "estampe.sock"
    with client.Client(path) as daemon:
        for _life in range(2):
            with serving.serving(world, path):
                assert daemon.get_health().status == "ok"
