"""The main job on a real Debian 12 guest: captured while it runs, deployed larger, and both asked who they are.

One source and one clone for all tests of this file: each boot takes a minute under full emulation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.support import agent, corner, facts, guests, installation, shell

pytestmark = [
    pytest.mark.requires_libvirt,
    pytest.mark.requires_qemu,
    pytest.mark.requires_root,
    pytest.mark.requires_guest,
    pytest.mark.requires_appliance,
    pytest.mark.timeout(1800),  # the first test of the file waits for the whole story
]

BOOT_SECONDS = 600.0
WORK_SECONDS = 900.0
ADDRESS = "192.0.2.20/24"
CLONE_BYTES = 5 << 30


@dataclass(frozen=True, kw_only=True)
class Story:
    """What came to pass."""

    daemon: installation.Installation
    corner: corner.Corner
    source: str
    clone: str
    source_before: facts.Identity
    source_after: facts.Identity
    files_before: facts.Files
    files_after: facts.Files
    found: facts.Identity  # the clone
    found_files: facts.Files
    captured: dict  # results of the two operations
    deployed: dict
    template: dict
    checksum_before: str  # of the source's backing file, which nobody may write


@pytest.fixture(scope="module")
def story(our_corner, daemon, has_kvm) -> Iterator[Story]:
    source, clone = f"{our_corner.prefix}-web-01", f"{our_corner.prefix}-web-02"
    base = guests.copy(guests.build("debian12"), our_corner.directory / "debian12.qcow2")
    top = guests.overlay(base, our_corner.directory / f"{source}.qcow2", base_format="qcow2")
    seed = guests.seed(our_corner.directory / f"{source}-seed.iso", hostname="web-01", address="192.0.2.10/24")
    guests.Machine(
        name=source,
        disks=[guests.Disk(path=top, format="qcow2"), guests.Disk(path=seed, target="vdb", is_read_only=True)],
        has_kvm=has_kvm,
        cpus=2,
        memory_mib=512,
        is_uefi=True,
        network=our_corner.network,
    ).define()
    try:
        shell.virsh("start", source)
        facts.wait_until_up(source, deadline_seconds=BOOT_SECONDS)
        facts.fill(source, mebibytes=64)
        before, files = facts.identity(source), facts.files(source)
        checksum = shell.run(["b2sum", str(base)])
        captured = daemon.command(
            "capture", source, "--name", "web", "--note", "from a test", "--tag", "test", deadline_seconds=WORK_SECONDS
        )
        deployed = daemon.command(
            "deploy", "web", clone, "--hostname", "web-02", "--volume", f"vda={CLONE_BYTES}",
            "--network", our_corner.network, "--address", ADDRESS, deadline_seconds=WORK_SECONDS,
        )  # fmt: skip
        for name in (source, clone):
            facts.wait_until_up(name, deadline_seconds=BOOT_SECONDS)
        yield Story(
            daemon=daemon,
            corner=our_corner,
            source=source,
            clone=clone,
            source_before=before,
            source_after=facts.identity(source),
            files_before=files,
            files_after=facts.files(source),
            found=facts.identity(clone),
            found_files=facts.files(clone),
            captured=captured["result"],
            deployed=deployed["result"],
            template=daemon.command("template", "show", "web", "--packages"),
            checksum_before=checksum,
        )
    finally:
        for name in our_corner.domains():
            our_corner.remove_domain(name)


def test_the_clone_has_the_name_address_and_size_that_were_asked_for(story):
    assert story.found.hostname == "web-02"
    assert story.found.addresses == (ADDRESS,)
    assert story.found.root_bytes > CLONE_BYTES * 9 // 10


def test_the_clone_has_every_file_of_the_source(story):
    assert story.found_files == story.files_before


def test_the_clone_has_an_identity_of_its_own(story):
    assert story.found.machine_id
    assert story.found.machine_id != story.source_before.machine_id
    assert story.found.host_keys
    assert not set(story.found.host_keys) & set(story.source_before.host_keys)
    for look in (("domuuid",), ("domiflist",)):
        assert shell.virsh(*look, story.clone).split()[-1] != shell.virsh(*look, story.source).split()[-1]


def test_the_source_runs_again_as_it_was(story):
    assert story.corner.state(story.source) == "running"
    assert story.source_after.boot_id != story.source_before.boot_id
    assert story.source_after.machine_id == story.source_before.machine_id
    assert story.source_after.host_keys == story.source_before.host_keys
    assert story.source_after.hostname == "web-01"
    assert story.files_after == story.files_before


def test_the_source_was_shut_down_cleanly(story):
    said = agent.run(
        story.source,
        "journalctl --no-pager -b -1 2>/dev/null | tail -n 40 || true; dmesg | grep -i 'recovering journal' || true",
    )
    assert "recovering journal" not in said
    assert "orphan" not in said


def test_the_sources_backing_file_was_not_written(story):
    base = story.corner.directory / "debian12.qcow2"
    assert shell.run(["b2sum", str(base)]) == story.checksum_before


def test_the_template_is_sealed_and_says_what_was_done(story):
    sealing = story.template["manifest"]["sealing"]
    assert sealing["is_sealed"], sealing["why_not"]
    assert any("machine-id" in action for action in sealing["actions"])
    assert any("SSH" in action or "ssh" in action for action in sealing["actions"])


def test_a_deleted_file_is_in_no_copy(story):
    assert story.template["manifest"]["sealing"]["trimmed_bytes"] >= facts.DELETED_BYTES
    source = story.corner.directory / f"{story.source}.qcow2"
    clone = shell.virsh("domblklist", story.clone).splitlines()[0].split(maxsplit=1)[1].strip()
    assert facts.occurrences(str(source), facts.DELETED_MARK) > 0
    assert facts.occurrences(clone, facts.DELETED_MARK) == 0


def test_the_template_knows_its_guest_and_its_server(story):
    manifest = story.template["manifest"]
    assert (manifest["guest"]["distribution"], manifest["guest"]["version"].split(".")[0]) == ("debian", "12")
    assert manifest["guest"]["hostname"] == "web-01"
    assert manifest["guest"]["can_grow_root"] is True
    assert manifest["has_nvram"] is True
    assert manifest["configuration"]["firmware"] == "uefi"
    assert "vdb" in " ".join(left["what"] for left in manifest["configuration"]["left_out"])
    row = story.template["template"]
    assert (row["note"], row["tags"], row["state"]) == ("from a test", ["test"], "active")


def test_the_template_knows_how_its_guest_goes_about_things_and_what_is_in_it(story):
    guest, layout = story.template["manifest"]["guest"], story.template["manifest"]["layout"]
    assert (guest["init"], guest["network"], guest["seed_reader"]) == ("systemd", "systemd-networkd", "cloud-init")
    assert layout["volumes"][0]["table"] == "gpt"
    assert {"vfat", "ext4"} <= {part["content"] for part in layout["volumes"][0]["partitions"]}
    inventory = story.template["inventory"]
    assert "cloud-init" in {package["name"] for package in inventory["packages"]}
    assert len(inventory["packages"]) == guest["package_count"]
    assert {"name": "root", "uid": 0, "shell": "/bin/bash"} in inventory["users"]
    assert "systemd-networkd.service" in inventory["services"]
    assert "/etc/fstab" in inventory["files"]
    assert not any(path.startswith("/etc/ssh/ssh_host_") for path in inventory["files"])
    assert inventory["cut"] == []


def test_the_deploy_was_confirmed_by_the_guest(story):
    [server] = story.deployed["servers"]
    assert server["is_confirmed"] is True, server["detail"]
    assert ADDRESS in server["addresses"]


def test_the_template_is_a_fraction_of_the_volume(story):
    assert story.captured["logical_bytes"] == 2 << 30
    assert story.captured["new_bytes"] < story.captured["data_bytes"] < story.captured["logical_bytes"]
    assert 0 < story.captured["offline_seconds"] < WORK_SECONDS


@pytest.mark.every_guest  # a launch of the appliance more, a minute and a half under full emulation
def test_a_second_capture_stores_only_what_changed(story):
    """Last in the file: the clone, which has booted since, is shut down and captured."""
    story.daemon.command("server", "stop", story.clone, deadline_seconds=WORK_SECONDS)
    again = story.daemon.command("capture", story.clone, "--name", "web", deadline_seconds=WORK_SECONDS)["result"]
    assert again["template"] == "web@2"
    assert again["new_bytes"] < story.captured["new_bytes"] // 4
    different = story.daemon.command("template", "diff", "web@1", "web@2")
    assert (different["packages"], different["users"], different["not_compared"]) == ([], [], [])
