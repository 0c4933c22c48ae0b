"""New UUIDs on volumes of every kind, in one launch of the real appliance, judged by tools that did not write them.

vda  GPT      ESP | root, ext4 | swap      a guest of files alone, which names all that there is
vdb  MBR      LVM: vg0 with data (xfs)
vdc  none     btrfs
vdd  none     NTFS
"""

import re
import subprocess

import pytest
from backports import zstd
from tests.support import cpio, tables

from estampe.guest import adapting, finishing
from estampe.model import adjustment, final

pytestmark = [pytest.mark.every_guest, pytest.mark.requires_appliance, pytest.mark.timeout(900)]

MIB = tables.MIB
SIZES = {"vda": 118, "vdb": 402, "vdc": 128, "vdd": 32}
TABLES = {
    "vda": "label: gpt\n1: start=1MiB, size=16MiB, type=uefi\n2: start=17MiB, size=84MiB, type=linux\n"
    "3: start=101MiB, size=16MiB, type=swap\n",
    "vdb": "label: dos\n1: start=1MiB, size=400MiB, type=8e\n",
}
ROOT, SWAP, BTRFS = (f"aaaaaaaa-0000-4000-8000-00000000000{digit}" for digit in "abc")
XFS, ESP = "aaaaaaaa-0000-4000-8000-00000000000d", "ABCD-1234"
PLACES = {"vda1": (1, 16), "vda2": (17, 84), "vda3": (101, 16), "vdb1": (1, 400)}
FILES = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n',
    "etc/debian_version": "12.5\n",
    "etc/hostname": "source\n",
    "etc/initramfs-tools/conf.d/resume": f"RESUME=UUID={SWAP}\n",
    "etc/default/grub": f'GRUB_CMDLINE_LINUX="resume=UUID={SWAP}"\n',
    "boot/grub/grub.cfg": f"search --no-floppy --fs-uuid --set=root {ROOT}\nlinux /vmlinuz root=UUID={ROOT} ro\n",
    "boot/grub/grubenv": f"# GRUB Environment Block\nkernelopts=root=UUID={ROOT}\n".ljust(1024, "#"),
    "usr/lib/modules/6.1.0-1-amd64/modules.dep": "",
    "usr/lib/systemd/systemd": "program\n",
}  # fmt: skip
EFI_CFG = "search.fs_uuid {} root\n"
IMAGE = "boot/initrd.img-6.1.0-1-amd64"


def run(*argv):
    ran = subprocess.run(
        [str(word) for word in argv], check=False, capture_output=True, text=True, timeout=120,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def image(resume):
    early = cpio.archive({"kernel/x86/microcode/AuthenticAMD.bin": b"microcode"})
    main = cpio.archive(
        {"conf/conf.d/zz-resume-auto": f"RESUME=UUID={resume}\n".encode(), "init": b"#!/bin/sh\n" * 999}
    )
    return early + bytes(-len(early) % 512) + zstd.compress(main)


class Lab:
    """The volumes in files."""

    def __init__(self, directory):
        self.directory, self.devices = directory, {}
        for target, size in SIZES.items():
            self.devices[target] = tables.FileDevice(directory / target, size)
            if target in TABLES:
                self.devices[target].make(TABLES[target])
        self.mbr = self.word("vdb", "PTUUID")
        self.partitions = {number: self.word("vda", "PARTUUID", number) for number in (1, 2, 3)}
        self.disk = self.word("vda", "PTUUID")
        self._make("vda1", "mkfs.vfat", "-i", ESP.replace("-", ""))
        self._make("vda3", "mkswap", "-q", "-U", SWAP)
        run("mkfs.btrfs", "-q", "-U", BTRFS, directory / "vdc")
        run("mkntfs", "-q", "-F", "-Q", directory / "vdd")
        self.ntfs = self.word("vdd", "UUID")
        self._make(
            "vda2",
            "mke2fs",
            "-q",
            "-t",
            "ext4",
            "-b",
            "4096",
            "-O",
            "^metadata_csum_seed",
            "-U",
            ROOT,
            "-d",
            self._tree(),
        )

    def _tree(self):
        tree = self.directory / "tree"
        fstab = (
            f"UUID={ROOT} / ext4 defaults 0 1\nUUID={ESP} /boot/efi vfat defaults 0 0\n/dev/disk/by-uuid/{SWAP} none swap sw 0 0\n"
            f"UUID={BTRFS} /data btrfs defaults 0 0\nUUID={XFS} /srv xfs defaults 0 0\nUUID={self.ntfs} /old ntfs3 noauto 0 0\n"
        )
        crypttab = (
            f"a PARTUUID={self.partitions[3]} /dev/urandom swap\nb /dev/disk/by-partuuid/{self.mbr}-01 none noauto\n"
        )
        for path, text in (FILES | {"etc/fstab": fstab, "etc/crypttab": crypttab}).items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        (tree / IMAGE).write_bytes(image(SWAP))
        for path in ("usr/bin", "usr/sbin", "boot/efi", "data", "srv", "old"):
            (tree / path).mkdir(exist_ok=True)
        for path, target in {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib"}.items():
            (tree / path).symlink_to(target)
        return tree

    def _make(self, name, *command):
        at, size = PLACES[name]
        made = self.directory / "content"
        with made.open("wb") as stream:
            stream.truncate(size * MIB)
        run(*command, made)
        if name == "vda1":
            (self.directory / "grub.cfg").write_text(EFI_CFG.format(ROOT))
            run("mmd", "-i", made, "::EFI", "::EFI/debian")
            run("mcopy", "-i", made, self.directory / "grub.cfg", "::EFI/debian/grub.cfg")
        run(
            "dd",
            f"if={made}",
            f"of={self.directory / name[:3]}",
            "bs=1M",
            f"seek={at}",
            "conv=notrunc,sparse",
            "status=none",
        )
        made.unlink()

    def extract(self, name, *, skip=0):
        """The content of a partition, or of what begins so many MiB behind its beginning."""
        if name not in PLACES:
            return self.directory / name
        at, size = PLACES[name]
        found = self.directory / f"{name}-{skip}"
        run(
            "dd",
            f"if={self.directory / name[:3]}",
            f"of={found}",
            "bs=1M",
            f"skip={at + skip}",
            f"count={size - skip}",
            "conv=sparse",
            "status=none",
        )
        return found

    def word(self, target, word, number=None):
        """What blkid says of a volume, or fdisk of a partition of it."""
        if number is not None:
            return self.devices[target].partitions()[1][number]["uuid"].lower()
        return run("blkid", "-p", "-s", word, "-o", "value", self.directory / target).strip()

    def uuid(self, name, *, skip=0):
        return run("blkid", "-p", "-s", "UUID", "-o", "value", self.extract(name, skip=skip)).strip()

    def cat(self, path):
        return run("debugfs", "-R", f"cat /{path}", self.extract("vda2"))

    def group(self):
        """By the last metadata of vg0, in a ring of them: its id and its physical volume's."""
        texts = self.extract("vdb1").read_bytes()[:MIB].decode(errors="replace").split("vg0 {")
        last = max(texts, key=lambda text: int(re.search(r"seqno = (\d+)|$", text)[1] or 0))
        return re.findall(r'id = "([\w-]{38})"', last)[:2]


@pytest.fixture(scope="module")
def renewed(tmp_path_factory):
    guestfs = pytest.importorskip("guestfs")
    lab = Lab(tmp_path_factory.mktemp("renewing"))
    handle = guestfs.GuestFS(python_return_dict=True)
    handle.set_backend("direct")
    handle.set_backend_settings(["force_tcg"])
    handle.set_memsize(768)
    for device in lab.devices.values():
        handle.add_drive_opts(str(device.path), format="raw")
    handle.launch()
    handle.pvcreate("/dev/sdb1")
    handle.vgcreate("vg0", ["/dev/sdb1"])
    handle.lvcreate("data", "vg0", 320)
    handle.mkfs("xfs", "/dev/vg0/data")
    handle.set_uuid("/dev/vg0/data", XFS)
    lab.lvm = [handle.vguuid("vg0"), handle.pvuuid("/dev/sdb1")]
    launched = finishing.Launched(handle=handle, targets=list(SIZES), is_uefi=True, tell=lambda _text: None)
    adapted = adapting.adapt(launched, adjustment.Adaptation(renewed="new"))
    handle.vg_activate_all(False)
    finishing.shut_down(handle)
    return lab, adapted.changes["new"]


def test_only_the_system_partitions_guid_stays_and_that_is_told(renewed):
    lab, changes = renewed
    left = [(change.what, change.why) for change in changes if change.outcome is final.Outcome.LEFT]
    assert left == [("UUID of the partition vda1", "the firmware's boot entry names it")]
    assert lab.word("vda", "PARTUUID", 1) == lab.partitions[1]
    [done] = [change.detail for change in changes if change.outcome is final.Outcome.DONE]
    for name in (
        "vda1 (vfat)",
        "vda2 (ext4)",
        "vda3 (swap)",
        "vdc (btrfs)",
        "vdd (ntfs)",
        "vg0/data (xfs)",
        "group vg0",
    ):
        assert name in done


def test_every_uuid_is_new(renewed):
    lab, _changes = renewed
    for name, old in {"vda1": ESP, "vda2": ROOT, "vda3": SWAP, "vdc": BTRFS, "vdd": lab.ntfs}.items():
        assert lab.uuid(name) not in {old, ""}
    assert lab.uuid("vdb1", skip=1) not in {XFS, ""}
    assert lab.word("vda", "PTUUID") != lab.disk
    assert lab.word("vdb", "PTUUID") != lab.mbr
    assert {lab.word("vda", "PARTUUID", number) for number in (2, 3)}.isdisjoint(lab.partitions.values())
    assert {each.replace("-", "") for each in lab.group()}.isdisjoint(each.replace("-", "") for each in lab.lvm)
    assert lab.uuid("vdb1").replace("-", "") in {each.replace("-", "") for each in lab.group()}


def test_all_that_named_them_names_the_new_ones(renewed):
    lab, _changes = renewed
    root, swap, esp = lab.uuid("vda2"), lab.uuid("vda3"), lab.uuid("vda1")
    mounted = {line.split()[1]: line.split()[0] for line in lab.cat("etc/fstab").splitlines()}
    assert mounted == {
        "/": f"UUID={root}", "/boot/efi": f"UUID={esp}", "none": f"/dev/disk/by-uuid/{swap}", "/data": f"UUID={lab.uuid('vdc')}",
        "/srv": f"UUID={lab.uuid('vdb1', skip=1)}", "/old": f"UUID={lab.uuid('vdd')}",
    }  # fmt: skip
    assert lab.cat("etc/crypttab").split()[1] == f"PARTUUID={lab.word('vda', 'PARTUUID', 3)}"
    assert lab.cat("etc/crypttab").split()[5] == f"/dev/disk/by-partuuid/{lab.word('vdb', 'PTUUID')}-01"
    assert lab.cat("boot/grub/grub.cfg") == FILES["boot/grub/grub.cfg"].replace(ROOT, root)
    assert lab.cat("boot/grub/grubenv") == FILES["boot/grub/grubenv"].replace(ROOT, root)
    assert lab.cat("etc/initramfs-tools/conf.d/resume") == f"RESUME=UUID={swap}\n"
    assert run("mtype", "-i", lab.extract("vda1"), "::EFI/debian/grub.cfg").replace("\r", "") == EFI_CFG.format(root)


def test_the_initramfs_waits_for_the_new_swap_and_keeps_its_first_archive(renewed):
    lab, _changes = renewed
    found = lab.directory / "initrd"
    run("debugfs", "-R", f"dump /{IMAGE} {found}", lab.extract("vda2"))
    early = image(SWAP).index(b"\x28\xb5\x2f\xfd")
    assert found.read_bytes()[:early] == image(SWAP)[:early]
    (lab.directory / "main.zst").write_bytes(found.read_bytes()[early:])
    run("zstd", "-dqf", lab.directory / "main.zst", "-o", lab.directory / "main")
    listed = run("cpio", "-i", "--to-stdout", "--quiet", "-F", lab.directory / "main", "conf/conf.d/zz-resume-auto")
    assert listed == f"RESUME=UUID={lab.uuid('vda3')}\n"


def test_everything_is_sound(renewed):
    lab, _changes = renewed
    run("fsck.vfat", "-n", lab.extract("vda1"))
    run("e2fsck", "-fn", lab.extract("vda2"))
    run("btrfs", "check", lab.extract("vdc"))
    run("ntfsresize", "--info", "--force", "--no-progress-bar", lab.extract("vdd"))
    assert "No problems found" in run("sgdisk", "-v", lab.directory / "vda")
    with (lab.extract("vdb1", skip=1)).open("r+b") as stream:
        stream.truncate(320 * MIB)
    run("xfs_repair", "-n", "-f", lab.directory / "vdb1-1")
