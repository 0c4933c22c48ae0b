from __future__ import annotations

from collections.abc import Iterator

import fastapi
import pytest
from starlette import testclient
from tests.unit.api import fakes

from estampe.api import app, peer


@pytest.fixture(scope="session")
def served() -> tuple[fakes.World, fastapi.FastAPI]:
    """One application for all tests: putting one together takes longer than most of them."""
    world = fakes.World()
    return world, app.create(world.services(), wait_slice_seconds=0.01)


@pytest.fixture
def world(served: tuple[fakes.World, fastapi.FastAPI]) -> fakes.World:
    served[0].reset()
    return served[0]


class Socket:
    """The application as whoever may open the unix socket meets it: the cloud operator."""

    def __init__(self, api: fastapi.FastAPI) -> None:
        self.state = api.state
        self._api = peer.come_from(api, 0)

    async def __call__(self, scope, receive, send) -> None:
        await self._api(scope, receive, send)


@pytest.fixture
def http(world: fakes.World, served: tuple[fakes.World, fastapi.FastAPI]) -> Iterator[testclient.TestClient]:
    api = served[1]
    api.state.stopping.clear()
    with testclient.TestClient(Socket(api), raise_server_exceptions=False) as client:
        yield client
