from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.web import reader
from tests.unit.web import town as towns


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[towns.Town]:
    with tempfile.TemporaryDirectory(prefix="estampe-") as run:  # short: it will hold sockets
        made = towns.Town(tmp_path_factory.mktemp("town"), migrated_sqlite, run_directory=Path(run))
        yield made
        made.close()


@pytest.fixture
def nobody(town: towns.Town) -> Iterator[reader.Reader]:
    with reader.Reader(town) as opened:
        yield opened


@pytest.fixture
def alice(town: towns.Town) -> Iterator[reader.Reader]:
    """An owner of acme."""
    with reader.Reader(town) as opened:
        assert opened.sign_in().status_code == 303
        yield opened


@pytest.fixture
def gina(town: towns.Town) -> Iterator[reader.Reader]:
    """An owner of globex."""
    with reader.Reader(town) as opened:
        assert opened.sign_in("gina", account=None).status_code == 303
        yield opened
