"""What of a volume that becomes smaller goes where, and when it does not fit."""

import uuid

import hypothesis
import pytest
from hypothesis import strategies as st

from estampe import errors
from estampe.deploy import growth, placing, shrinking
from estampe.model import adjustment, chunk, manifest
from estampe.model import guest as guests
from estampe.model import layout as layouts

MIB, GIB = 1024**2, 1024**3
SIZE = 8 * GIB


def part(number, start, size, content, *, is_logical=False):
    return layouts.Partition(
        number=number, start_bytes=start, size_bytes=size, type="", name=None, is_bootable=False, is_logical=is_logical,
        content=content,
    )  # fmt: skip


def found(*partitions, content=None, device="vda2", used=GIB, groups=(), table=layouts.TableKind.GPT):
    system = guests.FileSystem(
        device=device, kind="ext4", size_bytes=SIZE, used_bytes=used, mount_point="/", uuid=None, label=None
    )
    guest = guests.Guest(
        kind="linux", distribution="debian", version="12", product="", hostname="", root_device=device,
        file_systems=(system,), has_cloud_init=False, has_guest_agent=False, can_grow_root=False, package_count=0,
    )  # fmt: skip
    volume = layouts.VolumeLayout(
        target="vda", size_bytes=SIZE, sector_size_bytes=512, partitions=partitions, content=content,
        table=table if partitions else layouts.TableKind.NONE,
    )  # fmt: skip
    return growth.Known(layout=layouts.Layout(volumes=(volume,), groups=groups), guest=guest)


VOLUME = manifest.ManifestVolume(target="vda", size_bytes=SIZE, table=chunk.ChunkTable(()))
TEMPLATE = manifest.Manifest(
    template_id=uuid.UUID(int=0), owner_id=uuid.UUID(int=0), name="web", version=1, created_at=None,
    chunk_size_bytes=MIB, configuration=None, nvram=None, guest=None, sealing=None, volumes=(VOLUME,),
)  # fmt: skip
ROOT_LAST = (part(1, MIB, 100 * MIB, "vfat"), part(2, 101 * MIB, SIZE - 102 * MIB, "ext4"))


def shrink(known, size):
    made = growth.Plan()
    shrinking.plan(made, known, TEMPLATE, {"vda": size})
    return made


def test_the_file_system_in_the_last_partition_moves_together_and_is_checked():
    made = shrink(found(*ROOT_LAST), 4 * GIB)
    held = 4 * GIB - 102 * MIB  # as far as whole MiB go before GPT's second copy
    assert made.actions == [
        adjustment.ShrinkFileSystem(device="vda2", kind="ext4", size_bytes=held),
        adjustment.Repartition(
            target="vda",
            places=(adjustment.Place(number=2, start_bytes=101 * MIB, size_bytes=held),),
            end_bytes=4 * GIB,
        ),
        adjustment.CheckFileSystem(device="vda2", kind="ext4"),
    ]
    assert [(change.what, change.outcome.value) for change in made.changes] == [("vda2", "done")]


def test_a_file_system_on_the_whole_volume_needs_no_table():
    made = shrink(found(content="btrfs", device="vda"), 4 * GIB)
    assert [action.do for action in made.actions] == ["shrink-file-system", "check-file-system"]


def test_btrfs_keeps_what_the_kernel_wants_at_least():
    with pytest.raises(errors.VolumeTooSmall, match=f"{257 * MIB} bytes"):
        shrink(found(content="btrfs", device="vda", used=MIB), 200 * MIB)
    assert shrink(found(content="btrfs", device="vda", used=MIB), 257 * MIB).actions[0].size_bytes == 257 * MIB


def test_lvm_with_one_ext4_shrinks_from_the_inside_out():
    root = layouts.LogicalVolume(name="root", size_bytes=6 * GIB, kind="linear", content="ext4")
    group = layouts.VolumeGroup(
        name="vg0", extent_size_bytes=4 * MIB, free_bytes=0, physical_volumes=("vda2",), logical_volumes=(root,)
    )
    last = (ROOT_LAST[0], part(2, 101 * MIB, SIZE - 102 * MIB, "LVM2_member"))
    made = shrink(found(*last, device="vg0/root", groups=(group,)), 4 * GIB)
    assert [action.do for action in made.actions] == [
        "shrink-file-system", "shrink-logical-volume", "shrink-physical-volume", "repartition", "check-file-system"
    ]  # fmt: skip
    system, logical, physical, *_rest = made.actions
    assert system.size_bytes == logical.size_bytes
    assert logical.size_bytes % (4 * MIB) == 0
    assert physical.size_bytes - logical.size_bytes >= MIB


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (None, "nobody looked"),
        (found(part(2, MIB, GIB, "xfs")), "no ext4 and no btrfs"),
        (found(part(2, MIB, GIB, "ext4"), device="vdb"), "not known how much"),
        (found(part(2, MIB, GIB, "LVM2_member")), "only part of a volume group"),
        (
            found(part(1, MIB, GIB, "extended"), part(5, 2 * MIB, GIB - MIB, "ext4", is_logical=True), device="vda5"),
            "extended partition",
        ),
        (found(*ROOT_LAST, used=5 * GIB), "vda2 .ext4. uses 5 GiB"),
    ],
)
def test_what_cannot_be_made_so_small_is_refused_with_the_least_size(known, said):
    with pytest.raises(errors.VolumeTooSmall, match=said) as refused:
        shrink(known, 4 * GIB)
    assert int(refused.value.facts["least"].split()[0]) > 4 * GIB


@hypothesis.given(st.integers(0, 7 * 1024), st.integers(1, 200), st.sampled_from(list(layouts.TableKind)))
def test_the_least_size_is_enough(used_mib, start_mib, table):
    """What is used fits with room into what is left, and nothing reaches beyond the end."""
    last = (
        (part(2, start_mib * MIB, SIZE - (start_mib + 1) * MIB, "ext4"),) if table is not layouts.TableKind.NONE else ()
    )
    known = found(
        *last, content=None if last else "ext4", device="vda2" if last else "vda", used=used_mib * MIB, table=table
    )
    with pytest.raises(errors.VolumeTooSmall) as refused:
        shrink(known, MIB)
    least = int(refused.value.facts["least"].split()[0])
    hypothesis.assume(least < SIZE)
    system, *rest = shrink(known, least).actions
    assert system.size_bytes >= used_mib * MIB + 64 * MIB
    end = (start_mib * MIB if last else 0) + system.size_bytes
    assert end <= (placing.usable_end(known.layout.volumes[0], least) if last else least)
    assert {action.do for action in rest} <= {"repartition", "check-file-system"}
