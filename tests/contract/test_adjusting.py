"""Adjustments on volumes of every layout, all in one launch of the real appliance, judged by tools that did not write them.

vda  GPT      ESP | root, ext4 | swap | recovery, NTFS          what lies behind root moves
vdb  MBR      root, ext4 | extended: swap, ext4                 an extended partition moves with all that is in it
vdc  MBR      vfat | extended: root, ext4 | swap                a logical partition grows
vdd  MBR      LVM   vde  LVM: vg0 with root (xfs), home (ext4)  a group on two volumes
vdf  none     btrfs with a subvolume
vdg  GPT      ext4 | swap                                       sectors of 4096 bytes
vdh  MBR      NTFS
vdi  none     ext4
"""

import dataclasses
import subprocess

import pytest
from tests.support import tables

from estampe.deploy import growth
from estampe.guest import adjusting, volumes
from estampe.model import layout as layouts

pytestmark = [pytest.mark.requires_appliance, pytest.mark.timeout(1500)]

MIB = tables.MIB
RECOVERY = "DE94BBA4-06D1-4D4D-A16A-BFD50179D6AC"
SWAP_UUID = "11111111-2222-3333-4444-555555555555"
TABLES = {
    "vda": f"""label: gpt
1: start=1MiB, size=40MiB, type=uefi
2: start=41MiB, size=100MiB, type=linux
3: start=141MiB, size=16MiB, type=swap
4: start=157MiB, size=20MiB, type={RECOVERY}, name="Recovery", attrs="RequiredPartition GUID:63"
""",
    "vdb": "label: dos\n1: start=1MiB, size=64MiB, type=83, bootable\n2: start=66MiB, size=60MiB, type=5\n"
    "5: start=67MiB, size=16MiB, type=82\n6: start=84MiB, size=42MiB, type=83\n",
    "vdc": "label: dos\n1: start=1MiB, size=40MiB, type=c\n2: start=41MiB, size=80MiB, type=f\n"
    "5: start=42MiB, size=60MiB, type=83\n6: start=103MiB, size=18MiB, type=82\n",
    "vdd": "label: dos\n1: start=1MiB, size=400MiB, type=8e\n",
    "vdg": "label: gpt\n1: start=1MiB, size=64MiB, type=linux\n2: start=65MiB, size=16MiB, type=swap\n",
    "vdh": "label: dos\n1: start=1MiB, size=62MiB, type=7\n",
}
# (size as captured, size now), in MiB
SIZES = {
    "vda": (178, 600), "vdb": (127, 300), "vdc": (122, 300), "vdd": (402, 500), "vde": (64, 200), "vdf": (128, 300),
    "vdg": (82, 300), "vdh": (64, 200), "vdi": (32, 200),
}  # fmt: skip
CHOSEN = ("vda2", "vdb1", "vdc5", "lv:vg0/home", "vdg1", "vdh1")
MKFS = {
    "ext4": ["mke2fs", "-q", "-t", "ext4", "-b", "4096"], "btrfs": ["mkfs.btrfs", "-q"], "vfat": ["mkfs.vfat"],
    "ntfs": ["mkntfs", "-q", "-F", "-Q"], "swap": ["mkswap", "-q", "-U", SWAP_UUID, "-L", "sleep"],
}  # fmt: skip
CONTENTS = {
    "vda1": "vfat", "vda2": "ext4", "vda3": "swap", "vda4": "ntfs", "vdb1": "ext4", "vdb5": "swap", "vdb6": "ext4",
    "vdc1": "vfat", "vdc5": "ext4", "vdc6": "swap", "vdf": "btrfs", "vdg1": "ext4", "vdg2": "swap", "vdh1": "ntfs",
    "vdi": "ext4",
}  # fmt: skip
GROWN = {"vda2": 520, "vdb1": 230, "vdc5": 235, "vg0/home": 260, "vdf": 300, "vdg1": 280, "vdh1": 195, "vdi": 200}


def run(*command, fails=False):
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    )
    assert fails or ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
    return ran.stdout + ran.stderr


class Lab:
    """The volumes in files, first as they were captured, then made larger and adjusted."""

    def __init__(self, directory):
        self.directory = directory
        self.devices = {}
        for target, (size, _now) in SIZES.items():
            sector_bytes = 4096 if target == "vdg" else 512
            device = tables.FileDevice(directory / target, size, sector_bytes=sector_bytes)
            if target in TABLES:
                device.make(TABLES[target])
            self.devices[target] = device
        for name, kind in CONTENTS.items():
            self._make(name, kind)
        self.before = {target: self.partitions(target) for target in TABLES}
        for target, (_size, now) in SIZES.items():
            self.devices[target].grow(now)

    def place(self, name):
        """(file, offset, length) of a partition or a whole volume."""
        device = self.devices[name[:3]]
        if len(name) == 3:
            return device.path, 0, device.size_bytes
        found = device.partitions()[1][int(name[3:])]
        return device.path, found["start"] * device.sector_bytes, found["size"] * device.sector_bytes

    def partitions(self, target):
        return self.devices[target].partitions()[1]

    def _make(self, name, kind):
        path, offset, length = self.place(name)
        made = self.directory / "content"
        with made.open("wb") as stream:
            stream.truncate(length)
        sectors = ["-p", str(offset // 512)] if kind == "ntfs" else []
        run(*MKFS[kind], *sectors, made)
        run("dd", f"if={made}", f"of={path}", "bs=1M", f"seek={offset // MIB}", "conv=notrunc,sparse", "status=none")

    def extract(self, name):
        """The content of a partition in a file of its own."""
        path, offset, length = self.place(name)
        found = self.directory / name
        if len(name) > 3:
            run(
                "dd",
                f"if={path}",
                f"of={found}",
                "bs=1M",
                f"skip={offset // MIB}",
                f"count={-(-length // MIB)}",
                "conv=sparse",
                "status=none",
            )
        return found


class Seen:
    """What was seen inside the appliance after the adjustment."""

    def __init__(self):
        self.plan = None
        self.capacity_bytes, self.marks = {}, {}
        self.xfs_repair = self.free_extents = None


MOUNTED = [name for name, kind in CONTENTS.items() if kind != "swap"] + ["vg0/root", "vg0/home"]


@pytest.fixture(scope="module")
def adjusted(tmp_path_factory):
    guestfs = pytest.importorskip("guestfs")
    lab, seen = Lab(tmp_path_factory.mktemp("adjusting")), Seen()
    handle = guestfs.GuestFS(python_return_dict=True)
    handle.set_backend("direct")
    handle.set_backend_settings(["force_tcg"])
    handle.set_memsize(768)
    for device in lab.devices.values():
        handle.add_drive_opts(str(device.path), format="raw", blocksize=device.sector_bytes)
    handle.launch()
    adjuster = adjusting.Adjuster(handle, list(SIZES), lambda _text: None)
    make_group(handle, adjuster)
    for name in MOUNTED:
        handle.mount(adjuster.device(name), "/")
        handle.write("/mark", name.encode())
        if name == "vdf":
            handle.btrfs_subvolume_create("/home")
        handle.umount_all()
    seen.plan = growth.plan(
        growth.Known(layout=as_captured(handle), guest=None),
        {target: now * MIB for target, (_size, now) in SIZES.items()},
        growth.Wish(chosen=CHOSEN),
    )
    for action in seen.plan.actions:
        adjuster.carry_out(action)
    for name in MOUNTED:
        handle.mount_ro(adjuster.device(name), "/")
        seen.marks[name] = handle.read_file("/mark").decode()
        told = handle.statvfs("/")
        seen.capacity_bytes[name] = told["blocks"] * told["frsize"]
        handle.umount_all()
    seen.xfs_repair = handle.xfs_repair(adjuster.device("vg0/root"), nomodify=True)
    seen.free_bytes = handle.vgs_full()[0]["vg_free"]
    handle.vg_activate_all(False)
    handle.shutdown()
    handle.close()
    return lab, seen


def make_group(handle, adjuster):
    """On the small volumes that they were: the second one is the whole of its volume, which is larger already."""
    both = [adjuster.device("vdd1"), adjuster.device("vde")]
    for device in both:
        handle.pvcreate(device)
    handle.pvresize_size(both[1], 64 * MIB)
    handle.vgcreate("vg0", both)
    handle.lvcreate("root", "vg0", 320)
    handle.lvcreate("home", "vg0", 40)
    handle.mkfs("xfs", "/dev/vg0/root")
    handle.mkfs("ext4", "/dev/vg0/home")


def as_captured(handle):
    found = volumes.Volumes(handle, list(SIZES))
    found.contents()
    layout = found.layout()
    sizes = {each.target: dataclasses.replace(each, size_bytes=SIZES[each.target][0] * MIB) for each in layout.volumes}
    return layouts.Layout(volumes=tuple(sizes.values()), groups=layout.groups)


def test_everything_has_grown_and_holds_what_it_held(adjusted):
    _lab, seen = adjusted
    assert [change.what for change in seen.plan.changes if change.outcome.value == "left"] == []
    assert seen.marks == {name: name for name in MOUNTED}
    assert {name: size for name, size in GROWN.items() if seen.capacity_bytes[name] < size * 0.85 * MIB} == {}


@pytest.mark.parametrize("target", TABLES)
def test_tables_are_sound_and_say_of_each_partition_what_they_said(adjusted, target):
    lab, _seen = adjusted
    assert lab.devices[target].verify() == []
    after = lab.partitions(target)
    places = {"start": 0, "size": 0}
    assert {number: {**each, **places} for number, each in after.items()} == {
        number: {**each, **places} for number, each in lab.before[target].items()
    }
    if target == "vda":
        assert "No problems found" in run("sgdisk", "-v", lab.devices[target].path)


@pytest.mark.parametrize("name", [name for name, kind in CONTENTS.items() if kind == "ext4"])
def test_ext4_is_sound(adjusted, name):
    run("e2fsck", "-fn", adjusted[0].extract(name))


def test_xfs_and_btrfs_are_sound(adjusted):
    lab, seen = adjusted
    assert seen.xfs_repair == 0
    assert "no error found" in run("btrfs", "check", lab.extract("vdf"))


@pytest.mark.parametrize("name", ["vda4", "vdh1"])
def test_ntfs_is_sound_and_knows_where_it_begins(adjusted, name):
    lab, _seen = adjusted
    extracted = lab.extract(name)
    run("ntfsresize", "--info", "--force", "--no-progress-bar", extracted)
    _path, offset, _length = lab.place(name)
    assert int.from_bytes(extracted.read_bytes()[0x1C:0x20], "little") == offset // 512


@pytest.mark.parametrize("name", [name for name, kind in CONTENTS.items() if kind == "swap"])
def test_swap_is_made_anew_with_its_identity(adjusted, name):
    path, offset, _length = adjusted[0].place(name)
    told = run("blkid", "-p", "-o", "export", "-O", str(offset), path)
    assert {"TYPE=swap", f"UUID={SWAP_UUID}", "LABEL=sleep"} <= set(told.splitlines())


def test_the_group_gives_what_it_gained_and_keeps_what_was_free(adjusted):
    # 100 + 15 extents of 4 MiB, less 80 and 10 of the logical volumes.
    assert adjusted[1].free_bytes == (99 + 15 - 90) * 4 * MIB
