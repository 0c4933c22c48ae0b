"""The contract of guest.base.Appliance, on a guest in memory and on one mounted in a real appliance.

Both are made with the same content:

/etc/hostname  "source\\n"           /etc/empty/           /abs -> /etc   /rel -> etc   /etc/dangling -> nowhere
/var/log/a.log /var/log/deep/b.log   /var/log/.hidden      /var/log/link.log -> a.log
/logs -> /var/log                    /etc/latin            a file with bytes that are not UTF-8
"""

import subprocess

import pytest

from estampe import errors
from estampe.guest import base, memory, mounted

SIZE = 4 << 20
FILES = {
    "/etc/hostname": "source\n",
    "/etc/latin": "\N{REPLACEMENT CHARACTER}t\N{REPLACEMENT CHARACTER}",
    "/var/log/a.log": "a",
    "/var/log/deep/b.log": "b",
    "/var/log/.hidden": "c",
}
LINKS = {
    "/abs": "/etc",
    "/rel": "etc",
    "/etc/dangling": "nowhere",
    "/var/log/link.log": "a.log",
    "/logs": "/var/log",
    "/out": "../../../etc",
}


def in_memory():
    appliance = memory.MemoryAppliance(FILES, links=LINKS)
    appliance.make_directory("/etc/empty")
    return appliance


def make_tree(root):
    for path, text in FILES.items():
        file = root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\xe9t\xe9" if path == "/etc/latin" else text.encode())
    (root / "etc/empty").mkdir()
    for path, target in LINKS.items():
        (root / path[1:]).symlink_to(target)


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    """One launched appliance for the module: /dev/sda has the content, and each test gets a copy of it as /dev/sdb."""
    guestfs = pytest.importorskip("guestfs")
    directory = tmp_path_factory.mktemp("contract")
    make_tree(directory / "tree")
    made, scratch = directory / "made", directory / "scratch"
    made.write_bytes(bytes(SIZE))
    scratch.write_bytes(bytes(SIZE))
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", directory / "tree", made], check=True, timeout=60)
    launched = guestfs.GuestFS(python_return_dict=True)
    launched.set_backend("direct")
    launched.set_backend_settings(["force_tcg"])
    launched.set_memsize(512)
    launched.add_drive_opts(str(made), format="raw", readonly=True)
    launched.add_drive_opts(str(scratch), format="raw")
    launched.launch()
    yield launched
    launched.close()


@pytest.fixture(
    params=["memory", pytest.param("real", marks=[pytest.mark.requires_appliance, pytest.mark.timeout(300)])]
)
def appliance(request):
    if request.param == "memory":
        yield in_memory()
        return
    handle = request.getfixturevalue("handle")
    handle.copy_device_to_device("/dev/sda", "/dev/sdb")
    handle.mount("/dev/sdb", "/")
    yield mounted.MountedGuest(handle)
    handle.umount_all()


def test_it_is_an_appliance(appliance):
    checked: base.Appliance = appliance
    assert checked.exists("/")


@pytest.mark.parametrize(
    ("path", "exists", "is_file", "is_dir", "is_link"),
    [
        ("/etc/hostname", True, True, False, False),
        ("/etc/empty", True, False, True, False),
        ("/abs", True, False, True, True),
        ("/abs/hostname", True, True, False, False),
        ("/rel/hostname", True, True, False, False),
        ("/out/hostname", True, True, False, False),
        ("/var/log/link.log", True, True, False, True),
        ("/etc/dangling", True, False, False, True),
        ("/etc/nothing", False, False, False, False),
        ("/nowhere/nothing", False, False, False, False),
    ],
)
def test_what_a_path_is(appliance, path, exists, is_file, is_dir, is_link):
    found = (appliance.exists(path), appliance.is_file(path), appliance.is_dir(path), appliance.is_link(path))
    assert found == (exists, is_file, is_dir, is_link)


def test_reading_follows_links_and_survives_any_bytes(appliance):
    assert appliance.read("/abs/hostname") == "source\n"
    assert appliance.read("/etc/latin") == FILES["/etc/latin"]


def test_writing_replaces_and_makes_files(appliance):
    appliance.write("/rel/hostname", "new")
    appliance.write("/etc/empty/made", "é\n")
    assert appliance.read("/etc/hostname") == "new"
    assert appliance.read("/etc/empty/made") == "é\n"


@pytest.mark.parametrize("path", ["/etc/empty", "/etc/nothing", "/nowhere/nothing"])
def test_reading_what_is_no_file_fails(appliance, path):
    with pytest.raises(errors.ApplianceFailed):
        appliance.read(path)


@pytest.mark.parametrize("path", ["/etc/empty", "/nowhere/file"])
def test_writing_where_no_file_can_be_fails(appliance, path):
    with pytest.raises(errors.ApplianceFailed):
        appliance.write(path, "x")


def test_truncating_empties_a_file_and_makes_none(appliance):
    appliance.truncate("/abs/hostname")
    appliance.truncate("/etc/nothing")
    assert appliance.read("/etc/hostname") == ""
    assert not appliance.exists("/etc/nothing")


def test_removing_a_link_leaves_what_it_points_to(appliance):
    appliance.remove("/var/log/link.log")
    appliance.remove("/abs")
    assert appliance.read("/var/log/a.log") == "a"
    assert appliance.read("/etc/hostname") == "source\n"
    assert not appliance.exists("/abs")


def test_removing_through_an_absolute_link_removes_inside_the_guest(appliance):
    appliance.remove("/logs/deep")
    appliance.remove("/abs/hostname")
    assert not appliance.exists("/var/log/deep/b.log")
    assert not appliance.exists("/etc/hostname")


def test_removing_what_is_not_there_is_fine(appliance):
    appliance.remove("/etc/nothing")
    appliance.remove("/nowhere/nothing")
    appliance.remove("/etc/dangling")
    assert not appliance.exists("/etc/dangling")


def test_directories_are_made_with_their_parents(appliance):
    appliance.make_directory("/new/a/b")
    appliance.make_directory("/new/a/b")
    assert appliance.is_dir("/new/a/b")


def test_a_link_replaces_a_file_or_link_and_no_directory(appliance):
    appliance.link("/abs/hostname", "/var/log/a.log")
    assert appliance.read("/etc/hostname") == "a"
    appliance.link("/etc/hostname", "latin")
    assert appliance.read("/etc/hostname") == FILES["/etc/latin"]
    with pytest.raises(errors.ApplianceFailed):
        appliance.link("/etc/empty", "/etc")


def test_globs_skip_hidden_names_and_are_told_once_in_order(appliance):
    found = appliance.glob("/var/log/*", "/var/log/a*", "/etc/dang*", "/etc/nothing*")
    assert found == ["/etc/dangling", "/var/log/a.log", "/var/log/deep", "/var/log/link.log"]
    assert appliance.glob("/var/log/.[!.]*") == ["/var/log/.hidden"]
    assert appliance.glob("/logs/a.log", "/nowhere/*") == ["/logs/a.log"]
    assert appliance.glob("/var/log/dee?") == ["/var/log/deep"]


def test_files_are_found_below_and_links_are_not_followed(appliance):
    assert appliance.files("/var/log") == ["/var/log/.hidden", "/var/log/a.log", "/var/log/deep/b.log"]
    assert appliance.files("/logs") == ["/logs/.hidden", "/logs/a.log", "/logs/deep/b.log"]
    assert appliance.files("/etc/hostname") == []
    assert appliance.files("/nowhere") == []
