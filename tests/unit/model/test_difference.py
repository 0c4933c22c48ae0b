"""What is different between two templates, from manifests and inventories made for it."""

import dataclasses
import datetime
import uuid

import pytest

from estampe.model import chunk, configuration, difference, guest, inventory, layout, manifest

MIB = 1 << 20
ADDED, REMOVED, CHANGED = difference.Kind.ADDED, difference.Kind.REMOVED, difference.Kind.CHANGED


def recorded(**changes):
    known = configuration.Configuration(
        name="web-01", domain_uuid="u", architecture="x86_64", machine="pc-q35-7.2", cpus=2, memory_bytes=1 << 31,
        cpu_mode="host-model", cpu_model=None, firmware=configuration.Firmware.BIOS, has_secure_boot=False,
        has_agent_channel=True, volumes=(configuration.VolumeConfiguration(
            target="vda", bus="virtio", size_bytes=100 * MIB, format=configuration.VolumeFormat.QCOW2),),
        interfaces=(configuration.InterfaceConfiguration(mac="52:54:00:00:00:01", kind="network", source="default", model="virtio"),),
        left_out=(), domain_xml="<domain/>",
    )  # fmt: skip
    return dataclasses.replace(known, **changes)


def a_guest(**changes):
    known = guest.Guest(
        kind="linux", distribution="debian", version="12.5", product="Debian 12", hostname="web", root_device="vda1",
        file_systems=(guest.FileSystem(
            device="vda1", kind="ext4", size_bytes=90 * MIB, used_bytes=MIB, mount_point="/", uuid="u", label=None),),
        has_cloud_init=True, has_guest_agent=True, can_grow_root=True, package_count=3, network="ifupdown",
    )  # fmt: skip
    return dataclasses.replace(known, **changes)


def a_layout(*, size_bytes=90 * MIB, free_bytes=0):
    root = layout.Partition(
        number=1, start_bytes=MIB, size_bytes=size_bytes, type="0x83", name=None, is_bootable=True, is_logical=False,
        content="ext4",
    )  # fmt: skip
    volume = layout.VolumeLayout(
        target="vda", size_bytes=100 * MIB, sector_size_bytes=512, table=layout.TableKind.MBR, partitions=(root,), content=None
    )  # fmt: skip
    data = layout.LogicalVolume(name="data", size_bytes=8 * MIB, kind="linear", content="xfs")
    group = layout.VolumeGroup(
        name="vg0", extent_size_bytes=4, free_bytes=free_bytes, physical_volumes=("vdb",), logical_volumes=(data,)
    )
    return layout.Layout(volumes=(volume,), groups=(group,))


def listed(**changes):
    known = inventory.Inventory(
        packages=(
            inventory.Package(name="kernel", version="6.1", architecture=""),
            inventory.Package(name="openssl", version="3.0.14", architecture="amd64"),
        ),
        users=(inventory.User(name="root", uid=0, shell="/bin/bash"),),  # noqa: S604 - an account has one
        services=("ssh.service",),
        files={"/etc/hosts": "aa", "/etc/motd": "bb"},
    )
    return dataclasses.replace(known, **changes)


def side(name="web@1", *, lists=listed, **changes):
    made = manifest.Manifest(**{
        "template_id": uuid.UUID(int=1), "owner_id": uuid.UUID(int=2), "name": "web", "version": 1,
        "created_at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "chunk_size_bytes": MIB,
        "configuration": recorded(), "nvram": None, "guest": a_guest(), "layout": a_layout(),
        "sealing": guest.Sealing(is_sealed=True, why_not=None, actions=(), trimmed_bytes=0),
        "volumes": (manifest.ManifestVolume(target="vda", size_bytes=100 * MIB, table=chunk.ChunkTable([])),),
        **changes,
    })  # fmt: skip
    return difference.Side(name=name, manifest=made, inventory=lists() if lists else None)


def changes(found):
    return [(each.kind, each.what, each.before, each.after) for each in found]


def test_a_template_is_not_different_from_itself():
    found = difference.compare(side(), side("web@2"))
    assert not any(getattr(found, each.name) for each in dataclasses.fields(found))


def test_what_differs_from_server_to_server_anyway_is_no_difference():
    other = recorded(name="b", domain_uuid="v", interfaces=(dataclasses.replace(recorded().interfaces[0], mac="x"),))
    found = difference.compare(side(), side(configuration=other, guest=a_guest(hostname="b")))
    assert (found.configuration, found.volumes) == ((), ())


def test_the_configuration_is_compared_as_people_read_it():
    after = side(
        configuration=recorded(memory_bytes=1 << 32, firmware=configuration.Firmware.UEFI, interfaces=()),
        guest=a_guest(network="netplan", seed_reader="cloud-init"),
    )
    assert changes(difference.compare(side(), after).configuration) == [
        (CHANGED, "firmware", "bios", "uefi"),
        (REMOVED, "interface 0", "network, default, virtio", None),
        (CHANGED, "memory", "2 GiB", "4 GiB"),
        (CHANGED, "network by", "ifupdown", "netplan"),
        (ADDED, "seed reader", None, "cloud-init"),
    ]


def test_volumes_are_compared_with_what_is_on_them():
    found = difference.compare(side(), side(layout=a_layout(size_bytes=80 * MIB), guest=a_guest(file_systems=())))
    assert changes(found.volumes) == [
        (CHANGED, "vda1", "ext4, 90 MiB, at 1 MiB, mounted at /", "ext4, 80 MiB, at 1 MiB")
    ]
    found = difference.compare(side(layout=None), side())
    assert changes(found.volumes) == [
        (CHANGED, "vda", "100 MiB, virtio, qcow2", "100 MiB, virtio, qcow2, mbr"),
        (CHANGED, "vda1", "mounted at /", "ext4, 90 MiB, at 1 MiB, mounted at /"),
        (ADDED, "vg0", None, "group of vdb"),
        (ADDED, "vg0/data", None, "xfs, 8 MiB, linear"),
    ]


def test_lists_are_compared_by_name():
    def newer():
        return listed(
            packages=(
                inventory.Package(name="kernel", version="6.2", architecture=""),
                inventory.Package(name="kernel", version="6.1", architecture=""),
                inventory.Package(name="nginx", version="1", architecture="amd64"),
            ),
            users=(*listed().users, inventory.User(name="ana", uid=1000, shell="/bin/zsh")),  # noqa: S604 - an account has one
            services=(),
            files={"/etc/hosts": "aa", "/etc/motd": "cc"},
        )

    found = difference.compare(side(), side("web@2", lists=newer))
    assert changes(found.packages) == [
        (CHANGED, "kernel", "6.1", "6.1, 6.2"), (ADDED, "nginx:amd64", None, "1"), (REMOVED, "openssl:amd64", "3.0.14", None),
    ]  # fmt: skip
    assert changes(found.users) == [(ADDED, "ana", None, "1000, /bin/zsh")]
    assert changes(found.services) == [(REMOVED, "ssh.service", "enabled", None)]
    assert changes(found.files) == [(CHANGED, "/etc/motd", "bb", "cc")]
    assert found.not_compared == ()


@pytest.mark.parametrize("is_turned", [False, True])
def test_what_is_not_known_of_both_is_not_compared_and_told(is_turned):
    sides = [side("web@1", lists=None), side("web@2", guest=None)]
    found = difference.compare(*(reversed(sides) if is_turned else sides))
    assert (found.packages, found.files) == ((), ())
    assert [each.what for each in found.not_compared] == ["packages", "users", "services", "files"]
    assert all(each.why.startswith("web@1 has no inventory") for each in found.not_compared)


def test_a_list_that_was_cut_is_not_compared():
    found = difference.compare(side(), side("web@2", lists=lambda: listed(files={}, cut=("files",))))
    assert found.files == ()
    assert found.not_compared == (
        difference.NotCompared(what="files", why="web@2 has more of them than were recorded"),
    )
