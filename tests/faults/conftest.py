"""Daemons and sites of the fault tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.faults import evidence, lives
from tests.faults import site as sites


@pytest.fixture(scope="session")
def daemons(tmp_path_factory):
    with lives.started(tmp_path_factory.mktemp("faults") / "daemon.log") as begun:
        yield begun


@pytest.fixture(scope="module")
def here(daemons):
    made = sites.Site()
    yield made
    daemons.end_all()
    made.close()


@pytest.fixture(scope="session")
def kills():
    """What was cut off where, and what was seen; written as a table where FAULTS_REPORT says."""
    told = evidence.Evidence()
    yield told
    if path := os.environ.get("FAULTS_REPORT"):
        Path(path).write_text(told.table())
