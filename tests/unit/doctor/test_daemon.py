from __future__ import annotations

import socket

import pytest

from estampe.doctor import check, daemon

# httpcore 1.0 leaves a unix socket that could not be connected to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def test_a_group_that_is_missing_is_made_by_the_fix():
    found = daemon.check_group("no-such-group-here")
    assert found.status is check.Status.WARN
    assert found.fix.startswith("groupadd --system no-such-group-here")


def test_a_group_that_is_there_is_well():
    assert daemon.check_group("root").status is check.Status.OK


def test_no_daemon_is_a_warning(tmp_path):
    found = daemon.check_daemon(tmp_path / "none.sock")
    assert found.status is check.Status.WARN
    assert found.fix == "systemctl enable --now estampe"


def test_something_else_behind_the_socket_is_a_warning(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))  # listens not: refused
        assert daemon.check_daemon(tmp_path / "s").status is check.Status.WARN
