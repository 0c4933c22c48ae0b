"""The daemon as a process: one per state directory, a clean stop, a start after a crash."""

from __future__ import annotations

import dataclasses
import signal
import subprocess

import httpx
import pytest
from tests.support import installation, shell
from tests.support import postgresql as postgresql_server

pytestmark = [pytest.mark.requires_libvirt, pytest.mark.requires_qemu, pytest.mark.requires_root]


@pytest.fixture
def own(our_corner, tmp_path_factory):
    """An installation beside the shared one, not yet started."""
    made = installation.Installation(
        state_directory=tmp_path_factory.mktemp("state"),
        run_directory=tmp_path_factory.mktemp("run"),
        settings={"default_pool": our_corner.pool, "default_network": our_corner.network, "accelerator": "tcg"},
    )
    yield made
    made.kill()


def test_it_stops_cleanly_on_sigterm_and_takes_its_socket_away(own):
    own.start()
    assert own.command("server", "list")["servers"] is not None
    assert own.stop() == 0
    assert not own.socket.exists()
    assert "Traceback" not in own.log.read_text()


def test_it_starts_again_after_a_crash(own):
    own.start()
    own.kill()
    assert own.socket.exists()  # stale
    own.start()
    assert own.command("operation", "list")["operations"] == []


def test_only_its_group_and_root_may_open_the_socket(own):
    own.start()
    assert own.socket.stat().st_mode & 0o777 == 0o660


def test_a_second_daemon_on_the_same_state_is_refused(own, tmp_path):
    own.start()
    second = dataclasses.replace(own, run_directory=tmp_path, _daemon=None)
    argv, environment = second.argv("serve")
    said = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 5
    assert "another Estampe daemon" in said.stderr


def test_a_command_without_a_daemon_says_how_to_start_it(own):
    with pytest.raises(installation.CommandFailed) as caught:
        own.command("server", "list")
    assert (caught.value.status, caught.value.code) == (7, "daemon-unavailable")
    assert "estampe serve" in caught.value.problem["detail"]


@pytest.mark.requires_postgresql
def test_it_works_on_postgresql_looks_after_it_and_says_when_it_is_away(own, tmp_path):
    """With a server of its own, since that is stopped and started."""
    with postgresql_server.cluster() as server:
        own.settings["database_url"] = server.new()
        assert own.command("db", "upgrade")["was"] is None
        own.start()
        other = dataclasses.replace(
            own, state_directory=tmp_path / "other", run_directory=tmp_path / "run", _daemon=None
        )
        argv, environment = other.argv("serve")
        second = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (second.returncode, "another Estampe daemon" in second.stderr) == (5, True)
        made = own.command("db", "backup", str(tmp_path / "backup.tar"))
        assert (made["kind"], own.command("operation", "list")["operations"]) == ("PostgreSQL", [])
        assert ask(own, "/v1/ready")[0] == 200
        server.stop(signal.SIGQUIT)
        status, said = ask(own, "/v1/ready")
        assert (status, "database" in said, "PGPASSWORD" in said) == (503, True, False)
        server.start()
        shell.wait_for("readiness", lambda: ask(own, "/v1/ready")[0] == 200, deadline_seconds=30)
        assert "estampe_queue_length" in ask(own, "/v1/metrics")[1]
        assert own.stop() == 0
        restored = own.command("db", "restore", made["path"], "--yes")
        assert restored["ended_operations"] == []
        assert "estampe_replaced_" in restored["replaced"]
        own.start()
        assert own.command("template", "list")["templates"] == []
        assert own.stop() == 0


def ask(own, path):
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(own.socket)), base_url="http://estampe", timeout=30
    ) as client:
        answer = client.get(path)
    return answer.status_code, answer.text
