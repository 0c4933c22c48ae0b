"""Deploys of small servers, on real libvirt and through the command line."""

from __future__ import annotations

import pytest
from tests.support import guests, shell, tpm

pytestmark = [
    pytest.mark.requires_libvirt,
    pytest.mark.requires_qemu,
    pytest.mark.requires_root,
    pytest.mark.requires_guest,
]


def made_template(stage, *more: guests.Disk, **given) -> str:
    """Capture a mini server that is off; the template has its name."""
    name = stage.add_mini(*more, **given)
    stage.daemon.command("capture", name, "--no-seal", deadline_seconds=300)
    return name


def uuids(names: list[str]) -> list[str]:
    return [shell.virsh("domuuid", name) for name in names]


def test_a_uefi_server_boots_with_an_nvram_of_its_own(stage):
    source = stage.add_mini(is_started=True, is_uefi=True, memory_mib=256)  # OVMF leaves 128 MiB no room
    stage.daemon.command("capture", source, "--no-seal", deadline_seconds=300)
    copy = stage.name("copy")
    stage.daemon.command("deploy", source, copy, deadline_seconds=300)
    stage.wait_agent(copy)
    nvrams = [line for name in (source, copy) for line in shell.virsh("dumpxml", name).splitlines() if "<nvram" in line]
    assert len(nvrams) == 2
    assert nvrams[0] != nvrams[1]


def test_one_read_makes_many_servers_each_with_an_identity_of_its_own(stage):
    template = made_template(stage, network=stage.corner.network)
    stem = stage.name("many")
    ended = stage.daemon.command("deploy", template, stem, "--count", "3", "--no-start", deadline_seconds=300)
    assert ended["state"] == "succeeded"
    names = [f"{stem}-{number}" for number in (1, 2, 3)]
    assert len(set(uuids([template, *names]))) == 4
    assert len({shell.virsh("domiflist", name).split()[-1] for name in [template, *names]}) == 4
    for name in names:
        assert stage.corner.state(name) == "shut off"
        shell.run(["qemu-img", "compare", str(stage.volume_path(template)), str(stage.volume_path(name))])


def test_cpus_memory_and_a_larger_volume_are_as_asked(stage):
    template = made_template(stage)
    name = stage.name("large")
    stage.daemon.command(
        "deploy", template, name, "--no-start", "--cpus", "2", "--memory", "192MiB", "--volume", "vda=64MiB", "--format", "raw",
        deadline_seconds=300,
    )  # fmt: skip
    info = dict(line.split(":", 1) for line in shell.virsh("dominfo", name).splitlines() if ":" in line)
    assert info["CPU(s)"].strip() == "2"
    assert info["Max memory"].split() == [str(192 * 1024), "KiB"]
    assert stage.volume_path(name).stat().st_size == 64 << 20
    shell.run(["cmp", f"--bytes={33 << 20}", str(stage.volume_path(template)), str(stage.volume_path(name))])


def test_a_plan_says_all_and_does_nothing(stage):
    template = made_template(stage)
    before = stage.pool_volumes()
    plan = stage.daemon.command("deploy", template, stage.name("planned"), "--dry-run", "--count", "2")
    assert len(plan["servers"]) == 2
    assert plan["pool"] == stage.corner.pool
    assert plan["needed_bytes"] > 0
    assert stage.pool_volumes() == before
    assert stage.corner.domains() == [template]


def test_a_volume_is_never_made_smaller(stage, fails):
    template = made_template(stage)
    error = fails("deploy", template, stage.name(), "--volume", "vda=16MiB")
    assert (error.status, error.code) == (2, "volume-too-small")
    assert "33 MiB" in error.problem["detail"]


def test_a_name_in_use_is_refused(stage, fails):
    template = made_template(stage)
    error = fails("deploy", template, template)
    assert (error.status, error.code) == (5, "name-in-use")


def test_a_missing_pool_or_network_is_named_and_leaves_nothing(stage, fails):
    template = made_template(stage)
    pool = fails("deploy", template, stage.name(), "--pool", "no-such-pool")
    network = fails("deploy", template, stage.name(), "--network", "no-such-network")
    assert (pool.status, pool.code) == (3, "pool-not-found")
    assert (network.status, network.code) == (3, "network-not-found")
    assert stage.corner.pool in pool.problem["detail"]
    assert stage.pool_volumes() == []
    assert stage.corner.domains() == [template]


def test_a_template_that_is_not_there_is_an_error(fails):
    error = fails("deploy", "no-such-template", "anything")
    assert (error.status, error.code) == (3, "template-not-found")


def test_too_little_space_is_seen_beforehand(stage, fails, small_place):
    template = made_template(stage, guests.Disk(path=stage.volume("d.raw", size_mib=200, data_mib=150), target="vdb"))
    pool, directory = small_place(64)
    error = fails("deploy", template, stage.name(), "--pool", pool)
    assert (error.status, error.code) == (5, "no-space")
    assert list(directory.iterdir()) == []
    assert stage.corner.domains() == [template]


def test_space_that_runs_out_meanwhile_leaves_nothing(stage, fails, small_place):
    template = made_template(stage, guests.Disk(path=stage.volume("d.raw", size_mib=1400, data_mib=1200), target="vdb"))
    pool, directory = small_place(1500)
    begun = stage.daemon.command("deploy", template, stage.name(), "--pool", pool, "--no-wait")
    shell.wait_for("a volume", lambda: any(directory.iterdir()), deadline_seconds=60, poll_seconds=0.001)
    shell.run(["mount", "-o", "remount,size=800M", str(directory)])  # as if somebody had written 700 MB
    error = fails("operation", "wait", begun["id"])
    assert (error.status, error.code) == (5, "no-space")
    assert list(directory.iterdir()) == []
    assert stage.corner.domains() == [template]


def test_damaged_data_is_never_deployed(stage, fails):
    template = made_template(stage, guests.Disk(path=stage.volume("d.raw", size_mib=8, data_mib=8), target="vdb"))
    shown = stage.daemon.command("template", "show", template)
    chunks = sorted((stage.daemon.state_directory / "store/chunks").glob("*/*"), key=lambda path: path.stat().st_mtime)
    victim = chunks[-1]
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:])
    try:
        error = fails("deploy", f"{template}@{shown['template']['version']}", stage.name())
        assert (error.status, error.code) == (8, "chunk-corrupt")
        assert stage.pool_volumes() == []
        assert stage.corner.domains() == [template]
        checked = fails("store", "check", deadline_seconds=300)
        assert checked.status == 8
    finally:
        victim.write_bytes(whole)


def test_a_deployed_server_is_started_stopped_and_deleted_with_its_volumes(stage):
    template = made_template(stage)
    name = stage.name("life")
    stage.daemon.command("deploy", template, name, "--no-start", deadline_seconds=300)
    assert stage.daemon.command("server", "start", name)["power_state"] == "running"
    stage.wait_agent(name)
    assert stage.daemon.command("server", "stop", name, deadline_seconds=200)["power_state"] == "shut off"
    stage.daemon.command("server", "delete", name, "--delete-volumes", "--yes")
    assert stage.pool_volumes() == []
    assert name not in stage.corner.domains()


def test_a_deleted_template_is_gone_and_its_space_can_be_swept(stage, fails):
    template = made_template(stage, guests.Disk(path=stage.volume("d.raw", size_mib=8, data_mib=8), target="vdb"))
    stage.daemon.command("template", "delete", template, "--yes")
    stage.daemon.command("template", "purge", f"{template}@1", "--yes")
    assert fails("template", "show", template).code == "template-not-found"
    stage.daemon.command("store", "sweep", "--grace", "0s", "--yes", deadline_seconds=120)
    assert stage.daemon.command("store", "usage")["orphan_bytes"] == 0


def test_the_keys_of_a_tpm_are_in_the_server_that_is_to_keep_them_and_in_no_other(stage, fails):
    device = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
    source = stage.add_mini(extra_devices=device)
    tpm_starts(source)
    tpm.remember(*uuids([source]), "open sesame")
    captured = stage.daemon.command("capture", source, "--no-seal", "--keep-vtpm", deadline_seconds=300)
    assert captured["state"] == "succeeded"
    assert stage.daemon.command("template", "show", source)["manifest"]["has_vtpm"] is True
    heir, stranger = stage.name("heir"), stage.name("stranger")
    for name, choice in ((heir, "keep"), (stranger, "fresh")):
        stage.daemon.command("deploy", source, name, "--vtpm", choice, "--no-start", deadline_seconds=300)
        tpm_starts(name)
    assert [tpm.remembered(uuid) for uuid in uuids([source, heir, stranger])] == ["open sesame", "open sesame", None]
    error = fails("deploy", source, stage.name(), "--vtpm", "keep", "--count", "2")
    assert "one machine" in error.problem["detail"]


def tpm_starts(name: str) -> None:
    """libvirt prepares the TPM, or takes the one that it finds; the guest does not run."""
    shell.virsh("start", name, "--paused")
    shell.virsh("destroy", name)
