"""The appliance's child process from outside, with small programs in the worker's place."""

import json
import os
import sys

import pytest

from estampe import errors
from estampe.guest import appliance, base, process_group, protocol
from estampe.model import adjustment, final
from estampe.model import guest as guests

SEALING = guests.Sealing(is_sealed=False, why_not="no operating system was found", actions=(), trimmed_bytes=0)
FINISHED = base.Finished(guest=None, sealing=SEALING)

# Says who it is, with a child of its own, then waits for ever without minding SIGTERM.
HANGING = """trap '' TERM; sleep 1000 & echo '{"progress": "'$$'"}'; sleep 1000"""


class Asked(Exception):
    """Somebody cancelled."""


def finish(tmp_path, program, *arguments, deadline_seconds=30.0, check_cancelled=lambda: None, told=None, **changed):
    runner = ["sh", "-c"] if program is HANGING else [sys.executable, "-c"]
    return appliance.finish(
        appliance.Job(drives=()),
        is_kvm_usable=False,
        work_directory=tmp_path / "work",
        deadline_seconds=deadline_seconds,
        check_cancelled=check_cancelled,
        tell=(told if told is not None else []).append,
        worker=[*runner, program, *arguments],
        **changed,
    )


def test_progress_is_passed_on_and_the_outcome_returned(tmp_path):
    told = []
    lines = protocol.progress_line("inspecting") + protocol.finished_line(FINISHED)
    assert finish(tmp_path, f"print({lines!r}, end='')", told=told) == FINISHED
    assert told == ["inspecting"]


def test_the_worker_gets_its_job_and_an_environment_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("LIBGUESTFS_DEBUG", "1")
    program = """
import json, os, sys
job = json.load(sys.stdin)
names = [name for name in os.environ if name.startswith("LIBGUESTFS_")] + ["TMPDIR"]
print(json.dumps({"progress": json.dumps([job, {name: os.environ[name] for name in names}])}))
"""
    told = []
    with pytest.raises(errors.ApplianceFailed):
        finish(tmp_path, program, told=told, cache_directory=tmp_path / "kept")
    job, env = json.loads(told[0])
    wish = {"keep": [], "remove": []}
    assert job == {
        "drives": [], "adaptation": None, "is_uefi": False, "memory_mib": protocol.MEMORY_MIB, "wish": wish
    }  # fmt: skip
    assert env == {
        "LIBGUESTFS_BACKEND": "direct",
        "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg",
        "LIBGUESTFS_APPEND": "nosmap",
        "LIBGUESTFS_TMPDIR": str(tmp_path / "work/appliance-tmp"),
        "LIBGUESTFS_CACHEDIR": str(tmp_path / "kept"),
        "TMPDIR": str(tmp_path / "work/appliance-tmp"),
    }
    assert not (tmp_path / "work/appliance-tmp").exists()


def test_a_worker_that_hangs_is_ended_at_the_deadline_with_all_it_started(tmp_path):
    told = []
    with pytest.raises(errors.ApplianceFailed, match=r"did not finish within 1 s and was ended"):
        finish(tmp_path, HANGING, deadline_seconds=1, told=told)
    assert process_group.ProcessGroup(int(told[0])).members() == []


def test_a_cancel_ends_it_at_once_with_all_it_started(tmp_path):
    told = []

    def check():
        if told:
            raise Asked

    with pytest.raises(Asked):
        finish(tmp_path, HANGING, check_cancelled=check, told=told)
    assert process_group.ProcessGroup(int(told[0])).members() == []


def test_the_socket_directory_of_a_killed_qemu_is_removed(tmp_path):
    sockets = tmp_path / "libguestfsAb12Cd"
    sockets.mkdir()
    with pytest.raises(errors.ApplianceFailed):
        finish(tmp_path, HANGING, "-chardev", f"socket,path={sockets}/guestfsd.sock,id=c", deadline_seconds=1)
    assert not sockets.exists()


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import sys; sys.exit('guestfs: no kernel')", r"ended \(status 1\): guestfs: no kernel"),
        ("import os; os.kill(os.getpid(), 11)", r"ended \(status -11\): no message"),
        ('print(\'{"failed": "it does not start"}\')', "it does not start"),
        ("print('hello')", "cannot be read"),
        ('print(\'{"finished": {"guest": 3}}\')', "cannot be read"),
        ("print('[]')", "cannot be read"),
        ("print('x' * (17 << 20))", "said too much"),
        ("", r"ended \(status 0\): no message"),
    ],
)
def test_a_worker_that_fails_is_told_with_its_reason(tmp_path, program, reason):
    with pytest.raises(errors.ApplianceFailed, match=reason):
        finish(tmp_path, program)


def test_a_missing_guestfs_is_told(tmp_path):
    with pytest.raises(errors.ApplianceFailed, match="No module named 'nowhere'"):
        finish(tmp_path, "import nowhere")


def test_what_is_sent_arrives(tmp_path):
    drives = (protocol.Drive(target="vda", overlay=tmp_path / "a b.qcow2"),)
    assert protocol.decode_job(protocol.encode_job(protocol.Job(drives=drives))).drives == drives
    assert protocol.decode_line(protocol.finished_line(FINISHED).encode()) == FINISHED


def test_a_group_knows_its_living_members_only():
    assert os.getpid() in process_group.ProcessGroup(os.getpgrp()).members()
    assert process_group.ProcessGroup(2**22 + 1).members() == []


def adapt(tmp_path, line):
    wish = final.FinalConfiguration(instance_id="1", hostname="new", ssh_keys=("ssh-ed25519 A",))
    actions = (adjustment.GrowFileSystem(device="vda1", kind="ext4"), adjustment.GrowPhysicalVolume(device="vdb"))
    job = appliance.Job(
        drives=(),
        adaptation=adjustment.Adaptation(
            actions=actions, configurations=(adjustment.Configuring(server="new", wish=wish),)
        ),
    )
    assert protocol.decode_job(protocol.encode_job(job)) == job
    return appliance.adapt(
        job, is_kvm_usable=False, work_directory=tmp_path / "work", deadline_seconds=30.0, check_cancelled=lambda: None,
        worker=[sys.executable, "-c", f"print({line!r}, end='')"],
    )  # fmt: skip


def test_an_adaptation_has_an_outcome_of_its_own_and_its_job_is_nobody_elses_to_read(tmp_path):
    change = final.Change(what="host name", means=final.Means.APPLIANCE, detail="new")
    adapted = base.Adapted(changes={"new": (change,)})
    assert adapt(tmp_path, protocol.adapted_line(adapted)) == adapted
    assert (tmp_path / "work/appliance-job.json").stat().st_mode & 0o077 == 0


def test_a_worker_that_did_another_job_is_not_believed(tmp_path):
    with pytest.raises(errors.ApplianceFailed, match="another job"):
        adapt(tmp_path, protocol.finished_line(FINISHED))
