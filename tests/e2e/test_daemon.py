"""The daemon as a process: one per state directory, a clean stop, a start after a crash."""

from __future__ import annotations

import dataclasses
import subprocess

import pytest
from tests.support import installation

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
