"""Two who want the same at once, things that vanish under an operation, and cancels in the middle of a copy."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from tests.faults import bench as benches
from tests.faults import left, lives
from tests.faults import site as sites

from estampe import errors

pytestmark = [pytest.mark.requires_libvirt, pytest.mark.requires_qemu, pytest.mark.requires_root]

CANCEL_SECONDS = 10.0  # "within seconds", on a machine that does other things too
# What one thread takes two seconds or more to compress at the level that the site asks for.
LARGE = {"size_mib": 512, "data_mib": 256}
LEVEL = 5


@pytest.fixture
def site(daemons, appliance_cache):
    made = sites.Site(appliance=appliance_cache)
    made.settings["compression_level"] = LEVEL
    yield made
    daemons.end_all()
    made.close()


@pytest.fixture
def bench(daemons, site):
    return benches.Bench(daemons, site)


def add(bench, name, *volumes, **kinds):
    """A server, and all that is there besides."""
    server = bench.here.add_server(name, *volumes, **kinds)
    bench.before = left.files(bench.here)
    return server, bench.here.definition(server)


def engraved(bench, *volumes, **kinds):
    """A template, and the server it was captured from."""
    server, _ = add(bench, "engraved", *(volumes or (sites.raw("engraved"),)), **kinds)
    ended = bench.run("capture", server=server.name, is_sealed=False)
    return bench.template_is_whole(ended, server), server


def outcomes(bench, commands):
    """(operation ids that began, errors of the others) of commands given at once."""
    begun, refused = [], []
    for answer in bench.life.ask("together", commands=commands):
        try:
            begun.append(lives.Life.value_of(answer))
        except errors.EstampeError as error:
            refused.append(error)
    return begun, refused


# --- the same at once -----------------------------------------------------------------------------------------------------


def test_of_captures_of_one_server_at_once_one_begins_and_the_others_hear_that_it_is_busy(bench):
    server, _ = add(bench, "one", sites.raw("one"))
    begun, refused = outcomes(bench, [{"do": "capture", "server": server.name, "is_sealed": False}] * 6)
    (operation,) = begun
    assert {type(error) for error in refused} == {errors.ServerBusy}
    assert {error.facts["operation"] for error in refused} == {operation}
    bench.template_is_whole(bench.life.wait(operation), server)
    bench.nothing_is_left()


def test_of_deploys_of_one_name_at_once_one_begins_and_the_others_hear_that_the_name_is_in_use(bench):
    template, server = engraved(bench)
    name = f"{bench.here.token}-print"
    command = {"do": "deploy", "template": template, "name": name, "is_started": False}
    begun, refused = outcomes(bench, [command] * 6)
    (operation,) = begun
    assert {type(error) for error in refused} == {errors.NameInUse}
    bench.server_is_deployed(bench.life.wait(operation), name, server)
    bench.delete_server(name)
    bench.nothing_is_left()


def test_a_template_that_is_being_deployed_cannot_be_deleted(bench):
    template, server = engraved(bench)
    name = f"{bench.here.token}-print"
    bench.life.arm("hydrate vda", "begin", "hold")
    operation = bench.life.ask("deploy", template=template, name=name, is_started=False)
    bench.life.wait_for_phase(operation, "creating volumes")
    with pytest.raises(errors.TemplateInUse) as refused:
        bench.life.ask("delete_template", template=template)
    assert refused.value.facts["operation"] == operation
    bench.life.ask("release")
    bench.server_is_deployed(bench.life.wait(operation), name, server)
    bench.delete_server(name)
    bench.nothing_is_left()
    bench.forget_template(template)


def test_of_a_delete_and_a_deploy_of_one_template_at_once_one_wins_whole(bench):
    server, _ = add(bench, "engraved", sites.raw("engraved"))
    for nth in range(3):
        template = bench.template_is_whole(bench.run("capture", server=server.name, is_sealed=False), server)
        name = f"{bench.here.token}-print-{nth}"
        deploy = {"do": "deploy", "template": template, "name": name, "is_started": False}
        begun, refused = outcomes(bench, [deploy, {"do": "delete_template", "template": template}])
        operation = next((each for each in begun if each), None)
        if operation and bench.life.wait(operation)["state"] == "succeeded":
            assert {type(error) for error in refused} == {errors.TemplateInUse}
            bench.server_is_deployed(bench.life.wait(operation), name, server)
            bench.delete_server(name)
            bench.life.ask("delete_template", template=template)
        else:
            assert bench.life.ask("templates") == {}
        bench.nothing_is_left()


def test_sweeps_beside_captures_take_nothing_that_these_need(bench):
    """Without any grace, one sweep after the other, while captures of the same and of other data run and templates go."""
    servers = [add(bench, f"s{nth}", sites.raw(f"shared-{nth % 2}", size_mib=64, data_mib=48))[0] for nth in range(3)]
    sweeps = 0
    for _round in range(2):
        captures = [bench.life.ask("capture", server=server.name, is_sealed=False) for server in servers]
        while not all(bench.life.ask("wait", id=each, timeout_seconds=0)["has_ended"] for each in captures):
            assert bench.run("sweep", grace_seconds=0)["state"] == "succeeded"
            sweeps += 1
        templates = [
            bench.template_is_whole(bench.life.wait(each), server)
            for each, server in zip(captures, servers, strict=True)
        ]
        for template in templates[:2]:
            bench.life.ask("delete_template", template=template)
        assert bench.run("sweep", grace_seconds=0)["state"] == "succeeded"
        assert left.template_contents(bench.here, templates[2]) == servers[2].contents
        bench.life.ask("delete_template", template=templates[2])
    assert sweeps > 2
    bench.nothing_is_left()
    bench.store_sweeps_clean()


# --- what others do to the server -----------------------------------------------------------------------------------------


def copying(bench, server, **asked):
    """A capture in the middle of its copy."""
    operation = bench.life.ask("capture", server=server.name, is_sealed=False, **asked)
    bench.life.wait_for_phase(operation, "copying")
    time.sleep(0.2)
    return operation


def failed(bench, operation, *codes):
    ended = bench.life.wait(operation)
    assert ended["state"] == "failed", ended
    assert ended["error"]["code"] in codes, ended
    return ended


@pytest.mark.parametrize("make", [sites.raw, sites.qcow2, sites.device])
def test_a_server_cannot_be_started_while_it_is_copied(bench, make):
    server, _ = add(bench, "fenced", make("fenced", **LARGE))
    operation = copying(bench, server)
    ran = subprocess.run(["virsh", "-c", sites.URI, "start", server.uuid], capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    # QEMU's own words: libvirt passes them on, but for where QEMU had gone before libvirt could ask it anything.
    said = Path(f"/var/log/libvirt/qemu/{server.name}.log").read_text()
    assert "lock" in said or "not writable" in said
    definition = bench.here.definition(server)  # libvirt has completed it
    bench.template_is_whole(bench.life.wait(operation), server)
    left.server_is_as_before(bench.here, server, definition=definition, power_state="shut off")
    bench.nothing_is_left()


def test_a_server_started_while_the_daemon_was_dead_is_found_out(bench):
    server, _ = add(bench, "started", sites.raw("started"))
    bench.life.arm("copy", "begin", "kill")
    operation = bench.life.ask("capture", server=server.name, is_sealed=False)
    bench.life.await_death()
    bench.here.host.start(server.uuid)
    bench.restart()
    failed(bench, operation, "server-started", "volume-locked")
    assert bench.here.power_state(server) == "running"
    bench.nothing_is_left()
    bench.store_sweeps_clean()


def test_a_volume_written_to_by_a_program_that_takes_no_lock_is_found_out(bench):
    server, definition = add(bench, "written", sites.raw("written", **LARGE))
    operation = copying(bench, server)
    with server.paths[0].open("r+b") as stream:
        stream.write(b"not the same server any more")
    failed(bench, operation, "server-started")
    assert bench.here.definition(server) == definition
    bench.nothing_is_left()
    bench.store_sweeps_clean()


@pytest.mark.parametrize(
    ("harm", "codes"),
    [
        ("undefine", {"server-not-found"}),
        ("remove", {"volume-gone"}),
        ("truncate", {"block-io", "server-started", "volume-gone"}),
    ],
)
@pytest.mark.parametrize("is_running", [False, True])
def test_what_vanishes_during_the_copy_is_a_clear_error_and_nothing_stays(bench, harm, codes, is_running):
    """A server that ran gets its power back, unless there is nothing any more to give it to."""
    server, definition = add(bench, "vanishing", sites.raw("vanishing", **LARGE), is_running=is_running)
    operation = copying(bench, server, is_forced=True, stop_timeout_seconds=0.05)
    vanish(bench, server, harm)
    failed(bench, operation, *codes)
    if harm != "undefine":
        assert bench.here.definition(server) == definition
    if is_running and harm == "truncate":
        assert bench.here.power_state(server) == "running"
    bench.before = left.files(bench.here) | {"work directories": set(), "sockets": set(), "store drafts": set()}
    bench.nothing_is_left()
    bench.store_sweeps_clean()


@pytest.mark.parametrize(
    ("harm", "codes"), [("undefine", {"server-not-found"}), ("remove", {"volume-gone"}), ("truncate", None)]
)
def test_what_vanishes_while_the_capture_is_queued_is_a_clear_error_and_nothing_stays(bench, harm, codes):
    server, _ = add(bench, "vanishing", sites.raw("vanishing"))
    bench.life.arm("examine", "begin", "hold")
    operation = bench.life.ask("capture", server=server.name, is_sealed=False)
    vanish(bench, server, harm)
    bench.life.ask("release")
    if codes is None:  # a smaller volume is a volume
        ended = bench.life.wait(operation)
        template = ended["result"]["template_id"]
        assert left.template_contents(bench.here, template) == (sites.digest(server.paths[0]),)
        bench.life.ask("delete_template", template=template)
    else:
        failed(bench, operation, *codes)
    bench.before = left.files(bench.here) | {"work directories": set(), "sockets": set(), "store drafts": set()}
    bench.nothing_is_left()
    bench.store_sweeps_clean()


def vanish(bench, server, harm):
    if harm == "undefine":
        bench.here.host.undefine(server.uuid)
    elif harm == "remove":
        server.paths[0].unlink()
    else:
        os.truncate(server.paths[0], 1 * sites.MIB)


# --- cancels --------------------------------------------------------------------------------------------------------------


def cancelled(bench, operation):
    """Cancel it, and see its end within seconds."""
    asked_at = time.monotonic()
    bench.life.ask("cancel", id=operation)
    ended = bench.life.wait(operation)
    assert ended["state"] == "cancelled", ended
    assert "not_undone" not in ended["error"]["facts"], ended
    assert time.monotonic() - asked_at < CANCEL_SECONDS
    return ended


def test_a_capture_cancelled_in_the_middle_of_its_copy_ends_within_seconds_and_the_server_runs_again(bench):
    server, definition = add(bench, "cancelled", sites.raw("cancelled", **LARGE), is_running=True)
    operation = copying(bench, server, is_forced=True, stop_timeout_seconds=0.05)
    cancelled(bench, operation)
    left.server_is_as_before(bench.here, server, definition=definition, power_state="running")
    bench.nothing_is_left()
    bench.store_sweeps_clean()


@pytest.mark.parametrize("volume_format", ["raw", "qcow2"])
def test_a_deploy_cancelled_in_the_middle_of_its_copy_ends_within_seconds_and_leaves_nothing(bench, volume_format):
    template, _ = engraved(bench, sites.raw("large", **LARGE))
    operation = bench.life.ask(
        "deploy", template=template, name=f"{bench.here.token}-print", volume_format=volume_format
    )
    bench.life.wait_for_phase(operation, "restoring")
    time.sleep(0.1)
    cancelled(bench, operation)
    bench.nothing_is_left()


@pytest.mark.requires_appliance
def test_a_capture_cancelled_while_its_copy_is_sealed_ends_within_seconds_and_leaves_nothing(bench):
    server, definition = add(bench, "sealed", sites.debian)
    operation = bench.life.ask("capture", server=server.name)
    assert sites.eventually(lambda: left.appliance_sockets(bench.here), timeout_seconds=240)
    sockets = left.appliance_sockets(bench.here)
    cancelled(bench, operation)
    left.server_is_as_before(bench.here, server, definition=definition, power_state="shut off")
    bench.nothing_is_left()
    assert not [path for path in sockets if path.exists()]
    bench.store_sweeps_clean()


def test_a_queued_capture_is_cancelled_at_once(bench):
    servers = [add(bench, f"q{nth}", sites.raw(f"q{nth}"))[0] for nth in range(3)]
    bench.life.arm("examine", "begin", "hold")
    bench.life.arm("examine", "begin", "hold")
    *_, last = [bench.life.ask("capture", server=server.name, is_sealed=False) for server in servers]
    cancelled(bench, last)
    bench.life.ask("release")
    for told in bench.life.ask("operations")[1:]:
        assert bench.life.wait(told["id"])["state"] == "succeeded"
    bench.nothing_is_left()
