"""The inventory of a guest, from its files in memory and from tar streams."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from estampe import errors
from estampe.guest import base, inventory, memory, tree_digests
from estampe.model import inventory as inventories

ESCAPE = "\x1b[31m"
PASSWD = f"""\
root:x:0:0:root:/root:/bin/bash
www-data:x:33:33::/var/www:/usr/sbin/nologin
broken line
{ESCAPE}:x:1000:1000::/home/x:/bin/sh
ana:$y$hash:1001:1001::/home/ana:/bin/zsh
"""


class Handle:
    """Answers as libguestfs' inspection does."""

    def __init__(self, *found):
        self.found = found

    def inspect_list_applications2(self, _root):
        if not self.found:
            raise RuntimeError("no database")
        return [
            {
                "app2_name": name,
                "app2_version": version,
                "app2_release": release,
                "app2_epoch": epoch,
                "app2_arch": arch,
            }
            for name, version, release, epoch, arch in self.found
        ]


def test_packages_are_told_with_whole_versions_in_order():
    handle = Handle(("b", "1.0", "2", 0, "amd64"), (f"a{ESCAPE}", "3.1", "", 1, "all"))
    assert inventory.packages(handle, "/dev/sda1") == (
        inventories.Package(name="a\N{REPLACEMENT CHARACTER}[31m", version="1:3.1", architecture="all"),
        inventories.Package(name="b", version="1.0-2", architecture="amd64"),
    )
    assert inventory.packages(Handle(), "/dev/sda1") == ()


def take(files, *, init="systemd", packages=(), **more):
    return inventory.take(memory.MemoryAppliance(files, **more), packages, init=init)


def test_users_are_told_without_their_passwords():
    users = take({"/etc/passwd": PASSWD}).users
    assert [(each.uid, each.name, each.shell) for each in users] == [
        (0, "root", "/bin/bash"), (33, "www-data", "/usr/sbin/nologin"),
        (1000, "\N{REPLACEMENT CHARACTER}[31m", "/bin/sh"), (1001, "ana", "/bin/zsh"),
    ]  # fmt: skip
    assert b"hash" not in inventories.encode(take({"/etc/passwd": PASSWD}))


@pytest.mark.parametrize(
    ("init", "services"),
    [
        ("systemd", ("cron.service", "ssh.service")),
        ("sysvinit", ("cron", "networking")),
        ("openrc", ("sshd",)),
        ("runit", ("dhcpcd",)),
        ("rc", ("sshd",)),
        ("unknown", ()),
    ],
)
def test_enabled_services_are_those_of_the_init_that_runs(init, services):
    wants = "/etc/systemd/system"
    links = {
        f"{wants}/multi-user.target.wants/ssh.service": "/lib/systemd/system/ssh.service",
        f"{wants}/basic.target.requires/cron.service": "/lib/systemd/system/cron.service",
        "/etc/rc2.d/S01cron": "../init.d/cron",
        "/etc/rc3.d/S02cron": "../init.d/cron",
        "/etc/rc3.d/S03networking": "../init.d/networking",
        "/etc/rc6.d/K01cron": "../init.d/cron",
        "/etc/runlevels/default/sshd": "/etc/init.d/sshd",
        "/etc/service/dhcpcd": "/etc/sv/dhcpcd",
    }
    assert take({"/etc/rc.conf": 'sshd_enable="YES"\n'}, links=links, init=init).services == services


def test_files_under_etc_are_told_by_digest_and_never_by_content():
    taken = take({"/etc/shadow": "root:secret", "/etc/a/b": "x", "/usr/x": ""}, links={"/etc/lnk": "/a"})
    assert taken.files == {
        "/etc/shadow": hashlib.sha256(b"root:secret").hexdigest(),
        "/etc/a/b": hashlib.sha256(b"x").hexdigest(),
        "/etc/lnk": hashlib.sha256(b"/a").hexdigest(),
    }
    assert b"secret" not in inventories.encode(taken)
    assert taken.cut == ()


def test_lists_that_are_too_long_are_cut_and_that_is_told():
    package = inventories.Package(name="a", version="1", architecture="")
    passwd = "".join(f"u{nth}:x:{nth}:1::/:/bin/sh\n" for nth in range(inventories.MOST_USERS + 1))
    taken = take({"/etc/passwd": passwd}, packages=[package] * (inventories.MOST_PACKAGES + 1))
    assert (len(taken.packages), len(taken.users)) == (inventories.MOST_PACKAGES, inventories.MOST_USERS)
    assert taken.cut == ("packages", "users")


def test_an_inventory_survives_its_bytes_and_equal_ones_are_equal_bytes():
    taken = take({"/etc/passwd": PASSWD, "/etc/b": "", "/etc/a": ""})
    assert inventories.decode(inventories.encode(taken)) == taken
    again = take({"/etc/a": "", "/etc/b": "", "/etc/passwd": PASSWD})
    assert inventories.encode(again) == inventories.encode(taken)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"packages": 3}', b"\xff", b'{"users": []}'])
def test_hostile_bytes_are_no_inventory(data):
    with pytest.raises(ValueError, match=r"\S"):
        inventories.decode(data)


class Zeros(io.RawIOBase):
    """A file that never ends."""

    def read(self, size=-1):
        return bytes(size)


def tar_member(name, content, kind):
    member = tarfile.TarInfo(name)
    member.type = kind
    if kind != tarfile.REGTYPE:
        member.linkname = content
        return member, None
    member.size = content if isinstance(content, int) else len(content)
    return member, Zeros() if isinstance(content, int) else io.BytesIO(content)


def sender(*members, tail=b""):
    """Writes a tar of (name, content or length or link's target, kind) into the file it is given."""

    def send(path):
        try:
            with Path(path).open("wb", buffering=0) as out:
                with tarfile.open(fileobj=out, mode="w|") as tar:
                    for each in members:
                        tar.addfile(*tar_member(*each))
                out.write(tail)
        except BrokenPipeError as error:
            raise RuntimeError("the other side went away") from error

    return send


def test_a_tar_stream_is_read_whole_with_its_links():
    told = tree_digests.read(
        sender(
            ("./", "", tarfile.DIRTYPE), ("./b", b"x" * 300_000, tarfile.REGTYPE), ("./c", "./b", tarfile.LNKTYPE),
            ("./d", "/a", tarfile.SYMTYPE), ("./pipe", "", tarfile.FIFOTYPE), (f"./{ESCAPE}", b"", tarfile.REGTYPE),
            tail=bytes(200_000),
        ),
        "/etc",
    )  # fmt: skip
    digest = hashlib.sha256(b"x" * 300_000).hexdigest()
    assert told == base.Digests(
        by_path={
            "/etc/b": digest, "/etc/c": digest, "/etc/d": hashlib.sha256(b"/a").hexdigest(),
            "/etc/\N{REPLACEMENT CHARACTER}[31m": hashlib.sha256().hexdigest(),
        }
    )  # fmt: skip


def test_a_file_without_end_ends_the_reading_and_is_told():
    told = tree_digests.read(
        sender(("./a", b"1", tarfile.REGTYPE), ("./b", base.MOST_DIGESTED_BYTES, tarfile.REGTYPE)), "/etc"
    )
    assert (list(told.by_path), told.is_cut) == (["/etc/a"], True)


def test_what_is_no_tar_and_what_breaks_off_are_errors():
    def noise(path):
        Path(path).write_bytes(b"\x01" * 10_000)

    def breaks(_path):
        raise RuntimeError("tar_out: no such directory")

    with pytest.raises(errors.ApplianceFailed, match="/etc could not be read"):
        tree_digests.read(noise, "/etc")
    with pytest.raises((errors.ApplianceFailed, RuntimeError)):
        tree_digests.read(breaks, "/etc")
