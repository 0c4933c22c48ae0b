from __future__ import annotations

import datetime
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette import testclient
from tests.unit.api import browsers, fakes, people
from tests.unit.web import reader
from tests.unit.web import town as towns

from estampe.api import app as api_app
from estampe.model import account
from estampe.web import app as web_app


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


@pytest.fixture
def world() -> fakes.World:
    """Services that do what a test tells them to, behind the same API and console; alice is an owner of acme there."""
    made = fakes.World()
    made.reset()
    office = people.office()
    acme = office.bundle.accounts.create("acme")
    office.bundle.people.add_user("alice", password=browsers.PASSWORD, is_cloud_operator=False)
    office.bundle.people.add_member(acme.id, "alice", account.Role.OWNER)
    return made


@pytest.fixture
def http(world: fakes.World) -> Iterator[testclient.TestClient]:
    """Alice's browser in that world, where it is always `fakes.NOW` and a minute."""
    served = web_app.create(
        api_app.create(world.services(), public_origin=browsers.ORIGIN), public_origin=browsers.ORIGIN,
        clock=lambda: fakes.NOW + datetime.timedelta(minutes=1),
    )  # fmt: skip
    with testclient.TestClient(served, base_url=browsers.ORIGIN, follow_redirects=False) as client:
        client.post("/sign-in", data={"name": "alice", "password": browsers.PASSWORD})
        yield client


@pytest.fixture
def oscar_there(http: testclient.TestClient) -> Iterator[testclient.TestClient]:
    """The cloud operator's browser in that world."""
    people.office().bundle.people.add_user("oscar", password=browsers.PASSWORD, is_cloud_operator=True)
    with testclient.TestClient(http.app, base_url=browsers.ORIGIN, follow_redirects=False) as client:
        client.post("/sign-in", data={"name": "oscar", "password": browsers.PASSWORD})
        yield client
