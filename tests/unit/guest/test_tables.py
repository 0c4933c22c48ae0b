"""Partition tables edited in place, judged by fdisk and sgdisk, which made them and did not write the changes."""

import itertools
import subprocess
import uuid

import hypothesis
import pytest
from hypothesis import strategies as st
from tests.support import tables

from estampe import errors
from estampe.guest.tables import gpt, mbr
from estampe.model import adjustment


def place(number, start_mib, size_mib):
    return adjustment.Place(number=number, start_bytes=start_mib * tables.MIB, size_bytes=size_mib * tables.MIB)


def sectors(device, mib):
    return mib * tables.MIB // device.sector_bytes


GPT = """label: gpt
label-id: 11111111-2222-3333-4444-555555555555
1: start=1MiB, size=3MiB, type=21686148-6449-6E6F-744E-656564454649
2: start=4MiB, size=40MiB, type=linux, name="root of all", uuid=AAAAAAAA-0000-0000-0000-000000000002, attrs="GUID:63,59 LegacyBIOSBootable"
3: start=44MiB, size=10MiB, type=swap, uuid=AAAAAAAA-0000-0000-0000-000000000003
"""


@pytest.mark.parametrize("sector_bytes", [512, 4096])
def test_a_gpt_keeps_all_but_places_and_its_backup_moves_to_the_new_end(tmp_path, sector_bytes):
    device = tables.FileDevice(tmp_path / "volume", 64, sector_bytes=sector_bytes)
    device.make(GPT)
    device.write(0, b"boot code")
    table_before, before = device.partitions()
    device.grow(200)
    gpt.read(device).write([place(2, 4, 180), place(3, 184, 10)])
    table, after = device.partitions()
    assert device.verify() == []
    assert after[1] == before[1]
    moved = {2: (4, 180), 3: (184, 10)}
    for number, (start, size) in moved.items():
        expected = before[number] | {"start": sectors(device, start), "size": sectors(device, size)}
        assert after[number] == expected
    assert int(table["last-lba"]) > int(table_before["last-lba"])
    assert table["label-id"] == table_before["label-id"]
    assert device.read(0, 9) == b"boot code"
    if sector_bytes == 512:
        told = subprocess.run(
            ["/sbin/sgdisk", "-v", device.path], capture_output=True, text=True, check=True, timeout=30
        )
        assert "No problems found" in told.stdout
        assert "Caution" not in told.stdout + told.stderr
    # The protective record covers the whole volume, as far as 32 bits go.
    assert int.from_bytes(device.read(446 + 12, 4), "little") == device.size_bytes // sector_bytes - 1


@pytest.mark.parametrize("sector_bytes", [512, 4096])
def test_a_gpt_gets_new_guids_and_keeps_all_else_its_end_too(tmp_path, sector_bytes):
    device = tables.FileDevice(tmp_path / "volume", 64, sector_bytes=sector_bytes)
    device.make(GPT)
    table_before, before = device.partitions()
    disk, third = uuid.uuid4(), uuid.uuid4()
    gpt.read(device).renew(disk, {3: third})
    table, after = device.partitions()
    assert device.verify() == []
    assert table == table_before | {"label-id": str(disk).upper()}
    assert after == before | {3: before[3] | {"uuid": str(third).upper()}}
    header = device.read(sector_bytes, 64)
    device.grow(200)
    gpt.read(device).renew(None, {2: disk})
    assert device.read(sector_bytes, 64)[24:] == header[24:]  # its backup stays: the guest's first boot grows it
    assert device.partitions()[1][2]["uuid"] == str(disk).upper()


def test_an_mbr_gets_a_new_signature_and_keeps_all_else(tmp_path):
    device = tables.FileDevice(tmp_path / "volume", 64)
    device.make("label: dos\nlabel-id: 0x1234abcd\n1: start=1MiB, size=8MiB, type=83, bootable\n")
    before = device.partitions()
    sector = device.read(0, 512)
    mbr.read(device).renew(0xFEEDF00D)
    after = device.partitions()
    assert after == (before[0] | {"label-id": "0xfeedf00d"}, before[1])
    assert device.read(0, 440) + device.read(444, 68) == sector[:440] + sector[444:]


def test_a_gpt_whose_backup_alone_moves(tmp_path):
    device = tables.FileDevice(tmp_path / "volume", 64)
    device.make(GPT)
    before = device.partitions()[1]
    device.grow(65)
    gpt.read(device).write([])
    assert device.partitions()[1] == before
    assert device.verify() == []


def test_a_hybrid_mbr_is_left_to_itself(tmp_path):
    device = tables.FileDevice(tmp_path / "volume", 64)
    device.make(GPT)
    subprocess.run(["/sbin/sgdisk", "--hybrid", "2", device.path], capture_output=True, check=True, timeout=30)
    hybrid = device.read(0, 512)
    device.grow(128)
    gpt.read(device).write([place(2, 4, 90), place(3, 94, 10)])
    assert device.read(0, 512) == hybrid


@pytest.mark.parametrize(
    ("at", "said"), [(512, "is not one"), (512 + 30, "header is damaged"), (1024 + 5, "entries are damaged")]
)
def test_a_damaged_gpt_is_not_worked_on(tmp_path, at, said):
    device = tables.FileDevice(tmp_path / "volume", 64)
    device.make(GPT)
    device.write(at, bytes([device.read(at, 1)[0] ^ 0x55]))
    with pytest.raises(errors.ApplianceFailed, match=said):
        gpt.read(device)


@pytest.mark.parametrize(
    "places", [[place(7, 4, 5)], [place(0, 4, 5)], [place(200, 4, 5)], [place(2, 4, 60)], [place(2, 0, 9)]]
)
def test_a_gpt_takes_no_place_that_it_cannot_hold(tmp_path, places):
    device = tables.FileDevice(tmp_path / "volume", 64)
    device.make(GPT)
    with pytest.raises(errors.ApplianceFailed, match="partition"):
        gpt.read(device).write(places)


MBR = """label: dos
label-id: 0xdeadbeef
1: start=1MiB, size=30MiB, type=83, bootable
2: start=32MiB, size=28MiB, type=5
5: start=33MiB, size=10MiB, type=82
6: start=45MiB, size=14MiB, type=83
"""


def test_an_mbr_whose_extended_partition_moves_as_a_whole(tmp_path):
    device = tables.FileDevice(tmp_path / "volume", 64)
    device.make(MBR)
    device.write(0, b"boot code")
    before = device.partitions()[1]
    device.grow(164)
    mbr.read(device).write([place(1, 1, 130), place(2, 132, 28), place(5, 133, 10), place(6, 145, 14)])
    table, after = device.partitions()
    assert device.verify() == []
    assert table["label-id"] == "0xdeadbeef"
    moved = {1: (1, 130), 2: (132, 28), 5: (133, 10), 6: (145, 14)}
    assert set(after) == set(moved)
    for number, (start, size) in moved.items():
        expected = before[number] | {"start": sectors(device, start), "size": sectors(device, size)}
        assert after[number] == expected
    assert device.read(0, 9) == b"boot code"


def test_a_logical_partition_grows_with_its_extended_one(tmp_path):
    device = tables.FileDevice(tmp_path / "volume", 64)
    device.make(MBR)
    before = device.partitions()[1]
    device.grow(100)
    mbr.read(device).write([place(2, 32, 64), place(5, 33, 46), place(6, 81, 14)])
    after = device.partitions()[1]
    assert device.verify() == []
    assert after[1] == before[1]
    found = {number: (each["start"] // 2048, each["size"] // 2048) for number, each in after.items()}
    assert found == {1: (1, 30), 2: (32, 64), 5: (33, 46), 6: (81, 14)}


def test_an_mbr_beyond_what_its_records_can_say_is_refused(tmp_path):
    device = tables.FileDevice(tmp_path / "volume", 64)
    device.make(MBR)
    device.grow(3 * 1024 * 1024)
    with pytest.raises(errors.ApplianceFailed, match="beyond what an MBR"):
        mbr.read(device).write([place(1, 1, 2 * 1024 * 1024)])


def test_a_chain_that_leads_in_circles_or_astray_is_refused(tmp_path):
    for to in (0, 5000000):
        device = tables.FileDevice(tmp_path / f"volume{to}", 64)
        device.make(MBR)
        device.write(32 * tables.MIB + 446 + 16 + 8, to.to_bytes(4, "little"))
        with pytest.raises(errors.ApplianceFailed, match="astray"):
            mbr.read(device)
    device.write(510, b"\0\0")
    with pytest.raises(errors.ApplianceFailed, match="no partition table"):
        mbr.read(device)


def test_an_empty_extended_partition_is_fine(tmp_path):
    device = tables.FileDevice(tmp_path / "volume", 64)
    device.make("label: dos\n1: start=1MiB, size=10MiB\n2: start=20MiB, size=20MiB, type=5\n")
    device.grow(80)
    mbr.read(device).write([place(1, 1, 20), place(2, 50, 20)])
    assert device.verify() == []


@hypothesis.settings(max_examples=12, deadline=None)
@hypothesis.given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 20)), min_size=1, max_size=10), st.integers(0, 50)
)
def test_chains_of_any_length_are_still_chains_after_a_shift(tmp_path_factory, logicals, shift):
    """Each of `logicals` is (gap before it, size) in MiB; all but the first part of the volume moves."""
    device = tables.FileDevice(tmp_path_factory.mktemp("chain") / "volume", 320)
    ends = itertools.accumulate(logicals, lambda at, each: at + each[0] + each[1], initial=10)
    starts = [at + gap for at, (gap, _size) in zip(ends, logicals, strict=False)]
    places = {
        nth: (start, size) for nth, (start, (_gap, size)) in enumerate(zip(starts, logicals, strict=True), start=5)
    }
    end = max(start + size for start, size in places.values())
    extended = (starts[0] - 1, end - starts[0] + 1)
    lines = ["label: dos", "1: start=1MiB, size=5MiB", f"2: start={extended[0]}MiB, size={extended[1]}MiB, type=f"]
    lines += [f"{number}: start={start}MiB, size={size}MiB" for number, (start, size) in places.items()]
    device.make("\n".join(lines) + "\n")
    everything = {2: extended, **places}
    mbr.read(device).write([place(number, start + shift, size) for number, (start, size) in everything.items()])
    assert device.verify() == []
    after = {number: (each["start"] // 2048, each["size"] // 2048) for number, each in device.partitions()[1].items()}
    assert after == {1: (1, 5)} | {number: (start + shift, size) for number, (start, size) in everything.items()}
