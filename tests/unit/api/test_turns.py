from __future__ import annotations

import contextlib
import dataclasses
import threading
import uuid
from collections.abc import Iterator
from concurrent import futures

import anyio
import fastapi
import pytest
from starlette import testclient

from estampe.api import services as ports
from estampe.api import turns
from estampe.catalogue import views as template_views
from estampe.model import listing, sight

PATIENCE_SECONDS = 10.0


def test_what_fails_gives_its_turn_on() -> None:
    async def twice() -> str:
        in_turn = turns.Turns(1)
        with pytest.raises(ZeroDivisionError):
            await in_turn.run(lambda: 1 // 0)
        return await in_turn.run(lambda: "next")

    assert anyio.run(twice) == "next"


class Meeting:
    """Templates whose lists wait, for so long, to meet each other."""

    def __init__(self, real: ports.TemplateService, wait_seconds: float) -> None:
        self._real, self._met, self.is_met = real, threading.Barrier(2, timeout=wait_seconds), False

    def list(self, account_id: uuid.UUID, query: listing.TemplateQuery) -> listing.Page[sight.Seen]:
        try:
            self._met.wait()
            self.is_met = True
        except threading.BrokenBarrierError:  # from then on nobody waits
            pass
        return self._real.list(account_id, query)


class Hanging:
    """Templates that are shown when they are let, and listed at once."""

    def __init__(self, real: ports.TemplateService) -> None:
        self._real, self.begun, self.go_on = real, threading.Event(), threading.Event()

    def list(self, account_id: uuid.UUID, query: listing.TemplateQuery) -> listing.Page[sight.Seen]:
        return self._real.list(account_id, query)

    def get(self, account_id: uuid.UUID, reference: str) -> template_views.TemplateDetail:
        self.begun.set()
        assert self.go_on.wait(PATIENCE_SECONDS)
        return self._real.get(account_id, reference)


@contextlib.contextmanager
def serving(api: fastapi.FastAPI, templates: object, readers: int) -> Iterator[None]:
    """The application with these templates, and so many turns."""
    state = api.state
    before = state.services, state.short_turns
    state.services, state.short_turns = dataclasses.replace(state.services, templates=templates), turns.Turns(readers)
    try:
        yield
    finally:
        state.services, state.short_turns = before


@pytest.mark.parametrize(("readers", "wait_seconds", "is_met"), [(1, 0.1, False), (2, PATIENCE_SECONDS, True)])
def test_as_many_lists_are_made_at_a_time_as_the_database_has_readers(
    api: fastapi.FastAPI, http: testclient.TestClient, readers: int, wait_seconds: float, is_met: bool
) -> None:
    templates = Meeting(api.state.services.templates, wait_seconds)
    with serving(api, templates, readers), futures.ThreadPoolExecutor(2) as clients:
        asked = [clients.submit(http.get, "/v1/templates") for _ in range(2)]
        assert [each.result().status_code for each in asked] == [200, 200]
    assert templates.is_met is is_met


def test_a_template_that_is_slow_to_show_holds_no_list_up(api: fastapi.FastAPI, http: testclient.TestClient) -> None:
    """Its manifest is in the store, and that may be a SAN that does not answer."""
    templates = Hanging(api.state.services.templates)
    with serving(api, templates, 1), futures.ThreadPoolExecutor(1) as client:
        showing = client.submit(http.get, "/v1/templates/web")
        try:
            assert templates.begun.wait(PATIENCE_SECONDS)
            assert http.get("/v1/templates").status_code == 200
        finally:
            templates.go_on.set()
        assert showing.result().status_code == 200
