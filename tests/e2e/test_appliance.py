"""Finishing a copy for real: store, export, overlay and one launch of the appliance.

captured volume   | GPT | swap 16 MiB | ext4 root: an operating system's files, and 24 MiB of a deleted one |
"""

import contextlib
import hashlib
import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from estampe.export import nbdkit
from estampe.guest import appliance, overlay
from estampe.model import chunk, extent
from estampe.store import chunks, local

# The main job seals a real guest in every test run; what sealing and trimming do to each byte is looked at here.
pytestmark = [
    pytest.mark.every_guest, pytest.mark.requires_appliance, pytest.mark.requires_qemu, pytest.mark.timeout(600),
]  # fmt: skip

MIB = 1 << 20
CHUNK = MIB
SWAP_MIB, ROOT_MIB = 16, 80
KEPT_MIB, DELETED_MIB = 4, 24
ROOT_START = (1 + SWAP_MIB) * MIB
SIZE = ROOT_START + (ROOT_MIB + 1) * MIB
UUID = "74051553-51ed-462c-95b5-ce53004c8444"
DELETED = b"a secret of a file that was deleted"

FILES = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n',
    "etc/debian_version": "12.5\n",
    "etc/fstab": f"UUID={UUID} / ext4 defaults 0 1\n",
    "etc/hostname": "source\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/ssh/ssh_host_ed25519_key": "secret\n",
    "etc/ssh/ssh_host_ed25519_key.pub": "public\n",
    "etc/cloud/cloud.cfg": "cloud_init_modules: [growpart, resizefs, ssh]\ndatasource_list: [NoCloud]\n",
    "root/.ssh/authorized_keys": "ssh-ed25519 AAAA me\n",
    "data/dhcp/dhclient.leases": "lease\n",
    "var/log/syslog": "lines\n" * 1000,
    "var/lib/cloud/instances/i-1/user-data.txt": "secret\n",
    "var/lib/dpkg/status": "Package: base-files\nStatus: install ok installed\nVersion: 12.4\nArchitecture: amd64\n\n",
    **dict.fromkeys(("usr/bin/cloud-init", "usr/bin/growpart", "usr/sbin/sfdisk", "usr/sbin/resize2fs"), "program\n"),
    "usr/lib/systemd/systemd": "program\n",
}
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "var/lib/dhcp": "/data/dhcp"}


def run(*argv, data=None):
    return subprocess.run([str(word) for word in argv], input=data, check=True, capture_output=True, timeout=120).stdout


def make_tree(tree):
    for path, text in FILES.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    for path, target in LINKS.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).symlink_to(target)
    for directory in ("tmp", "dev", "proc", "usr/share", "home"):
        (tree / directory).mkdir(exist_ok=True, parents=True)
    (tree / "usr/share/kept").write_bytes(random.Random(1).randbytes(KEPT_MIB * MIB))
    (tree / "deleted").write_bytes(
        (DELETED + random.Random(2).randbytes(4096 - len(DELETED))) * (DELETED_MIB * MIB // 4096)
    )
    os.mkfifo(tree / "var/log/pipe")  # a program's, or a trap: whoever opens it waits


def make_volume(directory):
    tree, root, volume = directory / "tree", directory / "root", directory / "volume"
    make_tree(tree)
    run("mke2fs", "-q", "-t", "ext4", "-b", "4096", "-U", UUID, "-L", "root", "-d", tree, root, f"{ROOT_MIB}M")
    run("debugfs", "-w", "-R", "rm deleted", root)
    with volume.open("wb") as file:
        file.truncate(SIZE)
    table = f"label: gpt\nstart=1MiB, size={SWAP_MIB}MiB, type=swap\nstart={1 + SWAP_MIB}MiB, size={ROOT_MIB}MiB, type=linux\n"
    run("sfdisk", "--quiet", volume, data=table.encode())
    swap = directory / "swap"
    swap.write_bytes(bytes(SWAP_MIB * MIB))
    swap.chmod(0o600)
    run("mkswap", swap)
    with volume.open("r+b") as file:
        file.seek(MIB)
        file.write(swap.read_bytes())
        file.seek(ROOT_START)
        file.write(root.read_bytes())
    return volume


@dataclass
class Copy:
    """Volumes' copies in the store, served, with an overlay over each."""

    overlays: tuple[Path, ...]
    finished: Path  # the first overlay and what lies beneath, as one raw file

    def finish(self, directory, cache):
        return appliance.finish(
            appliance.Job(
                drives=tuple(
                    appliance.Drive(target=target, overlay=each)
                    for target, each in zip(("vda", "vdb"), self.overlays, strict=False)
                )
            ),
            is_kvm_usable=False,
            work_directory=directory / "work",
            deadline_seconds=400,
            check_cancelled=lambda: None,
            cache_directory=cache,
        )

    def read_back(self):
        run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", self.overlays[0], self.finished)


def capture(volume, store_path, table_path):
    store = local.LocalStore.create(store_path, chunk_size_bytes=CHUNK)
    made = chunks.Chunks(store, level=1)
    count = chunk.chunk_count(volume.stat().st_size, CHUNK)
    with volume.open("rb") as file, store.writer() as writer, chunk.TableFile(table_path, count, is_new=True) as table:
        for index in range(count):
            table.put(index, made.put(writer, file.read(CHUNK)).chunk_id)
        writer.flush()


@pytest.fixture
def copied(tmp_path):
    """Makes a Copy of volumes."""
    with contextlib.ExitStack() as stack:

        def serve(volume, directory):
            directory.mkdir()
            capture(volume, directory / "store", directory / "table")
            size = volume.stat().st_size
            served = nbdkit.serve(
                str(directory / "store"),
                directory / "table",
                size_bytes=size,
                chunk_size_bytes=CHUNK,
                socket=directory / "s",
            )
            export = stack.enter_context(served)
            overlay.create(directory / "overlay.qcow2", backing_socket=export.socket, size_bytes=size)
            return directory / "overlay.qcow2"

        def copy(*volumes):
            overlays = tuple(serve(volume, tmp_path / f"copy-{nth}") for nth, volume in enumerate(volumes))
            return Copy(overlays, tmp_path / "finished")

        yield copy


def in_root(finished, command):
    """What debugfs says of the finished root file system."""
    return run("debugfs", "-R", command, f"{finished}?offset={ROOT_START}").decode()


def test_a_debian_guest_is_inspected_sealed_and_trimmed(tmp_path, copied, appliance_cache):
    volume = make_volume(tmp_path)
    before = volume.read_bytes()
    copy = copied(volume)
    told = copy.finish(tmp_path, appliance_cache)
    copy.read_back()
    after = copy.finished.read_bytes()

    assert told.sealing.why_not is None
    assert told.is_overlay_usable
    check_guest(told.guest)
    check_layout(told.layout)
    check_inventory(told.inventory)
    assert "emptied /etc/machine-id: the next boot makes a new one" in told.sealing.actions
    assert any("vda1 (swap)" in note for note in told.sealing.notes)

    assert in_root(copy.finished, "cat /etc/machine-id") == ""
    assert in_root(copy.finished, "cat /etc/hostname") == "source\n"
    assert in_root(copy.finished, "cat /root/.ssh/authorized_keys") == FILES["root/.ssh/authorized_keys"]
    assert in_root(copy.finished, "cat /var/log/syslog") == ""
    assert "ssh_host" not in in_root(copy.finished, "ls /etc/ssh")
    assert "dhclient.leases" not in in_root(copy.finished, "ls /data/dhcp")  # found through an absolute link
    assert "pipe" in in_root(copy.finished, "ls /var/log")
    run("e2fsck", "-fn", f"{copy.finished}?offset={ROOT_START}")

    assert DELETED in before
    assert DELETED not in after
    assert random.Random(1).randbytes(KEPT_MIB * MIB)[:MIB] in after
    assert DELETED_MIB * MIB <= told.sealing.trimmed_bytes < (DELETED_MIB + 5) * MIB
    check_changed(overlay.changed(copy.overlays[0]), before, after)
    assert list((tmp_path / "work").glob("appliance-tmp")) == []


def check_guest(guest):
    assert (guest.kind, guest.distribution, guest.version) == ("linux", "debian", "12.5")
    assert guest.product == "Debian GNU/Linux 12 (bookworm)"
    assert (guest.hostname, guest.root_device, guest.package_count) == ("source", "vda2", 1)
    assert (guest.has_cloud_init, guest.has_guest_agent, guest.can_grow_root) == (True, False, True)
    swap, root = guest.file_systems
    assert (swap.device, swap.kind, swap.size_bytes, swap.mount_point) == ("vda1", "swap", SWAP_MIB * MIB, None)
    assert (root.device, root.kind, root.size_bytes, root.mount_point) == ("vda2", "ext4", ROOT_MIB * MIB, "/")
    assert (root.uuid, root.label) == (UUID, "root")
    assert KEPT_MIB * MIB < root.used_bytes < (KEPT_MIB + 12) * MIB


def check_layout(layout):
    (volume,) = layout.volumes
    assert (volume.target, volume.table, volume.content) == ("vda", "gpt", None)
    assert [(each.start_bytes, each.size_bytes, each.content) for each in volume.partitions] == [
        (MIB, SWAP_MIB * MIB, "swap"), (ROOT_START, ROOT_MIB * MIB, "ext4"),
    ]  # fmt: skip


def check_inventory(inventory):
    """As sealing left it: the SSH host keys are gone, the machine-id is empty."""
    assert [(each.name, each.version, each.architecture) for each in inventory.packages] == [
        ("base-files", "12.4", "amd64")
    ]
    assert [(each.name, each.uid, each.shell) for each in inventory.users] == [("root", 0, "/bin/bash")]
    assert inventory.files["/etc/machine-id"] == hashlib.sha256().hexdigest()
    assert "/etc/hostname" in inventory.files
    assert not any("ssh_host" in path for path in inventory.files)


def check_changed(changed, before, after):
    """The ranges name every change; all that is outside is as it was."""
    at = 0
    for each in changed:
        assert before[at : each.offset] == after[at : each.offset]
        if each.kind is extent.Kind.ZERO:
            assert not any(after[each.offset : each.end])
        at = each.end
    assert before[at:] == after[at:]
    data = sum(each.length for each in changed if each.kind is extent.Kind.DATA)
    assert data < 8 * MIB  # metadata and the journal's few blocks


def test_a_file_system_with_errors_and_a_volume_of_noise_are_inspected_and_left_alone(
    tmp_path, copied, appliance_cache
):
    volume, noise = make_volume(tmp_path), tmp_path / "noise"
    run("debugfs", "-w", "-R", "ssv state 2", f"{volume}?offset={ROOT_START}")
    noise.write_bytes(random.Random(3).randbytes(8 * MIB))
    copy = copied(volume, noise)
    told = copy.finish(tmp_path, appliance_cache)
    assert told.guest.hostname == "source"
    assert told.sealing.why_not.startswith("the file system vda2 has errors (")
    assert "fsck" in told.sealing.why_not
    assert [(each.target, each.table, each.content) for each in told.layout.volumes] == [
        ("vda", "gpt", None), ("vdb", "none", "unknown"),
    ]  # fmt: skip
    assert not told.is_overlay_usable
    assert list(overlay.changed(copy.overlays[1])) == []
