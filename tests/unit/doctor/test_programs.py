from __future__ import annotations

import pytest

from estampe.doctor import check, programs


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The only directory on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(path, name: str, script: str) -> None:
    (path / name).write_text(f"#!/bin/sh\n{script}\n")
    (path / name).chmod(0o755)


def test_a_missing_program_names_its_package(path):
    found = programs.check_program("qemu-img", package="qemu-utils", oldest=(7, 2))
    assert found.status is check.Status.FAIL
    assert found.fix == "apt-get install qemu-utils"


def test_a_program_tells_its_version(path):
    install(path, "qemu-img", "echo qemu-img version 8.2.1 '(Debian)'")
    assert programs.check_program("qemu-img", package="qemu-utils", oldest=(7, 2)) == check.ok("qemu-img", "8.2")


@pytest.mark.parametrize("version", ["7.1.0", "6.9", "unknown"])
def test_an_older_program_is_a_warning(path, version):
    install(path, "qemu-img", f"echo version {version}")
    assert programs.check_program("qemu-img", package="qemu-utils", oldest=(7, 2)).status is check.Status.WARN


def test_a_program_that_does_not_run_is_installed_anew(path):
    install(path, "qemu-img", "exit 127")
    found = programs.check_program("qemu-img", package="qemu-utils", oldest=(7, 2))
    assert found.status is check.Status.FAIL
    assert "--reinstall" in found.fix


def test_the_plugin_must_embed_our_python():
    dump = "name=python\npython_version=3.11.1\n"
    assert programs.check_plugin(dump, running=(3, 11)).status is check.Status.OK
    assert programs.check_plugin(dump, running=(3, 13)).status is check.Status.FAIL
    assert programs.check_plugin(None, running=(3, 11)).fix == "apt-get install nbdkit-plugin-python"


def test_a_module_that_cannot_be_imported_names_its_package():
    found = programs.check_binding("nosuch", package="python3-nosuch", script="import nosuch_module")
    assert found.status is check.Status.FAIL
    assert "ModuleNotFoundError" in found.found
    assert "apt-get install python3-nosuch" in found.fix
