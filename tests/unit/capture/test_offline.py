"""Giving the power state back: whatever is away or locked for a while, the server does not stay off for it."""

import pytest

from estampe import errors
from estampe.capture import examine, offline, workspace
from estampe.capture import request as requests
from estampe.jobs import base as jobs
from estampe.model import configuration, power
from estampe.virt import base as virt
from estampe.virt import fake, image_lock

AWAY = errors.HypervisorUnavailable(uri="qemu:///system", detail="Connection refused")


class _Scene:
    """A running server that was seen and then shut down; time passes only by waiting."""

    def __init__(self, tmp_path) -> None:
        self.now, self.told, self.is_closing = 0.0, [], False
        self.path = tmp_path / "vda.raw"
        self.path.write_bytes(bytes(4096))
        self.host = fake.FakeHost(tmp_path / "host")
        volume = virt.NewVolume(
            target="vda", bus="virtio", path=str(self.path), format=configuration.VolumeFormat.RAW,
            is_block_device=False, serial=None, boot_order=None,
        )  # fmt: skip
        self.uuid = self.host.add_server("web", volumes=[volume])
        self.host.start(self.uuid)
        self.seen = examine.examine(self.host, requests.CaptureRequest(server="web"), server=self.uuid)
        self.place = workspace.Workspace(directory=tmp_path / "work", sockets=tmp_path / "sockets")
        self.place.make()
        self.place.shutdown_marker.touch()
        self.host.power_off(self.uuid)
        self.after = {}  # seconds -> what happens then
        self.offline = offline.Offline(
            host=self.host, times=offline.Times(clock=lambda: self.now, wait=self._pass), late_shutdown_seconds=120,
            restore_seconds=600,
        )  # fmt: skip

    def _pass(self, seconds) -> None:
        self.now += seconds
        for at in [at for at in self.after if at <= self.now]:
            self.after.pop(at)()

    def _check_closing(self) -> None:
        if self.is_closing:
            raise jobs.Interrupted

    def close_daemon(self) -> None:
        self.is_closing = True

    def restore(self) -> None:
        self.offline.restore(self.seen, self.place, check_closing=self._check_closing, tell=self.told.append)

    @property
    def state(self) -> power.PowerState:
        return self.host.power_state(self.uuid)


@pytest.fixture
def scene(tmp_path):
    made = _Scene(tmp_path)
    yield made
    made.host.close()


@pytest.mark.parametrize("method", ["power_state", "start"])
def test_a_libvirt_that_is_away_for_minutes_is_waited_for(scene, method):
    scene.host.fail_next(method, AWAY, times=150)
    scene.restore()
    assert scene.state is power.PowerState.RUNNING
    assert "Connection refused" in scene.told[0]
    assert 240 < scene.now < 600


def test_a_lock_on_a_volume_is_waited_for(scene):
    lock = image_lock.fence([str(scene.path)])
    lock.__enter__()
    scene.after[300] = lambda: lock.__exit__(None, None, None)
    scene.restore()
    assert scene.state is power.PowerState.RUNNING
    assert str(scene.path) in scene.told[0]


def test_it_is_given_up_at_last_and_says_what_it_was(scene):
    scene.host.fail_next("start", AWAY, times=10_000)
    with pytest.raises(errors.HypervisorUnavailable):
        scene.restore()
    assert 600 <= scene.now < 610
    assert scene.place.shutdown_marker.exists()  # whoever tries again knows that there is something to do


def test_what_libvirt_refuses_is_not_waited_for(scene):
    refused = errors.HypervisorFailed(
        action="start web", detail="Cannot access storage file: No such file or directory"
    )
    scene.host.fail_next("start", refused, times=10_000)
    with pytest.raises(errors.HypervisorFailed, match="No such file"):
        scene.restore()
    assert scene.now < 10


def test_an_ending_daemon_is_not_held_up_and_goes_on_at_its_next_start(scene):
    scene.host.fail_next("start", AWAY, times=100)
    scene.after[30] = scene.close_daemon
    with pytest.raises(jobs.Interrupted):
        scene.restore()
    assert scene.now < 40
    scene.is_closing = False
    scene.restore()
    assert scene.state is power.PowerState.RUNNING


def test_an_ending_daemon_does_not_wait_for_a_late_shutdown(scene):
    scene.host.start(scene.uuid)
    scene.after[10] = scene.close_daemon
    with pytest.raises(jobs.Interrupted):
        scene.restore()
    assert scene.now < 12


def test_what_cannot_come_back_is_told_at_once(scene):
    scene.host.undefine(scene.uuid)
    with pytest.raises(errors.ServerNotFound):
        scene.restore()
    assert scene.now == 0


def test_a_start_that_succeeded_takes_the_mark_away(scene):
    scene.restore()
    assert not scene.place.shutdown_marker.exists()
