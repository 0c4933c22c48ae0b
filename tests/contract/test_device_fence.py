"""Block devices are fenced by the kernel's own mark, which every node of the device obeys."""

import os
import subprocess
from pathlib import Path

import pytest

from estampe import errors
from estampe.virt import device_fence

pytestmark = pytest.mark.requires_root


@pytest.fixture
def device(tmp_path):
    path = tmp_path / "volume"
    path.write_bytes(bytes(4 * 1024 * 1024))
    argv = ["losetup", "--find", "--show", str(path)]
    loop = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    yield loop
    subprocess.run(["losetup", "--detach", loop], check=True)


def _write(name):
    descriptor = os.open(name, os.O_RDWR)
    try:
        os.pwrite(descriptor, b"x", 0)
    finally:
        os.close(descriptor)


def test_a_fenced_device_cannot_be_written_to_by_any_name(device, tmp_path):
    other = tmp_path / "node"
    os.mknod(other, 0o600 | 0o060000, Path(device).stat().st_rdev)
    assert device_fence.writable([device]) == [device]
    with device_fence.fence([device]):
        assert device_fence.writable([device]) == []
        for name in (device, other):
            with pytest.raises(PermissionError):
                _write(name)
        os.close(os.open(other, os.O_RDONLY))
    _write(other)


def test_a_device_that_is_written_to_is_not_fenced(device):
    writer = os.open(device, os.O_RDWR)
    try:
        assert device_fence.find_writer(device) == os.getpid()
        with pytest.raises(errors.VolumeLocked, match=str(os.getpid())), device_fence.fence([device]):
            pytest.fail("fenced")
    finally:
        os.close(writer)
    assert device_fence.writable([device]) == [device]


def test_a_mark_that_a_killed_process_left_is_taken_away(device):
    fence = device_fence.fence([device])
    fence.__enter__()
    device_fence.release([device, "/dev/no-such-device"])
    _write(device)


def test_a_device_that_is_gone_is_told():
    with pytest.raises(errors.VolumeGone, match="no-such-device"):
        device_fence.writable(["/dev/no-such-device"])


def test_a_device_that_vanishes_before_it_is_fenced_is_told():
    with pytest.raises(errors.VolumeGone, match="no-such-device"), device_fence.fence(["/dev/no-such-device"]):
        pytest.fail("fenced")
