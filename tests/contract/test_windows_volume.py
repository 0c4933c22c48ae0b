"""A volume laid out as Windows lays out its own, captured and adapted by real launches, judged by tools that did not write it.

GPT  | ESP | Microsoft reserved | C: (NTFS) | recovery (NTFS) |     made larger: C: grows, the recovery partition goes to the end
"""

import json
import subprocess

import pytest
from tests.contract.test_guest_layout import PROGRAM, SOFTWARE, SYSTEM
from tests.support import hive, tables

from estampe.deploy import growth
from estampe.guest import appliance, base
from estampe.model import adjustment, final

pytestmark = [
    pytest.mark.every_guest, pytest.mark.requires_appliance, pytest.mark.requires_qemu, pytest.mark.timeout(1500),
]  # fmt: skip

MIB = tables.MIB
RECOVERY = "DE94BBA4-06D1-4D4D-A16A-BFD50179D6AC"
TABLE = f"""label: gpt
1: start=1MiB, size=40MiB, type=uefi, name="EFI system partition"
2: start=41MiB, size=16MiB, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE, name="Microsoft reserved partition"
3: start=57MiB, size=128MiB, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, name="Basic data partition"
4: start=185MiB, size=32MiB, type={RECOVERY}, name="", attrs="RequiredPartition GUID:63"
"""
SIZE_MIB, LARGER_MIB = 218, 600
WISH = final.FinalConfiguration(
    instance_id="1",
    hostname="web-07",
    interfaces=(
        final.Interface(
            mac="52:54:00:00:00:07", addresses=("192.0.2.7/24",), gateways=("192.0.2.1",), dns=("192.0.2.53",)
        ),
    ),
    admin_password="C0rrect horse <&>",
    timezone="Europe/Paris",
    commands=("powershell -File C:\\app\\setup.ps1",),
)
NOT_GENERALISED = {"ImageState": "IMAGE_STATE_COMPLETE"}


def run(*argv):
    ran = subprocess.run(
        [str(word) for word in argv],
        check=False,
        capture_output=True,
        timeout=120,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def software(state):
    """The hive of a Windows in that state of its setup."""
    current = {**SOFTWARE["Microsoft"]["Windows"]["CurrentVersion"], "Setup": {"State": state}}
    return hive.hive({"Microsoft": {**SOFTWARE["Microsoft"], "Windows": {"CurrentVersion": current}}})


def make(path):
    """The volume, generalised, and its twin that is not."""
    guestfs = pytest.importorskip("guestfs")
    device = tables.FileDevice(path, SIZE_MIB)
    device.make(TABLE)
    handle = guestfs.GuestFS(python_return_dict=True)
    handle.set_backend("direct")
    handle.set_backend_settings(["force_tcg"])
    handle.set_memsize(768)
    handle.add_drive_opts(str(path), format="raw")
    handle.launch()
    handle.mkfs("vfat", "/dev/sda1")
    for part in ("/dev/sda3", "/dev/sda4"):
        handle.mkfs("ntfs", part)
    handle.mount("/dev/sda4", "/")
    handle.write("/winre.wim", b"recovery" * 4096)
    handle.umount_all()
    handle.mount("/dev/sda3", "/")
    for folder in ("/WINDOWS/System32/config", "/WINDOWS/Panther", "/Users"):
        handle.mkdir_p(folder)
    handle.write("/WINDOWS/System32/cmd.exe", PROGRAM)
    handle.write("/WINDOWS/System32/config/SYSTEM", hive.hive(SYSTEM))
    handle.write("/WINDOWS/Panther/unattend.xml", b"<the answers of the source/>")
    handle.write("/Users/kept", b"kept" * 1024)
    handle.write("/WINDOWS/System32/config/SOFTWARE", software(NOT_GENERALISED))
    handle.sync()
    handle.umount_all()
    twin = path.with_name("not-generalised")
    run("cp", "--sparse=always", path, twin)
    handle.mount("/dev/sda3", "/")
    handle.write("/WINDOWS/System32/config/SOFTWARE", hive.hive(SOFTWARE))
    handle.umount_all()
    handle.shutdown()
    handle.close()
    return path, twin


def overlay_of(path, *, size_mib):
    made = path.with_suffix(".qcow2")
    backing = json.dumps({"driver": "raw", "file": {"driver": "file", "filename": str(path)}})
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", f"json:{backing}", "-F", "raw", made, f"{size_mib}M")
    return made


def launched(function, job, directory, cache):
    return function(
        job, is_kvm_usable=False, work_directory=directory / "work", deadline_seconds=400, check_cancelled=lambda: None,
        cache_directory=cache,
    )  # fmt: skip


@pytest.fixture(scope="module")
def windows(tmp_path_factory, appliance_cache):
    """(what the capture told, what it told of the twin, what the adaptation told, the adapted volume)."""
    directory = tmp_path_factory.mktemp("windows")
    path, twin = make(directory / "generalised")
    told = [
        launched(
            appliance.finish,
            appliance.Job(
                drives=(appliance.Drive(target="vda", overlay=overlay_of(each, size_mib=SIZE_MIB)),), is_uefi=True
            ),
            directory,
            appliance_cache,
        )
        for each in (path, twin)
    ]
    plan = growth.plan(
        growth.Known(layout=told[0].layout, guest=told[0].guest), {"vda": LARGER_MIB * MIB}, growth.Wish()
    )
    larger, own = overlay_of(path, size_mib=LARGER_MIB), directory / "own.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", larger, "-F", "qcow2", own)
    adapted = launched(
        appliance.adapt,
        appliance.Job(
            drives=(appliance.Drive(target="vda", overlay=larger, own=(own,)),),
            adaptation=adjustment.Adaptation(
                actions=tuple(plan.actions), configurations=(adjustment.Configuring(server="new", wish=WISH),)
            ),
        ),
        directory,
        appliance_cache,
    )
    made = tables.FileDevice(directory / "server", LARGER_MIB)
    run("qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", own, made.path)
    return told[0], told[1], adapted, made


def extracted(device, number):
    """A partition's content in a file of its own."""
    found = device.partitions()[1][number]
    path = device.path.with_name(f"partition-{number}")
    run(
        "dd", f"if={device.path}", f"of={path}", "bs=512", f"skip={found['start']}", f"count={found['size']}", "conv=sparse",
        "status=none",
    )  # fmt: skip
    return path


def test_a_generalised_windows_is_sealed_by_what_sysprep_did(windows):
    told, _twin, _adapted, _device = windows
    assert (told.guest.kind, told.guest.root_device, told.guest.is_generalised) == ("windows", "vda3", True)
    assert told.sealing.is_sealed
    assert [part.content for part in told.layout.volumes[0].partitions] == ["vfat", "unknown", "ntfs", "ntfs"]


def test_one_that_is_not_generalised_is_told_so_and_left_alone(windows):
    _told, twin, _adapted, _device = windows
    assert twin.guest.is_generalised is False
    assert twin.sealing.why_not.startswith("Windows is not generalised")
    assert not twin.is_overlay_usable


def test_the_table_is_sound_and_the_recovery_partition_at_the_end_as_it_was(windows):
    device = windows[3]
    assert device.verify() == []
    assert b"No problems found" in run("sgdisk", "-v", device.path)
    partitions = device.partitions()[1]
    assert partitions[4]["type"] == RECOVERY
    assert partitions[4]["attrs"] == '"RequiredPartitionGUID:63"'
    assert partitions[4]["start"] + partitions[4]["size"] > (LARGER_MIB - 2) * MIB // 512
    assert partitions[3]["start"] + partitions[3]["size"] <= partitions[4]["start"]
    assert [partitions[number]["start"] for number in (1, 2, 3)] == [MIB // 512, 41 * MIB // 512, 57 * MIB // 512]


@pytest.mark.parametrize(("number", "least_mib"), [(3, 500), (4, 31)])
def test_ntfs_is_sound_and_fills_its_partition(windows, number, least_mib):
    device = windows[3]
    part = extracted(device, number)
    run("ntfsfix", "--no-action", part)
    told = run(
        "ntfsinfo", "--force", "--mft", part
    ).decode()  # what was grown is to be checked by Windows first: by design
    facts = dict(line.strip().split(":", 1) for line in told.splitlines() if ":" in line)
    size = int(facts["Volume Size in Clusters"]) * int(facts["Cluster Size"])
    assert least_mib * MIB <= size <= part.stat().st_size
    boot_sector = part.read_bytes()[:512]
    assert int.from_bytes(boot_sector[0x1C:0x20], "little") == device.partitions()[1][number]["start"]


def test_files_are_what_they_were(windows):
    assert run("ntfscat", "--force", extracted(windows[3], 3), "/Users/kept") == b"kept" * 1024
    assert run("ntfscat", "--force", extracted(windows[3], 4), "/winre.wim") == b"recovery" * 4096


def said(answers, name):
    """The text of an element, by xmllint."""
    return run("xmllint", "--xpath", f"string(//*[local-name()='{name}'])", answers).decode().strip()


def test_the_answer_file_is_where_setup_looks_and_says_what_was_wished(windows):
    part = extracted(windows[3], 3)
    answers = part.with_name("Unattend.xml")
    answers.write_bytes(run("ntfscat", "--force", part, "/WINDOWS/Panther/Unattend/Unattend.xml"))
    run("xmllint", "--noout", "--nonet", answers)
    assert said(answers, "ComputerName") == "web-07"
    assert said(answers, "TimeZone") == "Romance Standard Time"
    assert "setup.ps1" in said(answers, "CommandLine")
    text = run("xmllint", "--xpath", "//text()", answers).decode().split()
    assert {"192.0.2.7/24", "192.0.2.1", "192.0.2.53"} <= set(text)
    # Encoded, as Windows itself does: that hides nothing from whoever can read the file.
    assert b"C0rrect horse" not in answers.read_bytes()


def test_the_report_tells_all_of_it(windows):
    adapted = windows[2]
    assert isinstance(adapted, base.Adapted)
    assert {change.what for change in adapted.changes["new"]} >= {"host name", "time zone", "administrator's password"}
    assert all(change.outcome is final.Outcome.DONE for change in adapted.changes["new"])
