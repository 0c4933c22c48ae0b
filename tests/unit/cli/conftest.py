from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.unit.api import fakes, serving
from tests.unit.cli import invoking


@dataclass(frozen=True)
class CommandLine:
    """Runs commands against a daemon, or where none is."""

    socket_path: Path
    home: Path  # where contexts are kept

    def __call__(self, *arguments: str, input: str | None = None, **env: str) -> invoking.Done:
        env = {"ESTAMPE_SOCKET": str(self.socket_path), "XDG_CONFIG_HOME": str(self.home), **env}
        return invoking.invoke(*arguments, input=input, env=env)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[fakes.World, Path]]:
    """One server for all tests: starting and stopping one takes longer than most of them."""
    world, path = fakes.World(), tmp_path_factory.mktemp("served") / "estampe.sock"
    with serving.serving(world, path):
        yield world, path


@pytest.fixture
def world(served: tuple[fakes.World, Path]) -> fakes.World:
    served[0].reset()
    return served[0]


@pytest.fixture
def run(world: fakes.World, served: tuple[fakes.World, Path], tmp_path: Path) -> CommandLine:
    return CommandLine(served[1], tmp_path)


@pytest.fixture
def run_alone(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "nobody.sock", tmp_path)
