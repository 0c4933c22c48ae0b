"""Naming what lies on a guest's volumes, on a handle that answers as libguestfs does."""

import pytest

from estampe.guest import volumes

DEVICES = ("/dev/sda", "/dev/sdb")
KINDS = {
    "/dev/sda1": {"TYPE": "vfat"},
    "/dev/sda2": {"TYPE": "linux_raid_member"},
    "/dev/sdb1": {"TYPE": "linux_raid_member"},
    "/dev/md127": {"TYPE": "ext4", "UUID": "u"},
    "/dev/vg0/root": {"TYPE": "xfs"},
}


class _Handle:
    """Two drives: a partition and a RAID member on the first, a member on the second; an array and a logical volume."""

    def list_devices(self):
        return list(DEVICES)

    def list_partitions(self):
        return ["/dev/sda1", "/dev/sda2", "/dev/sdb1"]

    def list_md_devices(self):
        return ["/dev/md127"]

    def lvs(self):
        return ["/dev/vg0/root"]

    def blkid(self, device):
        return KINDS[device]

    def blockdev_getsize64(self, _device):
        return 1 << 30

    def device_index(self, device):
        if device not in DEVICES:
            raise RuntimeError(f"device_index: {device}: device not found")
        return DEVICES.index(device)

    def part_list(self, device):
        numbers = {"/dev/sda": (1, 2), "/dev/sdb": (1,)}[device]
        return [{"part_num": number, "part_end": number << 20} for number in numbers]

    def part_get_parttype(self, _device):
        return "gpt"


@pytest.fixture
def layout():
    return volumes.Volumes(_Handle(), ["vda", "nvme0n1"])


def test_drives_and_partitions_have_the_servers_names(layout):
    assert [layout.name(each) for each in ("/dev/sda", "/dev/sda2", "/dev/sdb1")] == ["vda", "vda2", "nvme0n1p1"]


def test_arrays_and_logical_volumes_keep_their_own(layout):
    assert [layout.name(each) for each in ("/dev/md127", "/dev/md127p1", "/dev/mapper/vg0-root", "/dev/vg0/root")] == [
        "md127", "md127p1", "vg0-root", "vg0/root",
    ]  # fmt: skip


def test_the_contents_of_a_server_on_software_raid_are_told(layout):
    assert [(each.name, each.kind) for each in layout.contents()] == [
        ("vda1", "vfat"),
        ("md127", "ext4"),
        ("vg0/root", "xfs"),
    ]


def test_only_what_lies_on_one_volume_can_be_its_last(layout):
    assert [layout.is_last(each) for each in ("/dev/sda1", "/dev/sda2", "/dev/sdb", "/dev/md127", "/dev/vg0/root")] == [
        False, True, True, False, False,
    ]  # fmt: skip
