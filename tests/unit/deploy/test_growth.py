"""Who gets the space of a larger volume, and where everything goes; what is planned is carried out on tables that fdisk judges."""

import dataclasses

import hypothesis
import pytest
from hypothesis import strategies as st
from tests.support import tables

from estampe import errors
from estampe.deploy import growth, placing
from estampe.guest import adjusting
from estampe.guest.tables import reading
from estampe.model import adjustment, final
from estampe.model import guest as guests
from estampe.model import layout as layouts

MIB, GIB = 1024**2, 1024**3
GPT, MBR, NONE = layouts.TableKind.GPT, layouts.TableKind.MBR, layouts.TableKind.NONE
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"


def part(number, start, size, content, *, type=LINUX, is_logical=False):
    """Places in MiB."""
    return layouts.Partition(
        number=number, start_bytes=start * MIB, size_bytes=size * MIB, type=type, name=None, is_bootable=False,
        is_logical=is_logical, content=content,
    )  # fmt: skip


def volume(*partitions, target="vda", size=1024, table=GPT, sector=512, content=None):
    return layouts.VolumeLayout(
        target=target, size_bytes=size * MIB, sector_size_bytes=sector,
        table=table if partitions else NONE, partitions=partitions, content=content,
    )  # fmt: skip


def system(root="vda1", *, can_grow_root=False, file_systems=()):
    return guests.Guest(
        kind="linux", distribution="debian", version="12.5", product="Debian", hostname="web", root_device=root,
        file_systems=file_systems, has_cloud_init=True, has_guest_agent=True, can_grow_root=can_grow_root, package_count=1,
    )  # fmt: skip


def known(*volumes, groups=(), guest=None):
    return growth.Known(layout=layouts.Layout(volumes=volumes, groups=groups), guest=guest or system())


def group(name="vg0", *physical, **logical):
    """Logical volumes by name: (content, kind)."""
    return layouts.VolumeGroup(
        name=name, extent_size_bytes=4 * MIB, free_bytes=0, physical_volumes=physical,
        logical_volumes=tuple(
            layouts.LogicalVolume(name=each, size_bytes=100 * MIB, content=content, kind=kind)
            for each, (content, kind) in logical.items()
        ),
    )  # fmt: skip


def grow(found, sizes=None, **wish):
    sizes = sizes or {each.target: 2 * each.size_bytes for each in found.layout.volumes}
    return growth.plan(found, sizes, growth.Wish(**wish))


def does(plan):
    """Actions in short."""
    return [
        (each.do, getattr(each, "device", None) or getattr(each, "target", None) or f"{each.group}/{each.name}")
        for each in plan.actions
    ]


def left(plan):
    return [(each.what, each.why) for each in plan.changes if each.outcome is final.Outcome.LEFT]


# --- what gets the space ------------------------------------------------------------------------------------------------


def test_a_root_that_comes_last_and_grows_by_itself_is_left_to_the_first_boot():
    plan = grow(known(volume(part(1, 1, 900, "ext4")), guest=system(can_grow_root=True)), is_seeded=True)
    assert plan.actions == []
    (change,) = plan.changes
    assert (change.what, change.means, change.outcome) == ("vda1", final.Means.FIRST_BOOT, final.Outcome.DONE)


@pytest.mark.parametrize(
    ("wish", "can_grow_root"),
    [({"is_seeded": False}, True), ({"is_seeded": True}, False), ({"is_seeded": True, "chosen": ("vda1",)}, True)],
)
def test_without_a_first_boot_that_does_it_or_where_asked_root_grows_in_the_appliance(wish, can_grow_root):
    plan = grow(known(volume(part(1, 1, 900, "ext4")), guest=system(can_grow_root=can_grow_root)), **wish)
    assert does(plan) == [("repartition", "vda"), ("grow-file-system", "vda1")]
    assert [change.means for change in plan.changes] == [final.Means.APPLIANCE]


def test_a_volume_that_is_not_larger_is_left_alone():
    found = known(volume(part(1, 1, 900, "ext4")), volume(target="vdb", content="xfs"))
    assert does(grow(found, {"vda": GIB, "vdb": 2 * GIB})) == [("grow-file-system", "vdb")]
    assert grow(found, {"vda": GIB}).changes == []


def test_what_lies_behind_root_goes_to_the_end_with_swap_made_anew():
    plan = grow(known(volume(part(1, 1, 500, "ext4"), part(2, 501, 100, "swap"), part(3, 601, 422, "ext4"))))
    (table, grown) = plan.actions
    assert grown == adjustment.GrowFileSystem(device="vda1", kind="ext4")
    shift = 1024 * MIB
    assert table.places == (
        adjustment.Place(number=1, start_bytes=MIB, size_bytes=500 * MIB + shift),
        adjustment.Place(number=2, start_bytes=501 * MIB + shift, size_bytes=100 * MIB),
        adjustment.Place(number=3, start_bytes=601 * MIB + shift, size_bytes=422 * MIB),
    )
    assert [(move.number, move.content) for move in table.moves] == [(3, "ext4"), (2, "swap")]
    told = [(change.what, change.detail) for change in plan.changes]
    assert told == [
        ("vda2", "swap of 100 MiB made anew at the end, with its UUID and label"),
        ("vda3", "ext4 of 422 MiB moved to the end as it is"),
        ("vda1", "ext4 grown from 500 MiB to 1.49 GiB"),
    ]


def test_much_data_behind_root_moves_only_where_somebody_says_so():
    large = volume(part(1, 1, 1000, "ext4"), part(2, 1001, 9000, "ext4"), size=10240)
    assert left(grow(known(large))) == [
        (
            "vda",
            "8.79 GiB behind vda1 would have to be moved: say what gets the space (--grow vda1, or one of vda1, vda2)",
        )
    ]
    assert does(grow(known(large), chosen=("vda2",))) == [("repartition", "vda"), ("grow-file-system", "vda2")]
    (table, _grown) = grow(known(large), chosen=("vda1",)).actions
    assert [move.number for move in table.moves] == [2]


def test_without_root_the_last_thing_that_can_grow_gets_it():
    data = volume(part(1, 1, 300, "ext4"), part(2, 301, 300, "xfs"), part(3, 601, 100, "swap"), target="vdb")
    assert does(grow(known(data))) == [("repartition", "vdb"), ("grow-file-system", "vdb2")]
    assert does(grow(known(data), chosen=("vdb1",))) == [("repartition", "vdb"), ("grow-file-system", "vdb1")]


@pytest.mark.parametrize("content", ["ext2", "ext3", "ext4", "xfs", "btrfs", "ntfs"])
def test_a_file_system_on_the_whole_volume_grows_without_a_table(content):
    plan = grow(known(volume(target="nvme0n1", content=content)))
    assert plan.actions == [adjustment.GrowFileSystem(device="nvme0n1", kind=content)]


def test_partitions_of_a_target_that_ends_in_a_digit_have_a_p():
    plan = grow(known(volume(part(2, 1, 900, "xfs"), target="nvme0n1"), guest=system("nvme0n1p2")))
    assert does(plan) == [("repartition", "nvme0n1"), ("grow-file-system", "nvme0n1p2")]


@pytest.mark.parametrize("content", ["vfat", "unknown", "zfs_member", None])
def test_what_cannot_grow_is_told_with_why(content):
    plan = grow(known(volume(content=content)))
    assert plan.actions == []
    assert [what for what, _why in left(plan)] == ["vda"]


def test_nothing_grows_where_nothing_shall():
    plan = grow(known(volume(part(1, 1, 900, "ext4"))), is_grown=False)
    assert (plan.actions, left(plan)) == ([], [("vda", "nothing was to be grown")])
    by_itself = known(volume(part(1, 1, 900, "ext4")), guest=system(can_grow_root=True))
    ((_what, why),) = left(grow(by_itself, is_grown=False, is_seeded=True))
    assert "first boot grows vda1 by itself" in why


# --- LVM ----------------------------------------------------------------------------------------------------------------


def lvm(**logical):
    first = volume(part(1, 1, 100, "ext4"), part(2, 101, 900, "LVM2_member"))
    second = volume(target="vdb", content="LVM2_member")
    return known(first, second, groups=(group("vg0", "vda2", "vdb", **logical),), guest=system("vg0/root"))


def test_a_group_on_two_volumes_gives_root_what_both_have_gained():
    plan = grow(lvm(root=("xfs", "linear"), home=("ext4", "linear")))
    assert does(plan) == [
        ("repartition", "vda"), ("grow-physical-volume", "vda2"), ("grow-physical-volume", "vdb"),
        ("grow-logical-volume", "vg0/root"), ("grow-file-system", "vg0/root"),
    ]  # fmt: skip


def test_another_logical_volume_gets_it_where_asked():
    found = lvm(root=("xfs", "linear"), data=("btrfs", "linear"))
    plan = grow(found, {"vdb": 2 * GIB}, chosen=("lv:vg0/data",))
    assert does(plan) == [
        ("grow-physical-volume", "vdb"), ("grow-logical-volume", "vg0/data"), ("grow-file-system", "vg0/data")
    ]  # fmt: skip


def test_a_group_with_nothing_to_choose_by_keeps_it_free():
    found = dataclasses.replace(lvm(a=("xfs", "linear"), b=("ext4", "linear")), guest=system("vdc1"))
    plan = grow(found)
    assert does(plan) == [("repartition", "vda"), ("grow-physical-volume", "vda2"), ("grow-physical-volume", "vdb")]
    assert left(plan) == [("vg0", "it was not said which logical volume gets it: --grow lv:vg0/NAME")]


@pytest.mark.parametrize(("content", "kind"), [("ext4", "striped"), ("ext4", "thin"), ("swap", "linear")])
def test_a_logical_volume_that_cannot_grow_leaves_it_in_the_group(content, kind):
    found = lvm(root=(content, kind))
    assert [what for what, _why in left(grow(found))] == ["vg0/root"]
    with pytest.raises(errors.CannotGrow, match="lv:vg0/root"):
        grow(found, chosen=("lv:vg0/root",))


# --- wishes that cannot come true -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "error", "said"),
    [
        (("vda9",), errors.VolumeNotFound, "vda1"),
        (("lv:vg0/none",), errors.VolumeNotFound, "vda1"),
        (("lv:nonsense",), errors.VolumeNotFound, "vda1"),
        (("vda",), errors.VolumeNotFound, "vda1"),
        (("vda2",), errors.CannotGrow, r"content \(swap\)"),
        (("vda1", "vda3"), errors.CannotGrow, "is to go to vda1 already"),
        (("vdb",), errors.CannotGrow, "not made larger"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_with_those_that_can(chosen, error, said):
    found = known(
        volume(part(1, 1, 300, "ext4"), part(2, 301, 10, "swap"), part(3, 311, 10, "xfs")),
        volume(target="vdb", content="xfs"),
    )
    with pytest.raises(error, match=said):
        grow(found, {"vda": 2 * GIB}, chosen=chosen)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (volume(part(1, 1, 300, "ext4"), part(2, 301, 1, "unknown", type=BIOS_BOOT)), "boot loader"),
        (volume(part(1, 1, 300, "ext4"), part(2, 301, 1, "swsuspend")), "hibernated"),
        (volume(part(1, 1, 300, "ext4"), part(2, 300, 10, "xfs")), "overlap"),
        (volume(part(1, 1, 300, "ext4"), part(2, 301, 10, "linux_raid_member")), "RAID"),
        (volume(part(1, 1, 300, "ext4"), part(5, 301, 10, "xfs", is_logical=True), table=MBR), "overlap"),
        (volume(part(1, 1, 2**21 - 1, "btrfs"), size=2**21 * 2, table=MBR), "2 TiB"),
    ],
)  # fmt: skip
def test_what_must_not_be_moved_keeps_root_from_growing(found, said):
    with pytest.raises(errors.CannotGrow, match=said):
        grow(known(found), chosen=("vda1",))
    usual = grow(known(found))
    assert "grow-file-system" not in [each.do for each in usual.actions if each.device == "vda1"]


def test_a_btrfs_on_two_devices_is_not_grown():
    both = [
        guests.FileSystem(
            device=device, kind="btrfs", size_bytes=GIB, used_bytes=None, mount_point=None, uuid="same", label=None
        )
        for device in ("vda", "vdb")
    ]
    found = known(
        volume(content="btrfs"), volume(target="vdb", content="btrfs"), guest=system("vda", file_systems=tuple(both))
    )
    with pytest.raises(errors.CannotGrow, match="several devices"):
        grow(found, chosen=("vda",))


def test_an_encrypted_partition_grows_only_where_asked_and_its_content_stays():
    found = known(volume(part(1, 1, 900, "crypto_LUKS")))
    assert left(grow(found)) == [("vda", "vda1 (crypto_LUKS) was not asked to grow")]
    plan = grow(found, chosen=("vda1",))
    assert does(plan) == [("repartition", "vda")]
    assert [what for what, _why in left(plan)] == ["vda1"]


def test_space_that_is_too_little_is_said_to_be():
    found = known(volume(part(1, 1, 1022, "ext4")))
    assert left(grow(found, {"vda": GIB + 4096})) == [("vda", "too little space was added to be of use")]
    with pytest.raises(errors.CannotGrow, match="too little"):
        grow(found, {"vda": GIB + 4096}, chosen=("vda1",))


# --- where it goes, carried out -------------------------------------------------------------------------------------------


@st.composite
def volumes(draw):
    """(layout, chosen partition, new size): tables as installers make them, and stranger ones. Places in MiB."""
    kind, sector = draw(st.sampled_from([(GPT, 512), (GPT, 4096), (MBR, 512)]))
    sizes = st.integers(1, 24)
    partitions, at = [], 1
    for number in range(1, draw(st.integers(1, 3)) + 1):
        at += draw(st.integers(0, 3))
        size = draw(sizes)
        partitions.append(part(number, at, size, draw(st.sampled_from(["ext4", "swap", "vfat"]))))
        at += size
    if kind is MBR and draw(st.booleans()):
        start, logical = at, []
        for number in range(5, 5 + draw(st.integers(1, 4))):
            at += draw(st.integers(1, 3))
            size = draw(sizes)
            logical.append(part(number, at, size, draw(st.sampled_from(["ext4", "swap"])), is_logical=True))
            at += size
        at += draw(st.integers(0, 2))
        place = draw(st.integers(len(partitions) + 1, 4))
        partitions += [part(place, start, at - start, "extended"), *logical]
    found = volume(*partitions, table=kind, sector=sector, size=at + draw(st.integers(1, 8)))
    usable = [each for each in partitions if each.content != "extended"]
    return found, draw(st.sampled_from(usable)), found.size_bytes + draw(st.integers(1, 80)) * MIB


TYPES = {"ext4": "L", "vfat": "L", "swap": "S"}


def made(path, found):
    """The volume in a file: its table by fdisk, a mark at both ends of each partition."""
    device = tables.FileDevice(path, found.size_bytes // MIB, sector_bytes=found.sector_size_bytes)
    lines = [f"label: {'gpt' if found.table is GPT else 'dos'}"]
    for each in found.partitions:
        kind = "5" if each.content == "extended" else TYPES[each.content]
        first, count = each.start_bytes // found.sector_size_bytes, each.size_bytes // found.sector_size_bytes
        lines.append(f"{each.number}: start={first}, size={count}, type={kind}")
    device.make("\n".join(lines) + "\n")
    for each in found.partitions:
        if each.content != "extended":
            device.write(each.start_bytes, b"begin %d" % each.number)
            device.write(each.start_bytes + each.size_bytes - 8, b"ends  %d" % each.number)
    return device


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(volumes())
def test_every_partition_is_where_it_is_planned_with_its_content(tmp_path_factory, drawn):
    found, chosen, size_bytes = drawn
    plan = placing.grown(found, chosen, size_bytes)
    device = made(tmp_path_factory.mktemp("growth") / "volume", found)
    before = device.partitions()[1]
    device.grow(size_bytes // MIB)
    if not isinstance(plan, str):
        table = reading.read(device)
        for move in plan.moves:
            for source, target, length in adjusting.pieces(move):
                device.write(target, device.read(source, length))
        table.write(plan.places)
        assert device.verify() == []
        after = device.partitions()[1]
        places = {place.number: place for place in plan.places}
        assert places[chosen.number].size_bytes > chosen.size_bytes
        assert max(place.end_bytes for place in plan.places) <= placing.usable_end(found, size_bytes)
        # What is left behind the last one is less than the unit of all that moves.
        assert placing.usable_end(found, size_bytes) - max(place.end_bytes for place in plan.places) < MIB
        for each in found.partitions:
            place = places.get(each.number) or adjustment.Place(
                number=each.number, start_bytes=each.start_bytes, size_bytes=each.size_bytes
            )
            expected = {"start": place.start_bytes, "size": place.size_bytes}
            told = after[each.number]
            assert {key: told[key] * device.sector_bytes for key in expected} == expected
            assert {**told, "start": 0, "size": 0} == {**before[each.number], "start": 0, "size": 0}
            if each.content != "extended":
                assert device.read(place.start_bytes, 7) == b"begin %d" % each.number
            if each.content != "extended" and each.number != chosen.number:
                assert device.read(place.end_bytes - 8, 7) == b"ends  %d" % each.number
