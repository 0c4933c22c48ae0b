"""The unix socket and the life of the server on it."""

from __future__ import annotations

import contextlib
import grp
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.api import fakes, serving

from estampe import errors
from estampe.api import listener, server
from estampe.client import client
from estampe.model import operation

_ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "estampe.sock"


def _stale_socket(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(path))


@contextlib.contextmanager
def _daemon(path: Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    """The daemon process, ready; killed at the end if it is still there."""
    process = subprocess.Popen(
        [sys.executable, str(_ROOT / "tests/unit/api/daemon.py"), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_ROOT), **env},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_socket_is_there_while_the_server_is(path: Path) -> None:
    with serving.serving(fakes.World(), path), client.Client(path) as daemon:
        assert daemon.get_health().status == "ok"
    assert not path.exists()


def test_only_owner_and_group_may_open_the_socket(path: Path) -> None:
    with listener.listen(path, group=None):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


@pytest.mark.requires_root
def test_the_socket_belongs_to_the_group_if_it_exists(path: Path) -> None:
    some_group = grp.getgrnam("daemon")
    with listener.listen(path, group="daemon"):
        assert path.stat().st_gid == some_group.gr_gid
    with listener.listen(path, group="no-such-group"):
        assert path.stat().st_gid == os.getegid()


def test_a_stale_socket_is_replaced(path: Path) -> None:
    _stale_socket(path)
    with serving.serving(fakes.World(), path), client.Client(path) as daemon:
        assert daemon.get_health().status == "ok"


def test_a_socket_where_somebody_answers_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(errors.SocketInUse), listener.listen(path, group=None):
            pass
        assert path.exists()


def test_two_daemons_cannot_have_one_socket(path: Path) -> None:
    with (
        serving.serving(fakes.World(), path),
        pytest.raises(errors.SocketInUse, match="another daemon holds it"),
        listener.listen(path, group=None),
    ):
        pass


def test_a_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("precious")
    with pytest.raises(errors.SocketInUse, match="not a socket"), listener.listen(path, group=None):
        pass
    assert path.read_text() == "precious"


def test_a_path_too_long_for_a_socket_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(errors.SocketInUse, match="too long"), listener.listen(tmp_path / ("x" * 120), group=None):
        pass


def test_a_socket_that_another_daemon_put_there_meanwhile_is_not_removed(path: Path) -> None:
    with listener.listen(path, group=None):
        path.unlink()
        _stale_socket(path)
    assert path.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_and_not_the_process(path: Path, number: signal.Signals) -> None:
    with _daemon(path) as process:
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
        assert output == "closed\n"
        assert process.returncode == 0
        assert not path.exists()


def test_a_request_that_hangs_does_not_keep_the_process_from_ending(path: Path) -> None:
    with _daemon(path) as process:
        answers: list[Exception] = []
        asking = threading.Thread(target=_ask_for_ever, args=(path, answers), daemon=True)
        asking.start()
        with client.Client(path) as daemon:
            _await_started(daemon)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
        assert output == "closed\n"
        assert time.monotonic() - began < 10
        asking.join(10)
        assert isinstance(answers[0], errors.EstampeError)


def _ask_for_ever(path: Path, answers: list[Exception]) -> None:
    try:
        with client.Client(path) as daemon:
            daemon.start_server("web-01")
    except errors.EstampeError as error:
        answers.append(error)


def _await_started(daemon: client.Client) -> None:
    """A few answered requests later the hanging one has certainly been taken."""
    for _nth in range(20):
        daemon.get_health()


def test_a_killed_daemon_leaves_a_socket_that_the_next_one_replaces(path: Path) -> None:
    with _daemon(path) as process:
        process.kill()
        process.wait()
        assert path.exists()
    with serving.serving(fakes.World(), path), client.Client(path) as daemon:
        assert daemon.get_health().status == "ok"


def test_long_polls_do_not_keep_the_server_from_stopping(path: Path) -> None:
    world = fakes.World()
    begun = world.begin(operation.Kind.CAPTURE, "web-01")
    told: list[str] = []

    def follow() -> None:
        with client.Client(path) as daemon:
            told.append(daemon.wait_operation(str(begun.id), seen=begun.change_token, wait_seconds=60).state.value)

    following = threading.Thread(target=follow, daemon=True)
    with serving.serving(world, path):
        following.start()
        while not any(call[0] == "get" for call in list(world.calls)):
            threading.Event().wait(0.01)
        began = time.monotonic()
    following.join(10)
    assert told == ["running"]
    assert time.monotonic() - began < 10


def test_more_followers_than_threads_leave_other_requests_alone(path: Path) -> None:
    world = fakes.World()
    begun = world.begin(operation.Kind.CAPTURE, "web-01")

    def follow() -> None:
        with contextlib.suppress(errors.EstampeError), client.Client(path) as daemon:
            daemon.wait_operation(str(begun.id), seen=begun.change_token, wait_seconds=60)

    followers = [threading.Thread(target=follow, daemon=True) for _nth in range(45)]
    with serving.serving(world, path), client.Client(path) as daemon:
        for follower in followers:
            follower.start()
        assert daemon.cancel_operation(str(begun.id)).is_cancel_requested
        for follower in followers:
            follower.join(30)
        assert not any(follower.is_alive() for follower in followers)


def test_systemd_is_told_where_it_asks(path: Path, tmp_path: Path) -> None:
    told = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(told))
        systemd.settimeout(10)
        with _daemon(path, NOTIFY_SOCKET=str(told)) as process:
            assert systemd.recv(64) == b"READY=1"
            process.send_signal(signal.SIGTERM)
            assert systemd.recv(64) == b"STOPPING=1"


def test_without_systemd_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    server.notify("READY=1")
