"""Capture from request to template on a fake host, cut off at every step, failing and cancelled."""

import dataclasses
import uuid
from pathlib import Path

import pytest
from site_under_test import CLEAN, OWNER, SIZE

from estampe import errors
from estampe.capture import request as requests
from estampe.model import operation, power
from estampe.model import template as templates
from estampe.store import chunks as store_chunks
from estampe.store import manifests
from estampe.virt import domain_xml

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
    return site.services.templates.list(OWNER, name_glob=None, tag=None, limit=10, after=None)


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
    assert plan.volumes[0].size_bytes == SIZE
    assert site.host.calls == calls
    site.host.power_off(server)
    plan = site.services.captures.plan(OWNER, requests.CaptureRequest(server="web"))
    assert 0 < plan.volumes[0].data_bytes < SIZE
    assert plan.volumes[0].data_bytes + plan.volumes[0].skipped_bytes == SIZE
    assert 0 < plan.estimated_new_bytes <= plan.volumes[0].data_bytes + 4096
    assert _listed(site) == []


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
