"""The console in a real browser: Chromium against the daemon's own HTTP server, over the town of tests/unit/web on a fake host."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright import sync_api
from tests.browser import console as consoles
from tests.unit.web import town as towns

from estampe.api import server, tcp

_READY_SECONDS = 30


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[towns.Town]:
    with tempfile.TemporaryDirectory(prefix="estampe-") as run:  # short: it will hold sockets
        made = towns.Town(tmp_path_factory.mktemp("town"), migrated_sqlite, run_directory=Path(run), origin=None)
        yield made
        made.close()


@pytest.fixture(scope="session")
def url(town: towns.Town) -> Iterator[str]:
    """Where the console is served."""
    with _serving(town) as served:
        yield served


@contextlib.contextmanager
def _serving(town: towns.Town) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ready = threading.Event()
    stops: list[Callable[[], None]] = []

    def tell(stop: Callable[[], None]) -> None:
        stops.append(stop)
        ready.set()

    def run() -> None:
        server.serve(
            town.served, socket_path=town.settings.run_directory / "estampe.sock", group=None, stop_deadline_seconds=2, on_ready=tell,
            endpoint=tcp.Endpoint(host="127.0.0.1", port=port),
        )  # fmt: skip

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(_READY_SECONDS)
    yield f"http://127.0.0.1:{port}"
    stops[0]()
    thread.join(_READY_SECONDS)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def chromium() -> Iterator[sync_api.Browser]:
    """Debian's own; Playwright's downloads nothing. It gets a fresh profile, which goes with it."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=consoles.CHROMIUM, args=consoles.ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_console(
    chromium: sync_api.Browser, url: str, request: pytest.FixtureRequest
) -> Iterator[Callable[..., consoles.Console]]:
    """Opens a browser window of its own: `open_console(language="fr", theme="dark", device="phone")`. Ends with the test.

    A test in which a page had a word for the browser's console, or asked another host for something, has failed.
    """
    opened: list[consoles.Console] = []

    def open_one(**wishes: str) -> consoles.Console:
        made = consoles.Console.open(
            chromium, url, takes_screenshots=request.config.getoption("--screenshots"), **wishes
        )
        opened.append(made)
        return made

    yield open_one
    complaints = [complaint for each in opened for complaint in each.complaints]
    for each in opened:
        each.close()
    assert complaints == []
