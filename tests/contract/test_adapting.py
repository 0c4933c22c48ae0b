"""New servers' volumes from the store to the last byte: store, export, overlays, one launch for two servers, and what it changed applied.

template  vda | none: ext4 with root, a guest of files alone |   vdb | ext4, 256 MiB, made smaller |   vdc | ext4, left out |
servers   vda larger, vdb smaller, vdd new: ext4 on /srv; "new" and "other" differ in their configuration alone
"""

import dataclasses
import datetime
import subprocess
import uuid
from pathlib import Path

import pytest

from estampe.block import file
from estampe.deploy import adapting, adjusting, hydrate
from estampe.deploy import request as requests
from estampe.deploy import resolved as decisions
from estampe.guest import base as guest
from estampe.model import adjustment, chunk, configuration, final, manifest
from estampe.model import guest as guests
from estampe.model import layout as layouts
from estampe.store import chunks, local

pytestmark = [pytest.mark.requires_appliance, pytest.mark.requires_qemu, pytest.mark.timeout(1500)]

MIB = 1 << 20
SERVERS = ("new", "other")
WISHES = {
    "new": final.FinalConfiguration(
        instance_id="1", hostname="new", users=(final.User(name="ada", ssh_keys=("ssh-ed25519 AAAA ada",)),)
    ),
    "other": final.FinalConfiguration(instance_id="2", hostname="other"),
}
SIZES = {"vda": (64, 160), "vdb": (256, 128), "vdd": (0, 64)}  # (template's, server's), in MiB
FILES = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n',
    "etc/debian_version": "12.5\n",
    "etc/fstab": "UUID=aaaaaaaa-0000-0000-0000-00000000000a / ext4 defaults 0 1\n"
    "UUID=aaaaaaaa-0000-0000-0000-00000000000c /old ext4 defaults 0 2\n",
    "etc/hostname": "source\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 source\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "etc/network/interfaces": "auto lo\niface lo inet loopback\n",
    "usr/sbin/ifup": "program\n",
    "usr/lib/systemd/systemd": "program\n",
}
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib"}


@dataclasses.dataclass
class Both:
    """What came of the launch."""

    directory: Path
    made: dict
    adapted: guest.Adapted
    told: list


def run(*argv):
    ran = subprocess.run(
        [str(word) for word in argv],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def make(path, size_mib, tree, letter):
    with path.open("wb") as stream:
        stream.truncate(size_mib * MIB)
    run(
        "mke2fs",
        "-q",
        "-t",
        "ext4",
        "-b",
        "4096",
        "-U",
        f"aaaaaaaa-0000-0000-0000-00000000000{letter}",
        "-d",
        tree,
        path,
    )
    return path


def make_tree(tree):
    for path, text in FILES.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    (tree / "usr/bin").mkdir(exist_ok=True)
    for path, target in LINKS.items():
        (tree / path).symlink_to(target)
    return tree


def stored(store, target, path):
    """The volume in the store."""
    made, plain, runs = chunks.Chunks(store), path.read_bytes(), []
    with store.writer() as writer:
        for index in range(len(plain) // MIB):
            put = made.put(writer, plain[index * MIB : (index + 1) * MIB])
            if put.chunk_id is not None:
                runs.append(chunk.Run(index, put.chunk_id))
        writer.flush()
    return manifest.ManifestVolume(target=target, size_bytes=len(plain), table=chunk.ChunkTable(runs))


def system(device, letter, size_mib, mount_point):
    return guests.FileSystem(
        device=device, kind="ext4", size_bytes=size_mib * MIB, used_bytes=20 * MIB, mount_point=mount_point,
        uuid=f"aaaaaaaa-0000-0000-0000-00000000000{letter}", label=None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory, appliance_cache):
    """The volumes of each server by target, adapted; and what was told."""
    directory = tmp_path_factory.mktemp("adapting")
    store = local.LocalStore.create(directory / "store", chunk_size_bytes=MIB)
    found = template(store, directory)
    request = requests.DeployRequest(
        template="web", name="new", is_shrunk=True, left_out=("vdc",),
        new_volumes=(requests.NewVolumeRequest(name="data", size_bytes=64 * MIB, kind="ext4", mount_point="/srv"),),
    )  # fmt: skip
    sizes = {target: now * MIB for target, (_was, now) in SIZES.items() if target != "vdd"}
    plan = adjusting.decide(request, found, sizes, {"vdd": request.new_volumes[0]}, template="web", is_seeded=False)
    volumes = [
        decisions.ResolvedVolume(
            target=target, bus="virtio", volume_name=target, format=configuration.VolumeFormat.RAW, size_bytes=now * MIB,
            serial=None, boot_order=None, is_new=was == 0,
        )
        for target, (was, now) in SIZES.items()
    ]  # fmt: skip
    adapter = adapting.Adapter(
        store_location=str(directory / "store"), is_kvm_usable=lambda: False, cache_directory=appliance_cache, threads=2
    )
    place = adapting.Place(directory=directory / "place", sockets=directory / "s")
    adaptation = adjustment.Adaptation(
        actions=tuple(plan.actions),
        configurations=tuple(adjustment.Configuring(server=name, wish=WISHES[name]) for name in SERVERS),
    )
    told = []
    adapted = adapter.adapt(found, volumes, adaptation, place=place, check_cancelled=lambda: None, tell=told.append)
    made = {}
    for name in SERVERS:
        (directory / name).mkdir()
        made[name] = {volume.target: hydrated(store, found, volume, directory / name) for volume in volumes}
        for _twice in range(2):  # the second time changes nothing
            for volume in volumes:
                with file.FileWriter(str(made[name][volume.target]), is_zeroed=True) as writer:
                    adapter.apply(
                        place.layers(volume.target, name, adaptation), writer, sockets=place.sockets,
                        advance=lambda _n: None, check_cancelled=lambda: None,
                    )  # fmt: skip
    return Both(directory, made, adapted, told)


@pytest.fixture(params=SERVERS)
def server(request, both):
    """One of the servers' volumes by target."""
    return both.made[request.param]


def template(store, directory):
    tree = make_tree(directory / "tree")
    (directory / "data").mkdir()
    (directory / "data/kept").write_bytes(b"kept" * MIB)
    volumes = tuple(
        stored(store, target, make(directory / f"{target}.source", size, content, letter))
        for target, size, content, letter in (
            ("vda", 64, tree, "a"), ("vdb", 256, directory / "data", "b")
        )
    )  # fmt: skip
    laid_out = tuple(
        layouts.VolumeLayout(
            target=target, size_bytes=size * MIB, sector_size_bytes=512, table=layouts.TableKind.NONE, partitions=(),
            content="ext4",
        )
        for target, size in (("vda", 64), ("vdb", 256), ("vdc", 16))
    )  # fmt: skip
    guest = guests.Guest(
        kind="linux", distribution="debian", version="12.5", product="Debian", hostname="source", root_device="vda",
        file_systems=(system("vda", "a", 64, "/"), system("vdb", "b", 256, None), system("vdc", "c", 16, "/old")),
        has_cloud_init=False, has_guest_agent=False, can_grow_root=False, package_count=0,
    )  # fmt: skip
    return manifest.Manifest(
        template_id=uuid.UUID(int=1), owner_id=uuid.UUID(int=1), name="web", version=1,
        created_at=datetime.datetime.now(datetime.UTC), chunk_size_bytes=MIB, configuration=None, nvram=None, guest=guest,
        sealing=None, volumes=volumes, layout=layouts.Layout(volumes=laid_out, groups=()),
    )  # fmt: skip


def hydrated(store, found, volume, directory):
    path = directory / f"{volume.target}.raw"
    with path.open("wb") as stream:
        stream.truncate(volume.size_bytes)
    source = found.find_volume(volume.target)
    if source is not None:
        hydrator = hydrate.Hydrator(
            chunks=chunks.Chunks(store), chunk_size_bytes=MIB, threads=2, advance=lambda _n: None,
            check_cancelled=lambda: None,
        )  # fmt: skip
        with file.FileWriter(str(path), is_zeroed=True) as writer:
            hydrator.hydrate(source.table, [writer], size_bytes=source.size_bytes)
    return path


def cat(path, name):
    return run("debugfs", "-R", f"cat {name}", path)


def blocks(path):
    told = dict(line.split(":", 1) for line in run("dumpe2fs", "-h", path).splitlines() if ":" in line)
    return int(told["Block count"]) * int(told["Block size"])


@pytest.mark.parametrize("target", SIZES)
def test_every_file_system_is_sound_and_as_large_as_its_volume(server, target):
    path = server[target]
    run("e2fsck", "-fn", path)
    assert blocks(path) == SIZES[target][1] * MIB == path.stat().st_size


def test_the_guest_knows_its_new_volume_and_waits_for_none_that_is_gone(server):
    fstab = cat(server["vda"], "/etc/fstab").splitlines()
    uuid_of_new = run("blkid", "-o", "value", "-s", "UUID", server["vdd"]).strip()
    assert fstab == [
        "UUID=aaaaaaaa-0000-0000-0000-00000000000a / ext4 defaults 0 1",
        "# not on this server: UUID=aaaaaaaa-0000-0000-0000-00000000000c /old ext4 defaults 0 2",
        f"UUID={uuid_of_new} /srv ext4 defaults,nofail 0 2",
    ]
    assert "directory" in run("debugfs", "-R", "stat /srv", server["vda"])


@pytest.mark.parametrize("name", SERVERS)
def test_each_servers_final_configuration_is_written_and_told(both, name):
    assert cat(both.made[name]["vda"], "/etc/hostname") == f"{name}\n"
    assert [(change.detail, change.outcome) for change in both.adapted.changes[name] if change.what == "host name"] == [
        (f"{name} (/etc/hostname)", final.Outcome.DONE)
    ]


def test_one_launch_did_both_and_neither_has_anything_of_the_other(both):
    assert both.told.count("starting the appliance") == 1
    assert [what for what in both.told if what.startswith("configuring")] == ["configuring new", "configuring other"]
    volumes = {name: both.made[name]["vda"] for name in SERVERS}
    assert "ada:" in cat(volumes["new"], "/etc/passwd")
    assert "ada:" not in cat(volumes["other"], "/etc/passwd")
    assert b"AAAA ada" in volumes["new"].read_bytes()
    assert b"AAAA ada" not in volumes["other"].read_bytes()


def test_what_was_moved_together_is_what_it_was(server):
    assert cat(server["vdb"], "/kept") == "kept" * MIB


def test_nothing_of_the_launch_is_left(both):
    assert list((both.directory / "s").iterdir()) == []
    assert not (both.directory / "place/appliance-tmp").exists()
