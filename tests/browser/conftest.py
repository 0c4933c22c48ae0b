"""The console in a real browser: Chromium against the daemon's own HTTP server, over the town of tests/unit/web on a fake host."""

from __future__ import annotations

import contextlib
import datetime
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright import sync_api
from tests.browser import console as consoles
from tests.unit.web import town as towns

from estampe import errors
from estampe.api import server, tcp
from estampe.db import schema
from estampe.deploy import request as deploy
from estampe.model import account, audit, growth, operation, visibility

_READY_SECONDS = 30
sync_api.expect.set_options(timeout=30_000)  # guests of other tests boot beside; what is there at once costs no time
MIB = 1024**2
GIB = 1024**3


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[towns.Town]:
    with tempfile.TemporaryDirectory(prefix="estampe-") as run:  # short: it will hold sockets
        made = towns.Town(tmp_path_factory.mktemp("town"), migrated_sqlite, run_directory=Path(run), origin=None)
        _fill(made)
        yield made
        made.close()


def _fill(made: towns.Town) -> None:
    """What pages are looked at with: a server that runs, operations that are under way, have succeeded and have failed."""
    made.site.add_server("shop-01", is_running=True, seed=5, addresses=["192.0.2.17", "2001:db8::17"])
    made.services.servers.assign("shop-01", made.acme.id)
    _spread(made)
    copying = operation.Progress(phase="copying vda", done_bytes=int(5.2 * GIB), total_bytes=12 * GIB)
    made.running = made.begin(made.acme, operation.Kind.CAPTURE, "mail-01", copying, seconds=48)
    asked = {"deploy": {"template": "web@3", "name": "web-09", "count": 1}}
    made.failed = made.begin(made.acme, operation.Kind.DEPLOY, "web-09", copying, seconds=400, request=asked)
    made.site.installation.rows.finish(
        made.failed.id, operation.State.FAILED, at=made.site.today,
        error=errors.NoSpace(where="pool 'fast'", needed="40 GiB", available="3.1 GiB").to_record(),
    )  # fmt: skip
    made.services.deployments.start(made.acme.id, deploy.DeployRequest(template="web@3", name="shop-02"))
    made.site.run()
    _offer(made)
    _count(made)
    _look_after(made)
    _keep(made)
    made.services.accounts.set_quota(made.acme.id, {"templates": 40, "cpus": 32, "stored_bytes": 4 * GIB})


def _offer(made: towns.Town) -> None:
    """The other account shares one of its templates, and publishes one."""
    made.capture(made.globex, "base", note="hardened, with the monthly updates", server="lab-01", guest_of=towns.DEBIAN)
    made.services.sharing.allow_publishing(made.globex.id, may_publish=True)
    gina = made.actor(made.globex, "gina")
    made.services.sharing.share(gina, "lab@1", "acme", visibility.Terms(note="for your own trials"), expires_at=None)
    made.services.sharing.publish(gina, "base@1", visibility.Terms(note="for everybody"), is_unsealed_accepted=True)


def _look_after(made: towns.Town) -> None:
    """The store was checked, and a sweep tried; a program has a key."""
    made.services.storage.check(account.DEFAULT_ACCOUNT_ID, sample=1.0)
    made.site.run()
    made.services.storage.sweep(account.DEFAULT_ACCOUNT_ID, is_dry_run=True, grace_seconds=None)
    made.site.run()
    made.services.keys.make(
        account_id=made.acme.id, user_id=None, name="nightly capture", role=account.Role.OPERATOR, is_cloud_operator=False,
        created_by="alice", expires_at=made.site.today + datetime.timedelta(days=90),
    )  # fmt: skip


def _keep(made: towns.Town) -> None:
    """Who did what, as the gate would have kept it: the town is put together behind it."""
    for actor, action, subject, code in (
        ("alice", "start_capture", "web-01", None), ("alice", "share_template", "web@3 with globex", None),
        ("victor", "delete_template", "web@3", errors.RoleDenied.code), ("alice", "publish_template", "db@1", None),
        ("alice", "start_deployment", "web@3", None), ("alice", "open_screen", "shop-02", None),
        ("alice", "close_screen", "shop-02", None), ("alice", "delete_template", "old@1", None),
    ):  # fmt: skip
        outcome = audit.Outcome.DONE if code is None else audit.Outcome.REFUSED
        made.services.audit.record(
            actor=actor, account=made.acme, action=action, subject=subject, address="192.0.2.4", outcome=outcome,
            code=code, request_id=None,
        )  # fmt: skip


def _count(made: towns.Town) -> None:
    """The store, as it was counted every week of half a year."""
    for nth in range(26):
        data, stored = (int((base + step * nth**1.3) * GIB) for base, step in ((40, 3.1), (14, 0.6)))
        made.site.installation.growth.rows.add(
            growth.Sample(
                at=made.site.today - datetime.timedelta(days=182 - 7 * nth), templates=4 + nth, logical_bytes=4 * data,
                data_bytes=data, distinct_bytes=data // 2, stored_bytes=stored, orphan_bytes=0, chunks=stored // MIB,
                available_bytes=400 * GIB - stored,
            )
        )  # fmt: skip


def _spread(made: towns.Town) -> None:
    """Over half a year, so that there is something to plot: the town is put together in a moment."""
    templates = schema.templates
    sizes = {("web", 1): 412, ("web", 2): 61, ("db", 1): 780, ("old", 1): 35, ("web", 3): 148}  # MiB, the newest last
    with made.site.db.write() as connection:
        for nth, ((name, version), size) in enumerate(sizes.items()):
            at = made.site.today - datetime.timedelta(days=180 - 37 * nth)
            which = sa.and_(templates.c.name == name, templates.c.version == version)
            values = {"created_at": at, "new_bytes": size * MIB, "data_bytes": (1024 + size) * 128}
            connection.execute(sa.update(templates).where(which).values(values))


@pytest.fixture(scope="module")
def url(town: towns.Town) -> Iterator[str]:
    """Where the console is served."""
    with serving(town.served, town.settings.run_directory / "estampe.sock") as served:
        yield served


@contextlib.contextmanager
def serving(app: server.Application, socket_path: Path) -> Iterator[str]:
    """The daemon's own HTTP servers in a thread."""
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
            app, socket_path=socket_path, group=None, stop_deadline_seconds=2, on_ready=tell,
            endpoint=tcp.Endpoint(host="127.0.0.1", port=port),
        )  # fmt: skip

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(_READY_SECONDS)
    yield f"http://127.0.0.1:{port}"
    stops[0]()
    thread.join(_READY_SECONDS)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
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
