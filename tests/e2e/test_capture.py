"""Captures of small servers, on real libvirt and through the command line."""

from __future__ import annotations

import signal
import subprocess

import pytest
from tests.support import guests, shell

pytestmark = [
    pytest.mark.requires_libvirt,
    pytest.mark.requires_qemu,
    pytest.mark.requires_root,
    pytest.mark.requires_guest,
    pytest.mark.requires_appliance,
]


def capture(stage, name: str, *options: str, deadline_seconds: float = 300.0) -> dict:
    """The operation at its end."""
    return stage.daemon.command("capture", name, *options, deadline_seconds=deadline_seconds)


def test_a_running_server_without_agent_is_shut_down_by_its_power_button_and_runs_again(stage):
    name = stage.add_mini(is_started=True, flags=["mini.no_agent"])
    ended = capture(stage, name, "--no-seal")
    assert stage.corner.state(name) == "running"
    stage.wait_ready(name)
    assert ended["result"]["offline_seconds"] > 0
    [template] = stage.templates(name)
    assert (template["state"], template["version"]) == ("active", 1)


def test_a_running_server_with_agent_is_shut_down_by_it(stage):
    name = stage.add_mini(is_started=True)
    stage.wait_agent(name)
    capture(stage, name, "--no-seal")
    assert stage.corner.state(name) == "running"
    [template] = stage.templates(name)
    assert template["state"] == "active"


def test_a_server_that_ignores_the_wish_is_left_running(stage, fails):
    name = stage.add_mini(is_started=True, flags=["mini.ignore_power"])
    started_as = shell.virsh("domid", name)
    # A guest that was asked may still go down, so it is watched for two minutes after the timeout.
    error = fails("capture", name, "--stop-timeout", "4s", deadline_seconds=300)
    assert (error.status, error.code) == (5, "shutdown-timeout")
    assert "--force" in error.problem["detail"]
    assert shell.virsh("domid", name) == started_as
    assert stage.templates(name) == []


def test_a_server_that_ignores_the_wish_is_powered_off_by_force(stage):
    name = stage.add_mini(is_started=True, flags=["mini.ignore_power"])
    started_as = shell.virsh("domid", name)
    ended = capture(stage, name, "--no-seal", "--stop-timeout", "2s", "--force")
    assert ended["state"] == "succeeded"
    assert stage.corner.state(name) == "running"
    assert shell.virsh("domid", name) != started_as


def test_a_server_that_is_off_stays_off(stage):
    name = stage.add_mini()
    ended = capture(stage, name, "--no-seal")
    assert stage.corner.state(name) == "shut off"
    assert ended["result"]["offline_seconds"] == 0


def test_a_paused_server_is_paused_again(stage):
    name = stage.add_mini(is_started=True)
    shell.virsh("suspend", name)
    capture(stage, name, "--no-seal", "--stop-timeout", "2s", "--force")
    assert stage.corner.state(name) == "paused"


def test_a_guest_that_nobody_knows_is_captured_whole_told_as_not_sealed_and_not_changed(stage):
    name = stage.add_mini()
    path = stage.volume_path(name)
    before = (path.stat().st_mtime_ns, shell.run(["b2sum", str(path)]))
    ended = capture(stage, name)
    assert ended["result"]["is_sealed"] is False
    manifest = stage.daemon.command("template", "show", name)["manifest"]
    assert (manifest["guest"], manifest["has_inventory"]) == (None, False)
    assert manifest["sealing"]["is_sealed"] is False
    assert manifest["sealing"]["why_not"] == "no operating system was found"
    assert (path.stat().st_mtime_ns, shell.run(["b2sum", str(path)])) == before


def test_a_server_cannot_be_started_half_way(stage):
    volume = guests.Disk(path=stage.volume("big.raw", size_mib=1500, data_mib=1200), target="vdb")
    name = stage.add_mini(volume)
    begun = stage.daemon.command("capture", name, "--no-seal", "--no-wait")
    stage.daemon.wait_for_phase(begun["id"], "copying")
    with pytest.raises(shell.Failed, match="lock"):
        shell.virsh("start", name)
    ended = stage.daemon.command("operation", "wait", begun["id"], deadline_seconds=300)
    assert ended["state"] == "succeeded"
    assert stage.corner.state(name) == "shut off"


def test_a_capture_that_is_cancelled_leaves_nothing(stage, fails):
    volume = guests.Disk(path=stage.volume("big.raw", size_mib=1500, data_mib=1200), target="vdb")
    name = stage.add_mini(volume, is_started=True)
    begun = stage.daemon.command("capture", name, "--no-wait", "--no-seal", "--stop-timeout", "60s")
    stage.daemon.wait_for_phase(begun["id"], "copying")
    with stage.daemon.client() as daemon:
        daemon.cancel_operation(begun["id"])
    error = fails("operation", "wait", begun["id"])
    assert (error.status, error.code) == (9, "cancelled")
    assert stage.corner.state(name) == "running"
    assert stage.templates(name) == []


def test_two_captures_of_one_server_cannot_run_at_once(stage, fails):
    volume = guests.Disk(path=stage.volume("big.raw", size_mib=1500, data_mib=1200), target="vdb")
    name = stage.add_mini(volume)
    begun = stage.daemon.command("capture", name, "--no-wait", "--no-seal")
    error = fails("capture", name)
    assert (error.status, error.code) == (5, "server-busy")
    stage.daemon.command("operation", "wait", begun["id"], deadline_seconds=300)


def test_a_second_capture_is_the_next_version_and_adds_next_to_nothing(stage):
    name = stage.add_mini(guests.Disk(path=stage.volume("new.raw", size_mib=8, data_mib=4), target="vdb"))
    first = capture(stage, name, "--name", f"{name}-t", "--no-seal")
    second = capture(stage, name, "--name", f"{name}-t", "--no-seal")
    assert [first["result"]["template"], second["result"]["template"]] == [f"{name}-t@1", f"{name}-t@2"]
    assert second["result"]["new_bytes"] < 100_000 < first["result"]["new_bytes"]


def test_what_is_no_volume_of_the_server_alone_is_left_out_and_named(stage):
    seed = guests.Disk(path=stage.volume("seed.raw", size_mib=1, data_mib=1), target="vdb", is_read_only=True)
    name = stage.add_mini(seed, extra_devices="<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>")
    plan = stage.daemon.command("capture", name, "--dry-run")
    assert [volume["target"] for volume in plan["volumes"]] == ["vda"]
    assert {"sda", "vdb"} <= {word.strip(",:()") for left in plan["left_out"] for word in left["what"].split()}
    assert all(left["why"] for left in plan["left_out"])
    assert stage.templates(name) == []  # a plan does nothing


def test_only_the_named_volumes_are_captured(stage, fails):
    name = stage.add_mini(guests.Disk(path=stage.volume("data.raw", size_mib=8, data_mib=2), target="vdb"))
    capture(stage, name, "--volume", "vdb", "--no-seal")
    shown = stage.daemon.command("template", "show", name)
    assert [volume["target"] for volume in shown["manifest"]["volumes"]] == ["vdb"]
    assert fails("capture", name, "--volume", "vdz").code == "volume-not-found"


def test_an_unknown_server_is_an_error(fails):
    error = fails("capture", "no-such-server-here")
    assert (error.status, error.code) == (3, "server-not-found")


def test_a_volume_that_is_gone_is_an_error_and_leaves_nothing(stage, fails):
    name = stage.add_mini()
    stage.volume_path(name).unlink()
    error = fails("capture", name)
    assert (error.status, error.code) == (5, "volume-gone")
    assert stage.templates(name) == []


def test_a_block_device_is_captured_as_it_is(stage):
    backing = stage.volume("device.raw", size_mib=64, data_mib=16)
    device = shell.run(["losetup", "--find", "--show", str(backing)]).strip()
    try:
        disk = guests.Disk(path=device, is_block_device=True)
        name = stage.add(disk)
        capture(stage, name, "--no-seal")
        stage.daemon.command("deploy", name, f"{name}-copy", "--no-start", "--format", "raw")
        shell.run(["cmp", str(backing), str(stage.volume_path(f"{name}-copy"))])
    finally:
        shell.run(["losetup", "--detach", device])


def test_every_bus_and_format_comes_back_as_it_was(stage):
    base = stage.volume("base.qcow2", size_mib=32, format="qcow2", data_mib=8)
    disks = [
        guests.Disk(path=stage.volume("one.raw", size_mib=16, data_mib=4), target="vda", bus="virtio"),
        guests.Disk(path=stage.volume("two.qcow2", size_mib=24, format="qcow2", data_mib=4), format="qcow2", target="sda", bus="scsi"),
        guests.Disk(path=guests.overlay(base, stage.file("top.qcow2"), base_format="qcow2"), format="qcow2", target="sdb", bus="sata"),
        guests.Disk(path=stage.volume("four.raw", size_mib=8), target="hda", bus="ide"),
    ]  # fmt: skip
    name = stage.add(*disks, machine="pc")
    capture(stage, name, "--no-seal")
    copy = f"{name}-copy"
    stage.daemon.command("deploy", name, copy, "--no-start")
    buses = {row.split()[2]: row for row in shell.virsh("domblklist", copy, "--details").splitlines()}
    assert set(buses) >= {"vda", "sda", "sdb", "hda"}
    for disk in disks:
        shell.run(["qemu-img", "compare", str(disk.path), str(stage.volume_path(copy, disk.target))])


def test_ctrl_c_leaves_the_capture_running(stage):
    volume = guests.Disk(path=stage.volume("big.raw", size_mib=1500, data_mib=1200), target="vdb")
    name = stage.add_mini(volume)
    argv, environment = stage.daemon.argv("capture", name, "--no-seal")
    following = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with stage.daemon.client() as daemon:

        def find():
            return next((each for each in daemon.list_operations() if each.subject == name), None)

        begun = shell.wait_for("the capture to begin", find, deadline_seconds=60, poll_seconds=0.02)
    stage.daemon.wait_for_phase(str(begun.id), "copying")  # by then the command follows it
    following.send_signal(signal.SIGINT)
    _out, err = following.communicate(timeout=60)
    assert following.returncode == 130, err
    assert f"estampe operation wait {begun.id}" in err
    assert stage.daemon.command("operation", "wait", str(begun.id), deadline_seconds=300)["state"] == "succeeded"
