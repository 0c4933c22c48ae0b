from __future__ import annotations

from pathlib import Path

import pytest

from estampe.doctor import appliance, check

ALL_PROGRAMS = {"e2fsck", "fsck.vfat", "xfs_repair", "btrfs", "ntfs-3g", "lvm"}
ALL_PACKAGES = {"e2fsprogs", "dosfstools", "xfsprogs", "btrfs-progs", "ntfs-3g", "lvm2"}


@pytest.fixture(autouse=True)
def _no_kernel_in_the_environment(monkeypatch):
    monkeypatch.delenv("SUPERMIN_KERNEL", raising=False)


def make_kernel(root: Path, release: str, *, has_modules: bool = True) -> tuple[Path, Path]:
    boot, modules = root / "boot", root / "modules"
    boot.mkdir(exist_ok=True)
    modules.mkdir(exist_ok=True)
    (boot / f"vmlinuz-{release}").write_bytes(b"")
    if has_modules:
        (modules / release).mkdir()
    return boot, modules


def test_a_host_without_a_kernel_cannot_seal(tmp_path):
    found = appliance.check_kernel(boot=tmp_path, modules=tmp_path)
    assert found.status is check.Status.FAIL
    assert found.fix == "apt-get install linux-image-cloud-amd64"


def test_a_kernel_with_its_modules_serves(tmp_path):
    boot, modules = make_kernel(tmp_path, "6.1.0-1-cloud-amd64")
    found = appliance.check_kernel(boot=boot, modules=modules)
    assert found.status is check.Status.OK
    assert found.found.endswith("vmlinuz-6.1.0-1-cloud-amd64")


def test_a_kernel_without_modules_does_not_serve(tmp_path):
    boot, modules = make_kernel(tmp_path, "6.1.0-1", has_modules=False)
    found = appliance.check_kernel(boot=boot, modules=modules)
    assert found.status is check.Status.FAIL
    assert "no modules" in found.found


def test_a_kernel_named_in_the_environment_counts(tmp_path, monkeypatch):
    kernel = tmp_path / "vmlinuz"
    kernel.write_bytes(b"")
    monkeypatch.setenv("SUPERMIN_KERNEL", str(kernel))
    assert appliance.check_kernel(boot=tmp_path / "none", modules=tmp_path).status is check.Status.OK
    monkeypatch.setenv("SUPERMIN_KERNEL", str(tmp_path / "gone"))
    assert appliance.check_kernel(boot=tmp_path / "none", modules=tmp_path).status is check.Status.FAIL


def test_all_file_systems_are_there():
    found = appliance.check_file_systems(listed=ALL_PACKAGES, installed=ALL_PROGRAMS)
    assert found.status is check.Status.OK


def test_a_missing_program_names_the_package_that_brings_it():
    found = appliance.check_file_systems(listed=ALL_PACKAGES, installed=ALL_PROGRAMS - {"ntfs-3g", "xfs_repair"})
    assert found.status is check.Status.WARN
    assert "xfs, ntfs" in found.found
    assert found.fix == "apt-get install libguestfs-xfs ntfs-3g"


def test_a_program_that_supermin_would_not_copy_is_missing_too():
    found = appliance.check_file_systems(listed=ALL_PACKAGES - {"xfsprogs"}, installed=ALL_PROGRAMS)
    assert found.fix == "apt-get install libguestfs-xfs"


def test_without_supermins_lists_only_programs_count():
    assert appliance.check_file_systems(listed=(), installed=ALL_PROGRAMS).status is check.Status.OK
