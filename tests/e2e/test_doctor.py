"""The doctor on the machine that the other end-to-end tests run on: it must find what they use."""

from __future__ import annotations

import subprocess

import pytest
from tests.support import shell

pytestmark = [pytest.mark.requires_libvirt, pytest.mark.requires_qemu, pytest.mark.requires_root]


@pytest.fixture(scope="module")
def checks(daemon) -> dict[str, dict]:
    # Beside other tests this shares the machine, and the launch takes its time.
    found = daemon.command("doctor", "--full", deadline_seconds=300, may_fail=True)["checks"]
    return {check["name"]: check for check in found}


@pytest.mark.requires_appliance
def test_what_the_other_tests_use_is_well(checks, our_corner):
    needed = {
        "Python module libvirt", "Python module nbd", "Python module guestfs", "qemu-img", "qemu-nbd", "nbdkit",
        "nbdkit's Python plugin", "libvirt", f"storage pool {our_corner.pool}", f"network {our_corner.network}",
        "UEFI firmware", "appliance kernel", "appliance launch", "state directory", "store", "way for QEMU to the seeds",
        "NVRAM directory", "daemon",
    }  # fmt: skip
    assert {name: checks[name] for name in needed if checks[name]["status"] == "fail"} == {}
    assert needed <= set(checks)


def test_what_is_not_well_has_a_fix(checks):
    assert [name for name, check in checks.items() if check["status"] != "ok" and not check["fix"]] == []


def test_the_answer_about_kvm_is_the_daemons(checks, has_kvm):
    assert (checks["KVM"]["status"] == "ok") == has_kvm


def test_a_stopped_network_and_pool_are_told_with_the_commands_that_start_them(daemon, our_corner, tmp_path):
    name = f"{our_corner.prefix}-off"
    shell.virsh("pool-define-as", name, "dir", "--target", str(tmp_path))
    try:
        argv, environment = daemon.argv("doctor")
        environment |= {"ESTAMPE_DEFAULT_POOL": name, "ESTAMPE_DEFAULT_NETWORK": f"{name}-net"}
        said = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert said.returncode == 1  # a pool that is not active is a failure
        assert f"virsh -c qemu:///system pool-start {name}" in said.stdout
        assert f"network {name}-net" in said.stdout
    finally:
        shell.virsh("pool-undefine", name)
