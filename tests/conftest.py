"""What all tests share: what a host lacks, which skips are forbidden, and which tests run one after the other."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import postgresql as postgresql_server

LIBVIRT_URI = "qemu:///system"
_HERE = Path(__file__).parent
# Settings of the machine's own installation stay out of the tests; these two say where guests are built.
_KEPT = {"ESTAMPE_CACHE", "ESTAMPE_DEBIAN_MIRROR"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--forbid-skips", action="store_true", help="a test that is skipped has failed")
    parser.addoption("--every-guest", action="store_true", help="what is marked every_guest, too: an hour more")
    parser.addoption(
        "--write-guests", action="store_true", help="write docs/reference/guests.md from what tests/matrix finds"
    )
    parser.addoption("--screenshots", action="store_true", help="renew the console's pictures in docs/images/console")


def pytest_configure() -> None:
    for name in [name for name in os.environ if name.startswith("ESTAMPE_") and name not in _KEPT]:
        del os.environ[name]
    os.environ["ESTAMPE_CONFIG"] = os.devnull
    # By default a SIGTERM (of timeout(1), of a CI system) would end pytest at once, and leave guests, pools and daemons behind.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", returncode=143))


# First: xdist reads the marks in its own hook, which would be called before this one, as it is registered later.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of one lane run one after the other, in one process (`--dist loadgroup`), with one set of session fixtures."""
    if not config.getoption("--every-guest"):
        left_out = [item for item in items if item.get_closest_marker("every_guest")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("every_guest")]
    for item in items:
        if lane := _lane(item):
            item.add_marker(pytest.mark.xdist_group(lane))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Where lanes were asked for they must be there: without them every process boots the guests for itself."""
    gc.freeze()  # what was imported and collected stays to the end: no use in looking through it again and again
    is_asked = getattr(session.config.option, "loadgroup", False)  # xdist's, in its workers
    if stray := [item.nodeid for item in session.items if is_asked and _lane(item) and "@" not in item.nodeid]:
        raise pytest.UsageError(f"--dist loadgroup has no effect on {stray[0]}: does this xdist fit this pytest?")


def _lane(item: pytest.Item) -> str | None:
    """What shares a daemon, guests or the appliance; None: may run anywhere."""
    if item.path.name == "test_main_job.py":
        return "main job"
    for lane in ("faults", "matrix", "browser"):
        if item.path.is_relative_to(_HERE / lane):
            return lane
    needs = {what for what in ("libvirt", "appliance", "guest") if item.get_closest_marker(f"requires_{what}")}
    if needs == {"appliance"}:
        return "appliance"
    return "host" if needs or item.path.is_relative_to(_HERE / "e2e") else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, missing in _REQUIREMENTS.items():
        if item.get_closest_marker(name) and (reason := missing()):
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.config.getoption("--forbid-skips"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped ({reason}), and this run may skip nothing"
    return report


@functools.cache
def _lacks_libvirt() -> str:
    try:
        asked = subprocess.run(["virsh", "-c", LIBVIRT_URI, "uri"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no libvirt: {error}"
    return "" if asked.returncode == 0 else "libvirtd does not run: script/setup starts it"


def _lacks_program(*programs: str) -> Callable[[], str]:
    return lambda: " ".join(f"{name} is not installed" for name in programs if shutil.which(name) is None)


_REQUIREMENTS: dict[str, Callable[[], str]] = {
    "requires_root": lambda: "" if os.geteuid() == 0 else "needs root",
    "requires_qemu": _lacks_program("qemu-system-x86_64", "qemu-img", "qemu-nbd"),
    "requires_libvirt": _lacks_libvirt,
    "requires_appliance": _lacks_program("supermin"),
    "requires_guest": _lacks_program("mmdebstrap"),
    "requires_postgresql": postgresql_server.missing,
    "requires_chromium": _lacks_program("chromium"),
}


@pytest.fixture(scope="session")
def appliance_cache(tmp_path_factory):
    """Where the built appliance is kept, for all processes of a run: the first builds it (10 s), under a lock of supermin's own."""
    own = tmp_path_factory.getbasetemp()
    directory = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "appliance-cache"
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory


@pytest.fixture(scope="session")
def postgresql():
    """A PostgreSQL server for this process' tests; `new` makes a database."""
    with postgresql_server.cluster() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql):
    """The name of a PostgreSQL database with Estampe's tables, to make others by."""
    from estampe.db import database

    url = postgresql.new()
    made = database.Database.open(url)
    made.upgrade()
    made.close()
    return postgresql_server.name_of(url)


@pytest.fixture(params=["sqlite", postgresql_server.PARAMETER])
def database_url(request, tmp_path):
    """An empty database, on each kind that Estampe can use."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/estampe.sqlite"
        return
    server = request.getfixturevalue("postgresql")
    url = server.new()
    yield url
    server.drop(url)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory):
    """A SQLite database with Estampe's tables, to copy: migrating takes half a second, copying nothing."""
    from estampe.db import database

    path = tmp_path_factory.mktemp("migrated-sqlite") / "estampe.sqlite"
    made = database.Database.open(f"sqlite:///{path}")
    made.upgrade()
    made.close()
    return path


@pytest.fixture(params=["sqlite", postgresql_server.PARAMETER])
def migrated_url(request, tmp_path):
    """A database with Estampe's tables, on each kind."""
    if request.param == "sqlite":
        copied = shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "estampe.sqlite")
        yield f"sqlite:///{copied}"
        return
    server = request.getfixturevalue("postgresql")
    url = server.new(request.getfixturevalue("migrated_postgresql"))
    yield url
    server.drop(url)
