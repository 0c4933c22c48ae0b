"""Adjustments on volumes of every layout, all in one launch of the real appliance, judged by tools that did not write them.

vda  GPT      ESP | root, ext4 | swap | recovery, NTFS          what lies behind root moves
vdb  MBR      root, ext4 | extended: swap, ext4                 an extended partition moves with all that is in it
vdc  MBR      vfat | extended: root, ext4 | swap                a logical partition grows
vdd  MBR      LVM   vde  LVM: vg0 with root (xfs), home (ext4)  a group on two volumes
vdf  none     btrfs with a subvolume
vdg  GPT      ext4 | swap                                       sectors of 4096 bytes
vdh  MBR      NTFS
vdi  none     ext4
vdj  GPT      vfat | btrfs                                      made smaller
vdk  MBR      LVM: vg1 with root (ext4)                         made smaller
"""

import dataclasses
import subprocess
import types

import pytest
from tests.support import tables

from estampe.deploy import growth, shrinking
from estampe.guest import adjusting, volumes
from estampe.model import guest as guests
from estampe.model import layout as layouts
from estampe.model import manifest

pytestmark = [pytest.mark.every_guest, pytest.mark.requires_appliance, pytest.mark.timeout(1500)]

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
    "vdj": "label: gpt\n1: start=1MiB, size=8MiB, type=linux\n2: start=9MiB, size=390MiB, type=linux\n",
    "vdk": "label: dos\n1: start=1MiB, size=299MiB, type=8e\n",
}
# (size as captured, size now), in MiB
SIZES = {
    "vda": (178, 600), "vdb": (127, 300), "vdc": (122, 300), "vdd": (402, 500), "vde": (64, 200), "vdf": (128, 300),
    "vdg": (82, 300), "vdh": (64, 200), "vdi": (32, 200), "vdj": (400, 300), "vdk": (300, 180),
}  # fmt: skip
SHRUNK = {"vdj": "vdj2", "vdk": "vg1/root"}
CHOSEN = ("vda2", "vdb1", "vdc5", "lv:vg0/home", "vdg1", "vdh1")
MKFS = {
    "ext4": ["mke2fs", "-q", "-t", "ext4", "-b", "4096"], "btrfs": ["mkfs.btrfs", "-q"], "vfat": ["mkfs.vfat"],
    "ntfs": ["mkntfs", "-q", "-F", "-Q"], "swap": ["mkswap", "-q", "-U", SWAP_UUID, "-L", "sleep"],
}  # fmt: skip
CONTENTS = {
    "vda1": "vfat", "vda2": "ext4", "vda3": "swap", "vda4": "ntfs", "vdb1": "ext4", "vdb5": "swap", "vdb6": "ext4",
    "vdc1": "vfat", "vdc5": "ext4", "vdc6": "swap", "vdf": "btrfs", "vdg1": "ext4", "vdg2": "swap", "vdh1": "ntfs",
    "vdi": "ext4", "vdj1": "vfat", "vdj2": "btrfs",
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
        self.resize(target for target in SIZES if target not in SHRUNK)

    def resize(self, targets):
        for target in targets:
            self.devices[target].grow(SIZES[target][1])

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
        self.capacity_bytes, self.marks, self.used_bytes = {}, {}, {}
        self.xfs_repair = self.free_extents = None


MOUNTED = [name for name, kind in CONTENTS.items() if kind != "swap"] + ["vg0/root", "vg0/home", "vg1/root"]


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
        if name in SHRUNK.values():
            seen.used_bytes[name] = used(handle.statvfs("/"))
        handle.umount_all()
    sizes = {target: now * MIB for target, (_size, now) in SIZES.items()}
    layout = as_captured(handle)
    seen.plan = growth.plan(growth.Known(layout=layout, guest=None), sizes, growth.Wish(chosen=CHOSEN))
    shrinking.plan(seen.plan, growth.Known(layout=layout, guest=guest(seen)), as_stored(layout), sizes)
    for action in seen.plan.actions:
        adjuster.carry_out(action)
    for name in MOUNTED:
        handle.mount_ro(adjuster.device(name), "/")
        seen.marks[name] = handle.read_file("/mark").decode()
        told = handle.statvfs("/")
        seen.capacity_bytes[name] = told["blocks"] * told["frsize"]
        handle.umount_all()
    seen.xfs_repair = handle.xfs_repair(adjuster.device("vg0/root"), nomodify=True)
    seen.free_bytes = {group["vg_name"]: group["vg_free"] for group in handle.vgs_full()}["vg0"]
    handle.vg_activate_all(False)
    handle.shutdown()
    handle.close()
    lab.resize(SHRUNK)
    return lab, seen


def used(told):
    return (told["blocks"] - told["bfree"]) * told["frsize"]


def guest(seen):
    systems = tuple(
        guests.FileSystem(
            device=name, kind="ext4", size_bytes=0, used_bytes=size, mount_point=None, uuid=None, label=None
        )
        for name, size in seen.used_bytes.items()
    )
    return guests.Guest(
        kind="linux", distribution="debian", version="12", product="Debian", hostname="web", root_device="vdi",
        file_systems=systems, has_cloud_init=False, has_guest_agent=False, can_grow_root=False, package_count=0,
    )  # fmt: skip


def as_stored(layout):
    """As much of a manifest as is looked at."""
    volumes = [
        manifest.ManifestVolume(target=each.target, size_bytes=each.size_bytes, table=None) for each in layout.volumes
    ]
    return types.SimpleNamespace(volumes=volumes)


def make_group(handle, adjuster):
    """On the small volumes that they were: the second one is the whole of its volume, which is larger already."""
    both = [adjuster.device("vdd1"), adjuster.device("vde")]
    for device in both:
        handle.pvcreate(device)
    handle.pvresize_size(both[1], 64 * MIB)
    handle.vgcreate("vg0", both)
    handle.lvcreate("root", "vg0", 320)
    handle.lvcreate("home", "vg0", 40)
    handle.pvcreate(adjuster.device("vdk1"))
    handle.vgcreate("vg1", [adjuster.device("vdk1")])
    handle.lvcreate("root", "vg1", 280)
    handle.mkfs("ext4", "/dev/vg1/root")
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


@pytest.mark.parametrize("target", SHRUNK)
def test_what_was_made_smaller_lies_within_its_smaller_volume_and_is_sound(adjusted, target):
    lab, seen = adjusted
    least, most = (SIZES[target][1] - room for room in (40, 0))
    assert least * MIB < seen.capacity_bytes[SHRUNK[target]] < most * MIB
    assert lab.devices[target].size_bytes == most * MIB
    if target == "vdj":
        assert "no error found" in run("btrfs", "check", lab.extract("vdj2"))
        return
    physical, logical = lab.extract("vdk1"), lab.directory / "vg1-root"
    run("dd", f"if={physical}", f"of={logical}", "bs=1M", "skip=1", "conv=sparse", "status=none")  # its first extent
    run("e2fsck", "-fn", logical)


def test_the_group_gives_what_it_gained_and_keeps_what_was_free(adjusted):
    # 100 + 15 extents of 4 MiB, less 80 and 10 of the logical volumes.
    assert adjusted[1].free_bytes == (99 + 15 - 90) * 4 * MIB
