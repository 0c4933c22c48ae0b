"""Volumes that are cut short, damaged, or made to do harm, of every kind, before the real appliance.

Whatever they hold, the capture gets an answer in time: it is told what was seen and why nothing was sealed, or that the appliance
failed. Nothing that was started is left.
"""

import os
import random
import struct
import subprocess
import time
from pathlib import Path

import pytest

from estampe import errors
from estampe.guest import appliance

pytestmark = [
    pytest.mark.every_guest, pytest.mark.requires_appliance, pytest.mark.requires_qemu, pytest.mark.timeout(1500),
]  # fmt: skip

MIB = 1 << 20
DEADLINE_SECONDS = 400.0
OS_FILES = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n',
    "etc/debian_version": "12.5\n",
    "etc/fstab": "/dev/vda / auto defaults 0 1\n",
    "etc/hostname": "source\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "usr/lib/systemd/systemd": "program\n",
    "var/log/syslog": "line\n",
}
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib"}
# Kind, its size, and how much at its beginning says what it is: that stays as it was.
KINDS = {"ext4": (64, 4096), "xfs": (320, 4096), "btrfs": (160, 69632), "ntfs": (64, 4096), "vfat": (64, 512),
         "swap": (16, 4096), "lvm": (64, 4096), "luks": (32, 4096)}  # fmt: skip


def run(*argv, data=None):
    ran = subprocess.run(
        [str(word) for word in argv], check=False, capture_output=True, timeout=120, input=data,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def make_tree(tree):
    for path, text in OS_FILES.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    for folder in ("usr/bin", "usr/sbin", "tmp", "dev", "home"):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    for path, target in LINKS.items():
        (tree / path).symlink_to(target)
    return tree


def blank(path, size_mib):
    with path.open("wb") as file:
        file.truncate(size_mib * MIB)
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """One volume of each kind, with the files of an operating system where user space can put them there."""
    directory = tmp_path_factory.mktemp("sound")
    tree = make_tree(directory / "tree")
    made = {kind: blank(directory / kind, size) for kind, (size, _kept) in KINDS.items()}
    run("mke2fs", "-q", "-t", "ext4", "-d", tree, made["ext4"])
    run("mkfs.xfs", "-q", made["xfs"])
    run("mkfs.btrfs", "-q", "--rootdir", tree, made["btrfs"])
    run("mkntfs", "-q", "-F", "-Q", made["ntfs"])
    run("mkfs.vfat", made["vfat"])
    run("mkswap", "-q", made["swap"])
    # Few rounds: what keeps guessers out takes a minute under emulation, and nobody guesses here.
    rounds = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
    run("cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", *rounds, made["luks"], "-", data=b"secret")
    guestfs = pytest.importorskip("guestfs")
    handle = guestfs.GuestFS(python_return_dict=True)
    handle.set_backend("direct")
    handle.set_backend_settings(["force_tcg"])
    handle.add_drive_opts(str(made["lvm"]), format="raw")
    handle.launch()
    handle.pvcreate("/dev/sda")
    handle.vgcreate("vg0", ["/dev/sda"])
    handle.lvcreate("root", "vg0", 40)
    handle.mkfs("ext4", "/dev/vg0/root")
    handle.shutdown()
    handle.close()
    return made


def copied(sound, directory):
    for kind, path in sound.items():
        run("cp", "--sparse=always", path, directory / kind)
    return {kind: directory / kind for kind in sound}


def truncated(volumes):
    for path in volumes.values():
        os.truncate(path, path.stat().st_size // 2)


def damaged(volumes):
    """Random bytes all over what comes behind that which says what it is; the dice are loaded."""
    dice = random.Random(4)
    for kind, path in volumes.items():
        _size, kept = KINDS[kind]
        with path.open("r+b") as file:
            file.seek(kept)
            file.write(dice.randbytes(256 * 1024))
            for _ in range(400):
                file.seek(dice.randrange(kept, path.stat().st_size - 512) // 512 * 512)
                file.write(dice.randbytes(512))


def crafted(volumes):
    """Figures that make careless code divide by nothing, count to the end of the world, or go round in circles."""
    poke(volumes["ext4"], 1024 + 0x28, struct.pack("<I", 0))  # inodes in a group: none
    poke(volumes["xfs"], 88, struct.pack(">I", 0xFFFFFFFF))  # allocation groups
    poke(volumes["btrfs"], 65536 + 0x94, struct.pack("<I", 0))  # node size
    poke(volumes["ntfs"], 0x0D, b"\0")  # sectors in a cluster: none
    poke(volumes["ntfs"], 0x40, b"\x81")  # size of a file record: 2 to the 127th
    poke(volumes["vfat"], 0x0D, b"\0")
    poke(volumes["swap"], 1028, struct.pack("<II", 0xFFFFFFFF, 0xFFFFFFFF))  # last page, bad pages
    poke(volumes["lvm"], 4096 + 512, b"{" * 65536)  # its description, in brackets without end
    poke(volumes["luks"], 4096, b"[" * 8192)
    # An extended partition whose first logical one is followed by itself, for ever; and a table whose entries reach out of
    # the volume and lie on each other.
    circle = blank(volumes["ext4"].with_name("circle"), 64)
    run(
        "sfdisk",
        "--quiet",
        circle,
        data=b"label: dos\nstart=1MiB, size=60MiB, type=5\nstart=2MiB, size=4MiB, type=83\n",
    )
    poke(circle, MIB + 446 + 16, struct.pack("<B3sB3sII", 0, b"", 5, b"", 0, 8192))
    overlapping = blank(volumes["ext4"].with_name("overlapping"), 64)
    entries = b"".join(struct.pack("<B3sB3sII", 0x80, b"", 0x83, b"", 1, 0xFFFFFFFE) for _ in range(4))
    poke(overlapping, 446, entries + b"\x55\xaa")
    volumes |= {"circle": circle, "overlapping": overlapping}


def poke(path, offset, data):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def finish(volumes, directory, cache):
    """What the capture is told, or the error; and how long that took."""
    overlays = {target: directory / f"{target}.qcow2" for target in targets(volumes)}
    for path, overlay in zip(volumes.values(), overlays.values(), strict=True):
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", path, "-F", "raw", overlay)
    begun = time.monotonic()
    try:
        told = appliance.finish(
            appliance.Job(drives=tuple(appliance.Drive(target=target, overlay=path) for target, path in overlays.items())),
            is_kvm_usable=False, work_directory=directory / "work", deadline_seconds=DEADLINE_SECONDS,
            check_cancelled=lambda: None, cache_directory=cache,
        )  # fmt: skip
    except errors.ApplianceFailed as error:
        told = error
    return told, time.monotonic() - begun


def targets(volumes):
    return [f"vd{chr(ord('a') + nth)}" for nth in range(len(volumes))]


def processes_of(directory):
    """Those that have the directory in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue
        if str(directory).encode() in words and int(entry.parent.name) != os.getpid():
            found.append(words)
    return found


@pytest.mark.parametrize("harm", [truncated, damaged, crafted], ids=lambda harm: harm.__name__)
def test_every_kind_harmed_is_answered_in_time_and_left_alone(sound, tmp_path, appliance_cache, harm):
    volumes = copied(sound, tmp_path)
    harm(volumes)
    told, seconds = finish(volumes, tmp_path, appliance_cache)
    assert seconds < DEADLINE_SECONDS
    assert processes_of(tmp_path) == []
    assert not isinstance(told, errors.ApplianceFailed), str(told)
    assert told.sealing.why_not
    assert not told.is_overlay_usable
    assert [each.target for each in told.layout.volumes] == targets(volumes)


def harm_directories(path):
    """A directory that lies in itself, which no honest file system has."""
    run("debugfs", "-w", "-R", "link /var /var/log/again", path)


def harm_files(path):
    """Where files should be: a pipe nobody writes to, a device, a file without an end, a link round in a circle."""
    script = path.with_name("commands")
    script.write_text(
        "rm /etc/hostname\nrm /etc/machine-id\nrm /etc/passwd\nrm /etc/fstab\ncd /etc\nmknod hostname p\nmknod fstab p\n"
        f"mknod machine-id c 1 5\nsymlink passwd passwd\nset_inode_field debian_version size {1 << 43}\n"
    )
    run("debugfs", "-w", "-f", script, path)


@pytest.mark.parametrize("harm", [harm_directories, harm_files], ids=lambda harm: harm.__name__)
def test_a_guest_that_sets_traps_is_answered_in_time_and_not_sealed(sound, tmp_path, appliance_cache, harm):
    volumes = {"ext4": copied(sound, tmp_path)["ext4"]}
    harm(volumes["ext4"])
    told, seconds = finish(volumes, tmp_path, appliance_cache)
    assert seconds < DEADLINE_SECONDS
    assert processes_of(tmp_path) == []
    assert not isinstance(told, errors.ApplianceFailed), str(told)
    assert told.sealing.why_not
    assert not told.is_overlay_usable
