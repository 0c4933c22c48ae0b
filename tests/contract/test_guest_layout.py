"""What finishing tells of volumes and guests, on one launch of the real appliance with volumes that it made itself.

vda  GPT  | BIOS boot | LVM | swap |                    vdb  LVM on the whole volume; together vg0: root linear, fast striped
vdc  MBR  | ext2 | extended: unknown, swap |            vdd  GPT, 4096-byte sectors | NTFS with a Windows |
vde  btrfs with subvolumes on the whole volume          vdf  LUKS on the whole volume
"""

import struct
import subprocess

import pytest
from tests.support import hive

from estampe.guest import finishing, volumes
from estampe.model import layout as layouts

pytestmark = [pytest.mark.every_guest, pytest.mark.requires_appliance, pytest.mark.timeout(900)]

MIB = 1 << 20
TARGETS = ("vda", "vdb", "vdc", "vdd", "vde", "vdf")
LVM, BIOS_BOOT = "E6D6D379-F507-44C2-A23C-238F2A3DF928", "21686148-6449-6E6F-744E-656564454649"
STATE = {"ImageState": "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"}
SOFTWARE = {
    "Microsoft": {
        "Windows": {"CurrentVersion": {"Setup": {"State": STATE}}},
        "Windows NT": {
            "CurrentVersion": {
                "ProductName": "Windows Server 2022 Standard", "CurrentMajorVersionNumber": 10, "CurrentMinorVersionNumber": 0,
                "InstallationType": "Server", "EditionID": "ServerStandard",
            }
        },
    }
}  # fmt: skip
SYSTEM = {
    "Select": {"Current": 1},
    "ControlSet001": {"Services": {"Tcpip": {"Parameters": {"Hostname": "WIN-SOURCE"}}}, "Control": {}},
}
# What file(1) calls a "PE32+ executable ... x86-64": libguestfs looks at cmd.exe for the architecture.
PROGRAM = (
    b"MZ".ljust(0x18, b"\0") + struct.pack("<H", 0x40).ljust(0x24, b"\0") + struct.pack("<I", 0x80).ljust(0x44, b"\0")
    + struct.pack("<4sHHIIIHHH", b"PE", 0x8664, 0, 0, 0, 0, 0xF0, 0x22, 0x20B).ljust(0x200, b"\0")
)  # fmt: skip
OS_RELEASE = 'PRETTY_NAME="Fedora Linux 41"\nID=fedora\nVERSION_ID=41\n'


def cut(path, script):
    subprocess.run(["sfdisk", "--quiet", path], input=script.encode(), check=True, timeout=60)


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    guestfs = pytest.importorskip("guestfs")
    directory = tmp_path_factory.mktemp("volumes")
    for target in TARGETS:
        with (directory / target).open("wb") as file:
            file.truncate(200 * MIB)
    cut(
        directory / "vda",
        f'label: gpt\nstart=1MiB, size=1MiB, type={BIOS_BOOT}, name="b $x", attrs="LegacyBIOSBootable"\n'
        f"start=2MiB, size=150MiB, type={LVM}\nsize=16MiB, type=swap\n",
    )
    cut(
        directory / "vdc",
        "label: dos\nstart=1MiB, size=20MiB, type=83, bootable\nstart=30MiB, size=150MiB, type=5\n"
        "start=32MiB, size=50MiB, type=83\nstart=100MiB, size=30MiB, type=82\n",
    )
    launched = guestfs.GuestFS(python_return_dict=True)
    launched.set_backend("direct")
    launched.set_backend_settings(["force_tcg"])
    launched.set_memsize(768)
    for target in TARGETS:
        size = {"blocksize": 4096} if target == "vdd" else {}
        launched.add_drive_opts(str(directory / target), format="raw", **size)
    launched.launch()
    fill(launched)
    yield launched
    launched.close()


def fill(launched):
    for device in ("/dev/sda2", "/dev/sdb"):
        launched.pvcreate(device)
    launched.vgcreate("vg0", ["/dev/sda2", "/dev/sdb"])
    launched.lvcreate("root", "vg0", 40)
    launched.mkfs("ext4", "/dev/vg0/root")
    for device in ("/dev/sda3", "/dev/sdc6"):
        launched.mkswap(device)
    launched.mkfs("ext2", "/dev/sdc1")
    launched.luks_format("/dev/sdf", "secret", 0)
    launched.part_disk("/dev/sdd", "gpt")
    launched.mkfs("btrfs", "/dev/sde")
    launched.mount("/dev/sde", "/")
    for path in ("/@", "/@home", "/@old"):
        launched.btrfs_subvolume_create(path)
    launched.umount_all()


def finish(launched):
    told = []
    return finishing.finish(finishing.Launched(handle=launched, targets=TARGETS, is_uefi=False, tell=told.append))


def make_windows(launched):
    launched.mkfs("ntfs", "/dev/sdd1")
    launched.mount("/dev/sdd1", "/")
    launched.mkdir_p("/Windows/System32/config")
    launched.mkdir_p("/Windows/System32/drivers")
    launched.mkdir_p("/Program Files/Qemu-ga")
    for path in ("/Windows/System32/cmd.exe", "/Program Files/Qemu-ga/qemu-ga.exe"):
        launched.write(path, PROGRAM)
    launched.write("/Windows/System32/config/SOFTWARE", hive.hive(SOFTWARE))
    launched.write("/Windows/System32/config/SYSTEM", hive.hive(SYSTEM))
    launched.umount_all()


def make_fedora(launched):
    """On the btrfs: / in @, /home in @home."""
    launched.wipefs("/dev/sdd1")
    uuid = launched.vfs_uuid("/dev/sde")
    launched.mount("btrfsvol:/dev/sde/@", "/")
    for path in ("/etc/NetworkManager", "/usr/sbin", "/home", "/bin", "/etc/systemd/system/multi-user.target.wants"):
        launched.mkdir_p(path)
    launched.write("/etc/os-release", OS_RELEASE.encode())
    launched.write("/etc/fedora-release", b"Fedora release 41 (Forty One)\n")
    launched.write("/etc/hostname", b"source\n")
    launched.write("/etc/passwd", b"root:x:0:0:root:/root:/bin/bash\n")
    launched.write(
        "/etc/fstab", f"UUID={uuid} / btrfs subvol=@ 0 0\nUUID={uuid} /home btrfs subvol=@home 0 0\n".encode()
    )
    wants = "/etc/systemd/system/multi-user.target.wants/NetworkManager.service"
    launched.ln_s("/usr/lib/systemd/system/NetworkManager.service", wants)
    launched.umount_all()


def check_layout(layout):
    vda, vdb, vdc, vdd, vde, vdf = layout.volumes
    assert [each.target for each in layout.volumes] == list(TARGETS)
    boot, lvm, swap = vda.partitions
    assert (vda.table, vda.size_bytes, vda.sector_size_bytes) == (layouts.TableKind.GPT, 200 * MIB, 512)
    assert (boot.start_bytes, boot.size_bytes, boot.type, boot.name) == (MIB, MIB, BIOS_BOOT, "b $x")
    assert (boot.is_bootable, lvm.is_bootable) == (True, False)
    assert (lvm.start_bytes, lvm.size_bytes, lvm.type, lvm.content) == (2 * MIB, 150 * MIB, LVM, "LVM2_member")
    assert (swap.number, swap.content) == (3, "swap")
    assert (vdb.table, vdb.content) == (layouts.TableKind.NONE, "LVM2_member")
    assert [(each.number, each.type, each.content, each.is_logical) for each in vdc.partitions] == [
        (1, "0x83", "ext2", False), (2, "0x5", "extended", False), (5, "0x83", "unknown", True), (6, "0x82", "swap", True),
    ]  # fmt: skip
    assert (vdc.partitions[1].start_bytes, vdc.partitions[1].size_bytes) == (30 * MIB, 150 * MIB)
    assert vdc.partitions[0].is_bootable
    assert (vdd.sector_size_bytes, vdd.table, vdd.partitions[0].content) == (4096, layouts.TableKind.GPT, "ntfs")
    assert (vde.content, vdf.content) == ("btrfs", "crypto_LUKS")
    (group,) = layout.groups
    assert (group.name, group.physical_volumes, group.extent_size_bytes) == ("vg0", ("vda2", "vdb"), 4 * MIB)
    assert 290 * MIB < group.free_bytes < 310 * MIB
    assert group.logical_volumes == (
        layouts.LogicalVolume(name="root", size_bytes=40 * MIB, kind="linear", content="ext4"),
    )


def test_a_windows_among_other_volumes_is_told_with_the_layout_of_all(handle):
    make_windows(handle)
    told = finish(handle)
    handle.umount_all()
    check_layout(told.layout)
    guest = told.guest
    assert (guest.kind, guest.distribution, guest.hostname) == ("windows", "windows", "WIN-SOURCE")
    assert guest.product == "Windows Server 2022 Standard"
    assert (guest.boot_loader, guest.network, guest.init) == ("bootmgr", "windows", "windows")
    assert (guest.has_guest_agent, guest.is_generalised, guest.seed_reader) == (True, True, None)
    assert told.sealing.is_sealed
    assert "sysprep" in " ".join(told.sealing.actions)
    assert told.inventory.files == {}


def test_a_linux_of_another_kind_on_subvolumes_is_told_and_sealed(handle):
    make_fedora(handle)
    told = finish(handle)
    handle.umount_all()
    guest = told.guest
    assert (guest.distribution, guest.product, guest.root_device) == ("fedora", "Fedora Linux 41", "vde")
    assert guest.network == "network-manager"
    (btrfs,) = [each for each in guest.file_systems if each.kind == "btrfs"]
    assert (btrfs.device, btrfs.mount_point) == ("vde", "/")
    assert [(each.path, each.mount_point) for each in btrfs.subvolumes] == [
        ("@", "/"), ("@home", "/home"), ("@old", None),
    ]  # fmt: skip
    assert [each.name for each in told.inventory.users] == ["root"]
    assert "/etc/fstab" in told.inventory.files
    assert told.is_overlay_usable


def test_a_drive_has_the_name_it_was_added_by_whatever_the_kernel_calls_it(handle):
    found = volumes.Volumes(handle, TARGETS)
    assert [(each.name, each.kind) for each in found.contents() if each.name in {"vda3", "vdf"}] == [
        ("vdf", "crypto_LUKS"), ("vda3", "swap"),
    ]  # fmt: skip
