"""Fixtures of the unit tests."""

import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """A database with its tables, to copy: migrating takes a second, copying nothing."""
    from estampe.db import database

    path = tmp_path_factory.mktemp("migrated") / "estampe.db"
    made = database.Database.open(f"sqlite:///{path}")
    made.upgrade()
    made.close()
    return path


@pytest.fixture
def short_directory():
    """For sockets, whose paths must stay under 108 bytes (unix(7)): tmp_path takes most of that for the test's name."""
    with tempfile.TemporaryDirectory(prefix="estampe-") as path:
        yield Path(path)


@pytest.fixture
def site(tmp_path, migrated, short_directory):
    """An installation on a fake host."""
    import site_under_test

    made = site_under_test.Site(tmp_path, migrated, run_directory=short_directory)
    yield made
    made.close()
