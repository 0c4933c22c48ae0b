from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.api import fakes, serving

from estampe.client import client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[fakes.World, Path]]:
    world, path = fakes.World(), tmp_path_factory.mktemp("served") / "estampe.sock"
    with serving.serving(world, path):
        yield world, path


@pytest.fixture
def world(served: tuple[fakes.World, Path]) -> fakes.World:
    served[0].reset()
    return served[0]


@pytest.fixture
def daemon(world: fakes.World, served: tuple[fakes.World, Path]) -> Iterator[client.Client]:
    with client.Client(served[1]) as connected:
        yield connected
