"""Fixtures of the unit tests."""

import sys
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
def site(tmp_path, migrated):
    """An installation on a fake host."""
    import site_under_test

    made = site_under_test.Site(tmp_path, migrated)
    yield made
    made.close()
