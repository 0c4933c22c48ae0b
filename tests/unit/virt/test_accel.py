import json
import platform
import time

import pytest

from estampe.virt import accel

_SHORT = 2  # hardware takes 0.3 s; an answer that is wrong for a slow host is remembered just as well

pytestmark = pytest.mark.requires_qemu


def test_the_probe_is_one_sector_that_a_bios_boots():
    sector = accel.boot_sector()
    assert len(sector) == 512
    assert sector[510:] == b"\x55\xaa"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the probe is x86's")
def test_the_probe_boots_by_emulation():
    assert accel.boots("tcg", deadline_seconds=60)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the probe is x86's")
def test_a_guest_that_does_not_report_in_time_is_ended():
    began = time.monotonic()
    assert not accel.boots("tcg", deadline_seconds=0.05)
    assert time.monotonic() - began < 5


def test_an_answer_is_remembered_for_this_boot_kernel_and_qemu(tmp_path):
    path = tmp_path / "run" / "kvm.json"
    if not accel._KVM_DEVICE.exists():
        assert accel.probe_kvm(answer_path=path) is False
        assert not path.exists()
        return
    first = accel.probe_kvm(answer_path=path, deadline_seconds=_SHORT)
    record = json.loads(path.read_text())
    assert record["is_working"] is first
    began = time.monotonic()
    assert accel.probe_kvm(answer_path=path, deadline_seconds=_SHORT) is first
    assert time.monotonic() - began < 2  # asked QEMU's version only
    path.write_text(json.dumps(record | {"is_working": not first}))
    assert accel.probe_kvm(answer_path=path, deadline_seconds=_SHORT) is not first  # believed
    for stale in (json.dumps(record | {"key": "another boot", "is_working": not first}), "{", "[]", '{"key": 1}'):
        path.write_text(stale)
        assert accel._remembered(path, accel._key()) is None
