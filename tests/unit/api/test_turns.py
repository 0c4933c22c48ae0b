from __future__ import annotations

import threading
import time

import anyio
import fastapi
import pytest
from starlette import testclient

from estampe.api import turns
from estampe.model import listing

PATIENCE_SECONDS = 10.0


def test_what_fails_gives_its_turn_on() -> None:
    async def twice() -> str:
        in_turn = turns.Turns(1)
        with pytest.raises(ZeroDivisionError):
            await in_turn.run(lambda: 1 // 0)
        return await in_turn.run(lambda: "next")

    assert anyio.run(twice) == "next"


def test_lists_of_many_clients_are_made_one_at_a_time(
    api: fastapi.FastAPI, http: testclient.TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, busy, most = type(api.state.services.templates).list, threading.Semaphore(1), []

    def looks(*arguments, **named) -> listing.Page:
        most.append(busy.acquire(blocking=False))
        time.sleep(0.02)  # long enough for the others to come in, if they could
        try:
            return real(*arguments, **named)
        finally:
            busy.release()

    monkeypatch.setattr(type(api.state.services.templates), "list", looks)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(http.get("/v1/templates"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)

    assert [each.status_code for each in answers] == [200] * 6
    assert most == [True] * 6


def test_a_template_that_is_slow_to_show_holds_no_list_up(
    api: fastapi.FastAPI, http: testclient.TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its manifest is in the store, and that may be a SAN that does not answer."""
    begun, go_on = threading.Event(), threading.Event()

    def hangs(*_arguments, **_named) -> None:
        begun.set()
        assert go_on.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(type(api.state.services.templates), "get", hangs)
    showing = threading.Thread(target=lambda: http.get("/v1/templates/web"))
    showing.start()
    try:
        assert begun.wait(PATIENCE_SECONDS)
        assert http.get("/v1/templates").status_code == 200
    finally:
        go_on.set()
        showing.join(PATIENCE_SECONDS)
