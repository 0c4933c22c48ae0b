"""Capture from request to template on a fake host, cut off at every step, failing and cancelled."""

import dataclasses
import os
import random
import subprocess
import uuid
from pathlib import Path

import pytest
from site_under_test import CHUNK, CLEAN, OWNER, SIZE

from estampe import errors
from estampe.capture import request as requests
from estampe.jobs import memory as memory_engine
from estampe.model import configuration, listing, operation, power
from estampe.model import template as templates
from estampe.store import chunks as store_chunks
from estampe.store import manifests
from estampe.virt import base as virt
from estampe.virt import domain_xml, qemu_img

STEPS = ["examine", "reserve", "stop", "copy", "restore power", "finish", "store manifest", "publish", "clean up"]


def _content(site, reference):
    """The bytes of the template's only volume, read back from the store."""
    found = site.services.templates.get(OWNER, reference)
    manifest = manifests.get(site.store, found.template.id)
    (volume,) = manifest.volumes
    chunks = store_chunks.Chunks(site.store)
    data = bytearray(volume.size_bytes)
    for index, chunk_id in volume.table:
        plain = chunks.get(chunk_id)
        data[index * manifest.chunk_size_bytes : index * manifest.chunk_size_bytes + len(plain)] = plain
    return bytes(data)


def test_a_capture_holds_the_volume_and_the_server_runs_again(site):
    server = site.add_server(is_running=True)
    before = site.volume_bytes("web.raw")
    ended = site.succeed(site.capture())
    assert ended.result["template"] == "web@1"
    assert site.host.power_state(server) is power.PowerState.RUNNING
    assert site.volume_bytes("web.raw") == before
    assert _content(site, "web") == before
    assert site.leftovers() == CLEAN
    assert site.steps == STEPS


def test_a_server_that_was_off_stays_off(site):
    server = site.add_server()
    site.succeed(site.capture())
    assert site.host.power_state(server) is power.PowerState.SHUT_OFF
    assert ("start", server) not in site.host.calls


def test_a_paused_server_needs_force_and_is_paused_again(site):
    server = site.add_server(is_running=True)
    site.host.pause(server)
    with pytest.raises(errors.ServerStateForbids, match="paused"):
        site.capture()
    site.succeed(site.capture(is_forced=True))
    assert site.host.power_state(server) is power.PowerState.PAUSED


@pytest.mark.parametrize("event", ["begin", "inside", "end"])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_loses_nothing(site, step, event):
    server = site.add_server(is_running=True)
    before = site.volume_bytes("web.raw")
    started = site.capture()
    site.kill_at(step, event)
    assert site.run() == 1
    assert site.outcome(started).state is operation.State.SUCCEEDED
    assert site.host.power_state(server) is power.PowerState.RUNNING
    assert [template.version for template in _listed(site)] == [1]
    assert _content(site, "web@1") == before
    assert site.leftovers() == CLEAN


def _listed(site):
    return [each.template for each in site.services.templates.list(OWNER, listing.TemplateQuery()).items]


@pytest.mark.parametrize("step", [*STEPS, None])
def test_a_cancel_before_any_step_undoes_everything_or_comes_too_late(site, step):
    server = site.add_server(is_running=True)
    started = site.capture()
    if step is not None:
        site.kill_at(step, "begin")
        assert site.engine.run_pending() is False
        site.engine = site.engine.relaunch()
        site._start_daemon()
    else:
        site.run()
    if site.outcome(started).state.has_ended:
        with pytest.raises(errors.OperationEnded):
            site.services.operations.cancel(OWNER, str(started.id))
        return
    site.services.operations.cancel(OWNER, str(started.id))
    site.run()
    if step == "clean up":  # the template is published: it is not taken back
        assert site.outcome(started).state is operation.State.SUCCEEDED
        assert [found.state for found in _listed(site)] == [templates.State.ACTIVE]
        return
    assert site.outcome(started).state is operation.State.CANCELLED
    assert site.host.power_state(server) is power.PowerState.RUNNING
    assert _listed(site) == []
    assert list(site.store.list_manifests()) == []
    assert site.leftovers() == CLEAN


def test_a_cancel_that_comes_between_the_publishing_and_its_record_comes_too_late(site):
    site.add_server()
    started = site.capture()
    site.kill_at("publish", "inside")
    assert site.engine.run_pending() is False
    site.services.operations.cancel(OWNER, str(started.id))
    site.engine = site.engine.relaunch()
    site._start_daemon()
    assert site.succeed(started).result["template"] == "web@1"
    assert [found.state for found in _listed(site)] == [templates.State.ACTIVE]
    assert _content(site, "web@1") == site.volume_bytes("web.raw")
    assert site.leftovers() == CLEAN


def test_a_libvirt_that_is_away_when_the_power_is_given_back_is_waited_for(site):
    server = site.add_server(is_running=True)
    started = site.capture()
    site.kill_at("restore power", "begin")
    assert site.engine.run_pending() is False
    site.engine = site.engine.relaunch()
    site._start_daemon()
    site.host.fail_next("start", errors.HypervisorUnavailable(uri="qemu:///system", detail="refused"), times=100)
    site.succeed(started)
    assert site.host.power_state(server) is power.PowerState.RUNNING


def _abandon(site, started):
    """The next life of the daemon is of another generation."""
    site.engine = memory_engine.MemoryEngine(generation=2, records=site.engine.records)
    site._start_daemon()
    site.run()
    ended = site.outcome(started)
    assert (ended.state, ended.error["code"]) == (operation.State.FAILED, "operation-outdated")
    assert site.leftovers() == CLEAN
    return ended.error["facts"]


@pytest.mark.parametrize("step", STEPS)
def test_a_capture_of_another_generation_is_undone_or_left_published(site, step):
    server = site.add_server(is_running=True)
    started = site.capture()
    site.kill_at(step, "begin")
    assert site.engine.run_pending() is False
    assert "not_undone" not in _abandon(site, started)
    assert site.host.power_state(server) is power.PowerState.RUNNING
    is_published = step == "clean up"
    assert [found.state for found in _listed(site)] == [templates.State.ACTIVE] * is_published
    assert len(list(site.store.list_manifests())) == is_published


@pytest.mark.parametrize("step", ["stop", "finish", "publish"])
def test_an_abandoned_capture_starts_no_server_that_another_has_shut_down(site, step):
    server = site.add_server(is_running=True)
    started = site.capture()
    site.kill_at(step, "begin")
    assert site.engine.run_pending() is False
    site.host.power_off(server)
    _abandon(site, started)
    assert site.host.power_state(server) is power.PowerState.SHUT_OFF


def test_an_abandoned_capture_starts_a_server_that_it_may_have_stopped(site):
    server = site.add_server(is_running=True)
    started = site.capture()
    site.kill_at("stop", "inside")
    assert site.engine.run_pending() is False
    assert not site.host.power_state(server).is_active
    _abandon(site, started)
    assert site.host.power_state(server) is power.PowerState.RUNNING


def test_what_of_an_abandoned_capture_cannot_be_undone_does_not_keep_the_rest(site):
    site.add_server(is_running=True)
    started = site.capture()
    site.kill_at("copy", "begin")
    assert site.engine.run_pending() is False
    site.host.fail_next("start", errors.HypervisorUnavailable(uri="qemu:///system", detail="refused"), times=10_000)
    assert "could not restore power" in _abandon(site, started)["not_undone"]
    assert _listed(site) == []


def test_a_row_that_a_capture_left_behind_can_be_deleted_and_one_that_is_captured_cannot(site):
    site.add_server()
    started = site.capture()
    site.kill_at("copy", "begin")
    assert site.engine.run_pending() is False
    (row,) = _listed(site)
    with pytest.raises(errors.TemplateStateForbids, match="cancel that operation"):
        site.services.life.delete(OWNER, str(row.id), by="ada")
    site.installation.rows.finish(started.id, operation.State.FAILED, at=row.created_at)
    site.services.life.delete(OWNER, str(row.id), by="ada")
    assert _listed(site) == []


@pytest.mark.parametrize("event", ["begin", "inside", "end"])
@pytest.mark.parametrize("undone", ["restore power", "forget template", "clean up"])
def test_a_kill_while_undoing_ends_undone(site, undone, event):
    server = site.add_server(is_running=True)
    started = site.capture()
    real_writer = site.store.writer
    site.store.writer = lambda: (_ for _ in ()).throw(errors.NoSpace(where="store", needed="1", available="0"))
    site.kill_at(f"undo {undone}", event)
    assert site.run() == 1
    site.store.writer = real_writer
    ended = site.outcome(started)
    assert (ended.state, ended.error["code"]) == (operation.State.FAILED, "no-space")
    assert site.host.power_state(server) is power.PowerState.RUNNING
    assert _listed(site) == []
    assert site.leftovers() == CLEAN


def test_the_next_capture_of_a_name_is_its_next_version_and_a_failed_one_takes_none(site):
    site.add_server()
    site.succeed(site.capture())
    Path(site.host.find_volume("pool", "web.raw").path).rename(site.directory / "aside")
    with pytest.raises(errors.VolumeGone):
        site.capture()
    (site.directory / "aside").rename(site.pool.directory / "web.raw")
    assert site.succeed(site.capture()).result["template"] == "web@2"
    assert site.succeed(site.capture()).result["new_bytes"] == 0


def test_a_guest_that_does_not_shut_down_is_left_running_with_advice(site):
    server = site.add_server(is_running=True, obeys=frozenset())
    started = site.capture(stop_timeout_seconds=0.001)
    site.installation.engine.cut_off_at("nothing", "begin")
    site.run()
    ended = site.outcome(started)
    assert ended.error["code"] == "shutdown-timeout"
    assert "--force" in ended.error["message"]
    assert site.host.power_state(server) is power.PowerState.RUNNING
    assert ("power_off", server) not in site.host.calls
    assert site.leftovers() == CLEAN


def test_a_guest_that_shuts_down_after_all_is_started_again(site):
    server = site.add_server(is_running=True, polls_until_off=60)
    started = site.capture(stop_timeout_seconds=10)
    site.run()
    assert site.outcome(started).error["code"] == "shutdown-timeout"
    assert ("start", server) in site.host.calls[1:]
    assert site.host.power_state(server) is power.PowerState.RUNNING


def test_force_powers_off_what_does_not_shut_down(site):
    server = site.add_server(is_running=True, obeys=frozenset())
    site.succeed(site.capture(stop_timeout_seconds=0.001, is_forced=True))
    assert ("power_off", server) in site.host.calls
    assert site.host.power_state(server) is power.PowerState.RUNNING


def test_one_server_is_captured_once_at_a_time(site):
    site.add_server()
    first = site.capture()
    with pytest.raises(errors.ServerBusy, match=str(first.id)):
        site.capture(name="other")
    site.succeed(first)
    site.succeed(site.capture(name="other"))


def test_a_server_started_while_it_is_captured_fails_the_capture(site):
    server = site.add_server()
    started = site.capture()
    site.kill_at("copy", "begin")
    assert site.engine.run_pending() is False
    site.host.start(server)
    site.engine = site.engine.relaunch()
    site._start_daemon()
    site.run()
    assert site.outcome(started).error["code"] in {"server-started", "volume-locked"}
    assert site.host.power_state(server) is power.PowerState.RUNNING
    assert _listed(site) == []


def _cut_off_before_the_copy(site):
    started = site.capture()
    site.kill_at("copy", "begin")
    assert site.engine.run_pending() is False
    site.engine = site.engine.relaunch()
    site._start_daemon()
    return started


def _fails_as_changed(site, server, started, *words):
    site.run()
    ended = site.outcome(started)
    assert (ended.state, ended.error["code"]) == (operation.State.FAILED, "server-changed")
    assert all(word in ended.error["message"] for word in words)
    assert site.host.power_state(server) is power.PowerState.RUNNING
    assert _listed(site) == []
    assert site.leftovers() == CLEAN


def test_a_snapshot_taken_while_the_guest_shuts_down_is_not_lost_without_a_word(site):
    server = site.add_server(is_running=True)
    (volume,) = site.host.get_domain(server).volumes
    started = _cut_off_before_the_copy(site)
    top = site.directory / "snapshot.qcow2"
    qemu_img.create(str(top), format=configuration.VolumeFormat.QCOW2, backing=volume.chain[0])
    site.host.define(domain_xml.plain("web", server, [_new_volume(top, configuration.VolumeFormat.QCOW2)]))
    _fails_as_changed(site, server, started, "vda", "snapshot.qcow2", "web.raw")


def test_a_volume_that_grew_since_it_was_looked_at_is_told(site):
    server = site.add_server(is_running=True)
    started = _cut_off_before_the_copy(site)
    with Path(site.host.find_volume("pool", "web.raw").path).open("r+b") as stream:
        stream.truncate(2 * SIZE)
    _fails_as_changed(site, server, started, "vda", str(SIZE), str(2 * SIZE))


def test_a_volume_that_was_detached_since_it_was_looked_at_is_told(site):
    server = site.add_server(is_running=True)
    started = _cut_off_before_the_copy(site)
    site.host.define(domain_xml.plain("web", server))
    _fails_as_changed(site, server, started, "no volume vda")


def _new_volume(path, volume_format):
    return virt.NewVolume(
        target="vda", bus="virtio", path=str(path), format=volume_format, is_block_device=False, serial=None,
        boot_order=None,
    )  # fmt: skip


@pytest.mark.parametrize("is_overlaid", [False, True], ids=["raw", "qcow2 over raw"])
def test_a_volume_that_is_no_whole_sectors_becomes_a_template_that_can_be_deployed(site, is_overlaid):
    path = site.directory / "odd.raw"
    data = random.Random(1).randbytes(3 * CHUNK + 1000)
    path.write_bytes(data)
    volume = _new_volume(path, configuration.VolumeFormat.RAW)
    if is_overlaid:
        top = site.directory / "top.qcow2"
        below = virt.Layer(path=str(path), format=volume.format, is_block_device=False)
        qemu_img.create(str(top), format=configuration.VolumeFormat.QCOW2, backing=below)
        volume = _new_volume(top, configuration.VolumeFormat.QCOW2)
    site.host.add_server("odd", volumes=[volume])
    site.succeed(site.capture("odd"))
    assert _content(site, "odd") == data + bytes(24)
    site.succeed(site.deploy("odd", "new", is_started=False))
    (made,) = site.host.get_domain("new").volumes
    assert made.size_bytes == 3 * CHUNK + 1024
    if not is_overlaid:
        assert Path(made.chain[0].path).read_bytes() == data + bytes(24)


def test_unknown_servers_volumes_and_names_are_told(site):
    site.add_server()
    with pytest.raises(errors.ServerNotFound):
        site.capture("nobody")
    with pytest.raises(errors.VolumeNotFound, match="vda"):
        site.capture(volumes=("vdz",))
    with pytest.raises(errors.InvalidName):
        site.capture(name="No Such Name!")
    with pytest.raises(errors.InvalidRequest):
        site.capture(stop_timeout_seconds=-1)


def test_a_saved_server_is_refused(site):
    server = site.add_server()
    site.host.set_state(server, has_saved_state=True)
    with pytest.raises(errors.ServerStateForbids, match="managedsave"):
        site.capture()


def test_a_server_whose_name_no_template_can_have_needs_one_by_option(site):
    site.add_server("Estampe Audit C")
    with pytest.raises(errors.InvalidRequest, match=r"name: .*'Estampe Audit C'.*give one with --name"):
        site.capture("Estampe Audit C")
    site.succeed(site.capture("Estampe Audit C", name="audit", stop_timeout_seconds=0))
    with pytest.raises(errors.InvalidRequest, match="stop_timeout_seconds"):
        site.capture("Estampe Audit C", name="audit", stop_timeout_seconds=-1)


def test_a_server_with_a_volume_that_its_restart_would_lose_is_refused(site):
    server = site.add_server(is_running=True)
    site.host.define(domain_xml.plain("web", server))
    for ask in (site.services.captures.start, site.services.captures.plan):
        with pytest.raises(errors.ServerStateForbids, match="volume vda"):
            ask(OWNER, requests.CaptureRequest(server="web"))
    assert site.host.power_state(server) is power.PowerState.RUNNING


def test_a_plan_has_the_numbers_and_touches_nothing(site):
    server = site.add_server(is_running=True)
    calls = list(site.host.calls)
    plan = site.services.captures.plan(OWNER, requests.CaptureRequest(server="web"))
    assert (plan.template_name, plan.template_version) == ("web", 1)
    (volume,) = plan.volumes
    assert volume.size_bytes == SIZE == volume.data_bytes + volume.skipped_bytes
    assert volume.is_estimated
    assert 0 < plan.estimated_new_bytes < volume.data_bytes < SIZE
    assert site.host.calls == calls
    site.host.power_off(server)
    plan = site.services.captures.plan(OWNER, requests.CaptureRequest(server="web"))
    assert 0 < plan.volumes[0].data_bytes < SIZE
    assert plan.volumes[0].data_bytes + plan.volumes[0].skipped_bytes == SIZE
    assert 0 < plan.estimated_new_bytes <= plan.volumes[0].data_bytes + 4096
    assert not plan.volumes[0].is_estimated
    assert _listed(site) == []


def test_a_plan_of_a_server_that_is_captured_is_refused(site):
    site.add_server()
    started = site.capture()
    with pytest.raises(errors.ServerBusy, match=str(started.id)):
        site.services.captures.plan(OWNER, requests.CaptureRequest(server="web"))


class _StartingChunks:
    """Estimates chunks, and starts a server meanwhile."""

    def __init__(self, host, server):
        self.host, self.server = host, server

    def estimate(self, plain):
        self.host.start(self.server)
        return len(plain)


@pytest.mark.parametrize("volume_format", list(configuration.VolumeFormat))
def test_a_plan_keeps_nobody_from_starting_the_server(site, volume_format):
    path = site.directory / "volume"
    qemu_img.create(str(path), format=volume_format, size_bytes=SIZE)
    if volume_format is configuration.VolumeFormat.RAW:  # qemu-img has written to its first block
        os.truncate(path, 0)
        os.truncate(path, SIZE)
    write = ["qemu-io", "-f", volume_format, "-c", "write -P 7 64k 128k", path]
    subprocess.run(write, check=True, capture_output=True, timeout=60)
    server = site.host.add_server("other", volumes=[_new_volume(path, volume_format)])
    captures = site.services.captures
    estimator = dataclasses.replace(captures.estimator, chunks=_StartingChunks(site.host, server))
    plan = dataclasses.replace(captures, estimator=estimator).plan(OWNER, requests.CaptureRequest(server="other"))
    assert plan.volumes[0].data_bytes == plan.estimated_new_bytes == 2 * CHUNK
    assert site.host.power_state(server) is power.PowerState.RUNNING


def test_a_template_and_what_it_records_can_be_shown(site):
    site.add_server()
    site.succeed(site.capture(name="gold", note="why", tags=("a", "b")))
    shown = site.services.templates.get(OWNER, "gold@1")
    assert shown.template.state is templates.State.ACTIVE
    assert shown.template.tags == ("a", "b")
    assert shown.template.id.version == uuid.UUID(str(shown.template.id)).version == 4
    assert shown.manifest.configuration.name == "web"
    assert shown.manifest.sealing.why_not == "sealing was not asked for"
    assert [dataclasses.asdict(volume)["target"] for volume in shown.manifest.volumes] == ["vda"]
