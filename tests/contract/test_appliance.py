"""The contract of guest.base.Appliance, on a guest in memory and on one mounted in a real appliance.

Both are made with the same content:

/etc/hostname  "source\\n"           /etc/empty/           /abs -> /etc   /rel -> etc   /etc/dangling -> nowhere
/var/log/a.log /var/log/deep/b.log   /var/log/.hidden      /var/log/link.log -> a.log
/logs -> /var/log                    /etc/latin            a file with bytes that are not UTF-8
/hive          a Windows registry file
"""

import hashlib
import subprocess

import pytest
from tests.support import hive

from estampe import errors
from estampe.guest import base, memory, mounted

SIZE = 8 << 20
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
    appliance = memory.MemoryAppliance(FILES, links=LINKS, registry={"/hive": {r"Setup\State\Name": "bäse"}})
    appliance.make_directory("/etc/empty")
    return appliance


def make_tree(root):
    for path, text in FILES.items():
        file = root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\xe9t\xe9" if path == "/etc/latin" else text.encode())
    (root / "etc/empty").mkdir()
    (root / "hive").write_bytes(hive.hive({"Setup": {"State": {"Name": "bäse"}}}))
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


def test_copying_takes_any_bytes_and_follows_links(appliance):
    appliance.copy("/abs/latin", "/etc/empty/latin")
    appliance.copy("/etc/hostname", "/logs/a.log")
    appliance.copy("/etc/hostname", "/abs/empty/new")
    assert appliance.read("/etc/empty/latin") == FILES["/etc/latin"]
    assert appliance.read("/var/log/a.log") == appliance.read("/etc/empty/new") == "source\n"
    for source, target in (("/etc/nothing", "/etc/x"), ("/etc/empty", "/etc/x"), ("/etc/hostname", "/nowhere/x")):
        with pytest.raises(errors.ApplianceFailed):
            appliance.copy(source, target)


def stat(appliance, path):
    if isinstance(appliance, memory.MemoryAppliance):
        return appliance.given(path)
    found = appliance._handle.statns(path)
    return found["st_mode"] & 0o7777, (found["st_uid"], found["st_gid"])


def test_mode_and_owner_are_given_and_links_followed(appliance):
    appliance.give("/abs/hostname", mode=0o640, owner=(1000, 42))
    appliance.give("/etc/empty", mode=0o700)
    assert stat(appliance, "/etc/hostname") == (0o640, (1000, 42))
    assert stat(appliance, "/etc/empty") == (0o700, (0, 0))
    appliance.write("/etc/hostname", "kept")
    assert stat(appliance, "/etc/hostname") == (0o640, (1000, 42))
    with pytest.raises(errors.ApplianceFailed):
        appliance.give("/etc/nothing", mode=0o600)


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


@pytest.mark.parametrize("directory", ["/etc", "/abs", "/rel"])
def test_digests_are_those_of_the_guests_files_and_links(appliance, directory):
    found = appliance.digests(directory)
    assert not found.is_cut
    latin = found.by_path.pop(f"{directory}/latin")  # its bytes differ between the two: see above
    assert found.by_path == {
        f"{directory}/hostname": hashlib.sha256(b"source\n").hexdigest(),
        f"{directory}/dangling": hashlib.sha256(b"nowhere").hexdigest(),
    }
    assert len(latin) == 64


def test_words_are_found_in_files_targets_and_names(appliance):
    found = appliance.mentions("/etc", ["sour", "nowhere", "hostname", "nothing like it"])
    assert found == base.Mentions(
        by_path={"/etc/hostname": ("sour", "hostname"), "/etc/dangling": ("nowhere",)}, is_cut=False
    )
    assert appliance.mentions("/abs", ["sour"]).by_path == {"/abs/hostname": ("sour",)}
    assert appliance.mentions("/nowhere", ["sour"]) == base.Mentions(by_path={})


def test_bytes_are_read_and_written_as_they_are_and_only_into_what_is_there(appliance):
    assert appliance.read_bytes("/abs/hostname") == b"source\n"
    data = bytes(range(256)) * 4_000
    appliance.write_bytes("/abs/hostname", data)
    assert appliance.read_bytes("/etc/hostname") == data
    for act in (appliance.read_bytes, lambda path: appliance.write_bytes(path, b"")):
        for path in ("/etc/nothing", "/etc/empty"):
            with pytest.raises(errors.ApplianceFailed):
                act(path)
    assert appliance.free_bytes("/etc/hostname") > 0


def test_digests_of_what_is_no_directory_are_none(appliance):
    assert appliance.digests("/etc/hostname") == base.Digests(by_path={})
    assert appliance.digests("/nowhere") == base.Digests(by_path={})


def test_registry_values_are_found_by_their_keys(appliance):
    assert appliance.registry_value("/hive", ("Setup", "State"), "Name") == "bäse"
    assert appliance.registry_value("/hive", ("Setup", "State"), "Other") is None
    assert appliance.registry_value("/hive", ("Setup", "Nowhere"), "Name") is None


@pytest.mark.parametrize("path", ["/etc", "/nowhere"])
def test_what_is_no_registry_file_is_an_error(appliance, path):
    with pytest.raises(errors.ApplianceFailed):
        appliance.registry_value(path, ("Setup",), "Name")
