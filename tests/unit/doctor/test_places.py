from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from estampe.doctor import check, places
from estampe.store import local

EXT4 = "/dev/sda1 / ext4 rw 0 0\n"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/store/x", "xfs"),
        ("/srv/storehouse", "ext4"),
        ("/", "ext4"),
        ("/run/a", "tmpfs"),
        ("/mnt/two words/x", "btrfs"),
    ],
)
def test_the_file_system_of_a_path_is_the_one_mounted_deepest_above_it(path, kind):
    mounts = (
        EXT4 + "/dev/sdb1 /srv/store xfs rw 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/sdc1 /mnt/two\\040words btrfs rw 0 0\n"
    )
    assert places.file_system(Path(path), mounts) == kind


def test_of_two_mounts_at_one_place_the_later_counts():
    assert places.file_system(Path("/x"), EXT4 + "overlay / overlay rw 0 0\n") == "overlay"


def test_a_writable_directory_is_well_and_left_as_it_was(tmp_path):
    found = places.check_directory("state", tmp_path, mounts=EXT4, needs_bytes=1)
    assert found.status is check.Status.OK
    assert list(tmp_path.iterdir()) == []


def test_a_directory_to_be_made_is_judged_by_its_parent(tmp_path):
    found = places.check_directory("state", tmp_path / "a/b", mounts=EXT4, needs_bytes=1)
    assert found.status is check.Status.OK
    assert "made at the first start" in found.found


def test_little_space_is_a_warning(tmp_path):
    assert places.check_directory("state", tmp_path, mounts=EXT4, needs_bytes=1 << 60).status is check.Status.WARN


def test_a_file_system_in_memory_is_a_warning(tmp_path):
    found = places.check_directory("state", tmp_path, mounts="tmpfs / tmpfs rw 0 0\n", needs_bytes=1)
    assert found.status is check.Status.WARN
    assert "lost" in found.found


def test_a_place_that_cannot_be_written_is_a_failure():
    found = places.check_directory("state", Path("/proc/sys/x"), mounts=EXT4, needs_bytes=1)
    assert found.status is check.Status.FAIL


def test_a_store_tells_its_chunk_size(tmp_path):
    local.LocalStore.create(tmp_path / "store", chunk_size_bytes=1024 * 1024)
    found = places.check_store(tmp_path / "store", mounts=EXT4)
    assert found.status is not check.Status.FAIL
    assert "chunks of 1 MiB" in found.found


def test_a_directory_of_something_else_is_no_store(tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / "holiday.jpg").write_bytes(b"")
    found = places.check_store(tmp_path, mounts=EXT4)
    assert found.status is check.Status.FAIL
    assert "store_directory" in found.fix


def test_an_empty_directory_becomes_a_store(tmp_path):
    assert places.check_store(tmp_path, mounts=EXT4).status is not check.Status.FAIL


def test_a_closed_directory_is_in_qemus_way(tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / "state").mkdir(mode=0o711)
    found = places.check_walkable(tmp_path / "state")
    assert found.status is check.Status.FAIL
    assert found.fix.startswith("chmod o+x ")
    assert str(tmp_path) in found.fix


def test_an_open_way_to_the_seeds_is_well():
    assert places.check_walkable(Path("/var/lib/estampe-is-not-here")).status is check.Status.OK


def test_a_missing_nvram_directory_is_a_warning(tmp_path):
    assert places.check_nvram(tmp_path).status is check.Status.OK
    assert places.check_nvram(tmp_path / "none").status is check.Status.WARN


_AS_ANOTHER = """
import json, os, sys
from pathlib import Path
from estampe.doctor import places
os.setgroups([]), os.setgid(65534), os.setuid(65534)
closed = Path(sys.argv[1])
found = [
    places.check_directory("state", closed / "a/state", mounts="/dev/sda1 / ext4 rw 0 0\\n", needs_bytes=1),
    places.check_store(closed / "a/store", mounts="/dev/sda1 / ext4 rw 0 0\\n"),
    places.check_walkable(closed / "a/state"),
    places.check_nvram(closed / "nvram"),
]
print(json.dumps([(check.status, check.fix) for check in found]))
"""


@pytest.mark.requires_root  # to become another user
def test_a_place_that_one_may_not_look_into_is_a_failure_for_root_to_look_at(tmp_path):
    closed = tmp_path / "closed"
    (closed / "a").mkdir(parents=True)
    closed.chmod(0o700)
    done = subprocess.run([sys.executable, "-c", _AS_ANOTHER, str(closed)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["fail", "sudo estampe doctor"]] * 4
