from __future__ import annotations

from pathlib import Path

import pytest

from estampe import config, units
from estampe.doctor import check, hypervisor

URI = "qemu:///system"


def named(name: str, *, is_active: bool = True, available_bytes: int | None = None) -> hypervisor.Named:
    return hypervisor.Named(name, is_active, True, available_bytes)


def test_an_active_pool_with_space_is_well():
    found = hypervisor.check_pool("default", [named("default", available_bytes=50 * units.GIB)], uri=URI)
    assert found.status is check.Status.OK
    assert "50 GiB free" in found.found


def test_a_full_pool_is_a_warning():
    found = hypervisor.check_pool("default", [named("default", available_bytes=units.GIB)], uri=URI)
    assert found.status is check.Status.WARN


def test_an_inactive_pool_is_started_by_the_fix():
    found = hypervisor.check_pool("default", [named("default", is_active=False)], uri=URI)
    assert found.status is check.Status.FAIL
    assert found.fix.splitlines()[0] == "virsh -c qemu:///system pool-start default"


def test_a_missing_pool_is_a_failure_only_where_there_is_no_other():
    alone = hypervisor.check_pool("default", [], uri=URI)
    assert alone.status is check.Status.FAIL
    assert "pool-define-as default dir" in alone.fix
    beside = hypervisor.check_pool("default", [named("fast")], uri=URI)
    assert beside.status is check.Status.WARN
    assert "set default_pool to one of: fast" in beside.fix


def test_an_active_network_is_well():
    found = hypervisor.check_network("default", [named("default")], uri=URI, has_dnsmasq=True)
    assert found.status is check.Status.OK


def test_a_stopped_network_is_started_by_the_fix():
    found = hypervisor.check_network("lan", [named("lan", is_active=False)], uri=URI, has_dnsmasq=True)
    assert found.status is check.Status.WARN
    assert found.fix.splitlines() == [f"virsh -c {URI} net-start lan", f"virsh -c {URI} net-autostart lan"]


def test_a_missing_default_network_is_defined_by_the_fix():
    found = hypervisor.check_network("default", [named("lan")], uri=URI, has_dnsmasq=True)
    assert found.status is check.Status.WARN
    assert "net-define /usr/share/libvirt/networks/default.xml" in found.fix
    assert "set default_network to one of: lan" in found.fix


@pytest.mark.parametrize("networks", [[], [named("default", is_active=False)]])
def test_a_network_that_cannot_start_for_want_of_dnsmasq_gets_it_first(networks):
    found = hypervisor.check_network("default", networks, uri=URI, has_dnsmasq=False)
    assert found.status is check.Status.WARN
    assert "dnsmasq is not installed" in found.found
    assert found.fix.splitlines()[0] == "apt-get install dnsmasq-base"
    assert f"virsh -c {URI} net-start default" in found.fix


def test_an_active_network_needs_no_dnsmasq_to_be_well():
    found = hypervisor.check_network("lan", [named("lan")], uri=URI, has_dnsmasq=False)  # a bridge
    assert found.status is check.Status.OK


def test_a_host_without_a_tpm_emulator_is_told_what_it_costs():
    assert hypervisor.check_tpm(has_swtpm=True).status is check.Status.OK
    found = hypervisor.check_tpm(has_swtpm=False)
    assert found.status is check.Status.WARN
    assert "without" in found.found
    assert found.fix == "apt-get install swtpm swtpm-tools"


def test_an_older_libvirt_is_a_warning():
    new = hypervisor.Seen(libvirt=(9, 0, 0), qemu=(7, 2, 22), pools=(), networks=())
    old = hypervisor.Seen(libvirt=(8, 6, 0), qemu=(7, 0, 0), pools=(), networks=())
    assert hypervisor.check_libvirt(new, uri=URI) == check.ok("libvirt", f"9.0.0 with QEMU 7.2.22 at {URI}")
    assert hypervisor.check_libvirt(old, uri=URI).status is check.Status.WARN


def test_full_emulation_by_choice_is_a_warning_that_names_the_setting(tmp_path: Path):
    settings = config.Settings(accelerator="tcg", state_directory=tmp_path)
    found = hypervisor.check_acceleration(settings)
    assert found.status is check.Status.WARN
    assert "accelerator" in found.fix


def test_kvm_by_choice_is_taken_for_granted(tmp_path: Path):
    settings = config.Settings(accelerator="kvm", state_directory=tmp_path)
    found = hypervisor.check_acceleration(settings)
    assert found.status is check.Status.OK
    assert "taken for granted" in found.found


def test_a_libvirt_that_does_not_answer_is_one_failure():
    found = list(hypervisor.check_host("qemu+unix:///system?socket=/nonexistent", pool="default", network="default"))
    assert [each.status for each in found] == [check.Status.FAIL]
    assert "systemctl enable --now libvirtd" in found[0].fix
