"""Naming what lies on a guest's volumes and how they are cut up, on a handle that answers as libguestfs 1.48 does."""

import pytest

from estampe.guest import volumes
from estampe.model import layout as layouts

MIB = 1 << 20
ROOT, SWAP = "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F"


def entry(number, *, start, size, scheme="gpt", **told):
    """As blkid tells of a partition: in sectors of 512 bytes."""
    common = {"PART_ENTRY_SCHEME": scheme, "PART_ENTRY_NUMBER": str(number), "PART_ENTRY_TYPE": ROOT.lower()}
    return {**common, "PART_ENTRY_OFFSET": str(start * 2048), "PART_ENTRY_SIZE": str(size * 2048), **told}


class Handle:
    """Drives as blkid tells of them, each with the name that the appliance's kernel gave it."""

    def __init__(self, told, *, arrays=(), groups=(), meta=None, lvs=(), unclear=()):
        self.told, self.arrays, self.groups, self.meta, self.logical = told, arrays, groups, meta or {}, lvs
        self.unclear = unclear
        self.asked = []

    def list_devices(self):
        return [each for each in self.told if each.count("/") == 2 and not each[-1].isdigit()]

    def list_partitions(self):
        return [each for each in self.told if each.startswith("/dev/sd") and each[-1].isdigit()]

    def list_md_devices(self):
        return list(self.arrays)

    def lvs(self):
        self.asked.append("lvs")
        return list(self.logical)

    def blkid(self, device):
        self.asked.append(device)
        if device in self.unclear:
            raise RuntimeError("blkid: ambivalent result")
        return {"DEVNAME": device, **self.told[device]}

    def blockdev_getsize64(self, _device):
        return 1 << 30

    def part_list(self, device):
        assert device == "/dev/sda"
        return [{"part_num": 1, "part_start": MIB, "part_end": 11 * MIB - 1, "part_size": 10 * MIB}]

    def part_get_mbr_id(self, _device, _number):
        return 0x82

    def part_get_gpt_type(self, _device, _number):
        return SWAP

    def vgs_full(self):
        return list(self.groups)

    def vgmeta(self, name):
        return self.meta[name].encode()


RAID = {
    "/dev/sda": {"PTTYPE": "gpt"},
    "/dev/sda1": entry(1, start=1, size=10, TYPE="vfat"),
    "/dev/sda2": entry(2, start=11, size=90, TYPE="linux_raid_member"),
    "/dev/sdb": {"PTTYPE": "gpt"},
    "/dev/sdb1": entry(1, start=1, size=90, TYPE="linux_raid_member"),
    "/dev/md127": {"TYPE": "LVM2_member", "UUID": "aaaa-bb"},
    "/dev/vg0/root": {"TYPE": "xfs"},
}


@pytest.fixture
def raid():
    return volumes.Volumes(Handle(RAID, arrays=["/dev/md127"], lvs=["/dev/vg0/root"]), ["vda", "nvme0n1"])


def seen(told, targets=("vda",), **more):
    """The layout as finishing takes it: contents first."""
    found = volumes.Volumes(Handle(told, **more), targets)
    found.contents()
    return found.layout()


def test_drives_and_partitions_have_the_servers_names(raid):
    assert [raid.name(each) for each in ("/dev/sda", "/dev/sda2", "/dev/sdb1")] == ["vda", "vda2", "nvme0n1p1"]


def test_arrays_and_logical_volumes_keep_their_own(raid):
    assert [raid.name(each) for each in ("/dev/md127", "/dev/md127p1", "/dev/mapper/vg0-root", "/dev/vg0/root")] == [
        "md127", "md127p1", "vg0-root", "vg0/root",
    ]  # fmt: skip


def test_the_contents_of_a_server_on_software_raid_are_told(raid):
    assert [(each.name, each.kind) for each in raid.contents()] == [("vda1", "vfat"), ("vg0/root", "xfs")]


def test_only_what_lies_on_one_volume_can_be_its_last(raid):
    assert [raid.is_last(each) for each in ("/dev/sda1", "/dev/sda2", "/dev/sdb1", "/dev/md127", "/dev/vg0/root")] == [
        False, True, True, False, False,
    ]  # fmt: skip


def test_each_device_is_asked_once_and_groups_only_where_there_is_a_physical_volume():
    handle = Handle({name: RAID[name] for name in ("/dev/sda", "/dev/sda1", "/dev/sda2")})
    found = volumes.Volumes(handle, ["vda"])
    found.contents()
    found.layout()
    assert sorted(handle.asked) == ["/dev/sda", "/dev/sda1", "/dev/sda2"]


def test_a_gpt_is_told_in_the_order_of_starts():
    layout = seen(
        {
            "/dev/sda": {"PTTYPE": "gpt", "LOGICAL_SECTOR_SIZE": "4096"},
            "/dev/sda1": entry(1, start=20, size=100, TYPE="ext4", PART_ENTRY_NAME="a\\ \\$x\x1b", PART_ENTRY_UUID="u"),
            "/dev/sda2": entry(2, start=1, size=19, TYPE="swap", PART_ENTRY_TYPE=SWAP.lower(), PART_ENTRY_FLAGS="0x4"),
        }
    )
    assert layout.groups == ()
    assert layout.volumes == (
        layouts.VolumeLayout(
            target="vda", size_bytes=1 << 30, sector_size_bytes=4096, table=layouts.TableKind.GPT, content=None,
            partitions=(
                layouts.Partition(
                    number=2, start_bytes=MIB, size_bytes=19 * MIB, type=SWAP, name="", is_bootable=True,
                    is_logical=False, content="swap", uuid=None,
                ),
                layouts.Partition(
                    number=1, start_bytes=20 * MIB, size_bytes=100 * MIB, type=ROOT, name="a $x\N{REPLACEMENT CHARACTER}",
                    is_bootable=False, is_logical=False, content="ext4", uuid="u",
                ),
            ),
        ),
    )  # fmt: skip


def test_an_mbr_tells_its_extended_partition_and_the_logical_ones():
    layout = seen(
        {
            "/dev/sda": {"PTTYPE": "dos"},
            "/dev/sda1": entry(
                1, start=1, size=9, scheme="dos", TYPE="ext4", PART_ENTRY_TYPE="0x83", PART_ENTRY_FLAGS="0x80"
            ),
            "/dev/sda2": entry(2, start=10, size=90, scheme="dos", PART_ENTRY_TYPE="0x5", PTTYPE="dos"),
            "/dev/sda5": entry(5, start=11, size=50, scheme="dos", PART_ENTRY_TYPE="0x83"),
            "/dev/sda6": entry(6, start=62, size=30, scheme="bsd", PART_ENTRY_TYPE="0x7"),
        }
    )
    (volume,) = layout.volumes
    assert volume.table is layouts.TableKind.MBR
    told = [(each.number, each.type, each.is_bootable, each.is_logical, each.content) for each in volume.partitions]
    assert told == [
        (1, "0x83", True, False, "ext4"), (2, "0x5", False, False, "extended"), (5, "0x83", False, True, "unknown"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "content"),
    [
        ({"TYPE": "xfs"}, "xfs"),
        ({}, "unknown"),
        ({"TYPE": "crypto_LUKS"}, "crypto_LUKS"),
        ({"TYPE": "vfat", "PTTYPE": "dos"}, "vfat"),  # a boot sector looks like a partition table
        ({"PTTYPE": "bsd"}, "bsd"),  # a table that is not ours to change
    ],
)
def test_a_volume_without_a_table_tells_its_content(told, content):
    (volume,) = seen({"/dev/sda": told}).volumes
    assert (volume.table, volume.content, volume.partitions) == (layouts.TableKind.NONE, content, ())


def test_a_partition_that_blkid_cannot_make_out_is_told_by_its_table():
    layout = seen({"/dev/sda": {"PTTYPE": "dos"}, "/dev/sda1": {}}, unclear=["/dev/sda1"])
    (partition,) = layout.volumes[0].partitions
    assert (partition.start_bytes, partition.size_bytes, partition.type) == (MIB, 10 * MIB, "0x82")
    assert partition.content == "unknown"


META = """
# a comment { with braces
vg0 {
    id = "fwT3Jl"
    extent_size = 8192      # 4 Megabytes
    status = ["RESIZEABLE", "READ"]
    physical_volumes {
        pv0 { id = "aaaa-bb" device = "/dev/sdz9" pe_count = 49 }
        pv1 { id = "gone" device = "[unknown]" pe_count = 9 }
    }
    logical_volumes {
        root { status = ["READ", "VISIBLE"] segment_count = 1
            segment1 { start_extent = 0 extent_count = 16 type = "striped" stripe_count = 1 stripes = ["pv0", 0] } }
        fast { status = ["READ", "VISIBLE"] segment_count = 1
            segment1 { start_extent = 0 extent_count = 4 type = "striped" stripe_count = 2 stripes = ["pv0", 9, "pv1", 0] } }
        mix { status = ["VISIBLE"]
            segment1 { extent_count = 1 type = "striped" stripe_count = 1 }
            segment2 { extent_count = 2 type = "raid1" } }
        root_tmeta { status = ["READ"] segment1 { extent_count = 1 type = "striped" stripe_count = 1 } }
    }
}
"""


def test_volume_groups_are_told_with_their_parts():
    told = {
        "/dev/sda": {"TYPE": "LVM2_member", "UUID": "aaaa-bb"},
        "/dev/vg0/root": {"TYPE": "ext4"},
        "/dev/vg0/fast": {},
        "/dev/vg0/mix": {"TYPE": "swap"},
    }
    group = {"vg_name": "vg0", "vg_free": 7 * 4 * MIB}
    layout = seen(told, groups=[group], meta={"vg0": META}, lvs=list(told)[1:])
    assert layout.volumes[0].content == "LVM2_member"
    assert layout.groups == (
        layouts.VolumeGroup(
            name="vg0", extent_size_bytes=4 * MIB, free_bytes=28 * MIB, physical_volumes=("vda", "gone"),
            logical_volumes=(
                layouts.LogicalVolume(name="fast", size_bytes=16 * MIB, kind="striped", content="unknown"),
                layouts.LogicalVolume(name="mix", size_bytes=12 * MIB, kind="mixed", content="swap"),
                layouts.LogicalVolume(name="root", size_bytes=64 * MIB, kind="linear", content="ext4"),
            ),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("meta", ["", "vg0 { }", "}", "vg0 = 3", 'vg0 { extent_size = "x" physical_volumes { } }'])
def test_a_group_with_metadata_that_make_no_sense_is_left_out(meta):
    told = {"/dev/sda": {"TYPE": "LVM2_member", "UUID": "aaaa-bb"}}
    assert seen(told, groups=[{"vg_name": "vg0", "vg_free": 0}], meta={"vg0": meta}).groups == ()


def test_a_subvolume_is_named_by_the_drive_that_was_added_and_not_by_the_kernels():
    told = {
        "/dev/sda": {"DEVNAME": "/dev/sdb"},
        "/dev/sdb": {"DEVNAME": "/dev/sda", "TYPE": "LVM2_member"},
        "/dev/vg0/root": {"TYPE": "btrfs"},
    }
    found = volumes.Volumes(Handle(told, lvs=["/dev/vg0/root"]), ["vda", "vdb"])
    found.contents()
    assert found.named_by_us("btrfsvol:/dev/sda/@") == "btrfsvol:/dev/sdb/@"
    assert found.named_by_us("btrfsvol:/dev/vg0/root/@") == "btrfsvol:/dev/vg0/root/@"
    assert found.named_by_us("/dev/sda") == "/dev/sda"
    assert found.device_of("btrfsvol:/dev/sdb/@/deep") == "/dev/sdb"
    assert found.device_of("btrfsvol:/dev/vg0/root/@") == "/dev/vg0/root"
    assert found.device_of("/dev/vg0/root") == "/dev/vg0/root"
