from __future__ import annotations

from collections.abc import Iterator

import fastapi
import pytest
from starlette import testclient
from tests.unit.api import fakes

from estampe.api import app, transport


@pytest.fixture(scope="session")
def served() -> tuple[fakes.World, fastapi.FastAPI]:
    """One application for all tests: putting one together takes longer than most of them."""
    world = fakes.World()
    return world, app.create(world.services(), wait_slice_seconds=0.01)


@pytest.fixture
def world(served: tuple[fakes.World, fastapi.FastAPI]) -> fakes.World:
    served[0].reset()
    return served[0]


@pytest.fixture
def api(world: fakes.World, served: tuple[fakes.World, fastapi.FastAPI]) -> fastapi.FastAPI:
    served[1].state.stopping.clear()
    return served[1]


@pytest.fixture
def http(api: fastapi.FastAPI) -> Iterator[testclient.TestClient]:
    """As the unix socket gives it."""
    marked = transport.Marked(api, transport.Transport.UNIX)
    with testclient.TestClient(marked, raise_server_exceptions=False) as client:
        yield client
