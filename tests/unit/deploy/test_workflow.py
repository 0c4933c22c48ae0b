"""Deploy from request to server on a fake host, cut off at every step, failing and cancelled."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from site_under_test import CLEAN, OWNER, SIZE

from estampe import errors
from estampe.deploy import request as requests
from estampe.model import final, listing, manifest, operation, power
from estampe.model import guest as guests
from estampe.store import manifests

STEPS = ["resolve", "create volumes", "hydrate vda", "configure", "define", "start", "confirm", "clean up"]
UNDONE = ["power off", "undefine", "remove configuration", "delete volumes"]


@pytest.fixture
def stocked(site):
    """A site with the template web@1 of a server that is shut off."""
    site.add_server()
    site.succeed(site.capture())
    site.steps.clear()
    return site


def _with_guest(site, **facts):
    """The template's manifest as if an inspection had found a guest with cloud-init and an agent."""
    (template_id,) = site.store.list_manifests()
    found = guests.Guest(**{
        "kind": "linux", "distribution": "debian", "version": "12.5", "product": "Debian", "hostname": "web",
        "root_device": "vda1", "file_systems": (), "has_cloud_init": True, "has_guest_agent": True, "can_grow_root": True,
        "package_count": 1, **facts,
    })  # fmt: skip
    changed = dataclasses.replace(manifests.get(site.store, template_id), guest=found)
    site.store.delete_manifest(template_id)
    site.store.put_manifest(template_id, manifest.encode(changed))


def _new(site, name="new"):
    return site.host.get_domain(name)


def _new_bytes(site, name="new"):
    return Path(_new(site, name).volumes[0].chain[0].path).read_bytes()


def _nothing_new(site):
    return [found.name for found in site.host.list_domains()] == ["web"] and site.volumes() == {"web.raw"}


def test_a_deployed_server_has_the_bytes_and_an_identity_of_its_own(stocked):
    ended = stocked.succeed(stocked.deploy())
    (told,) = ended.result["servers"]
    new = _new(stocked)
    assert _new_bytes(stocked) == stocked.volume_bytes("web.raw")
    assert stocked.host.power_state(new.summary.uuid) is power.PowerState.RUNNING
    assert new.summary.uuid != stocked.host.find_domain("web").uuid
    assert (told["name"], told["id"]) == ("new", new.summary.uuid)
    assert stocked.services.servers.get(OWNER, "new").summary.template == "web@1"
    assert stocked.leftovers() == CLEAN
    assert stocked.steps == STEPS


def test_secrets_are_in_the_seed_and_in_no_record_even_after_a_kill(stocked):
    _with_guest(stocked)
    secret = "hunter2"
    user = final.User(name="ana", password_hash=f"$6$ana${secret}")
    stocked.kill_at("configure", "begin")
    started = stocked.deploy(password_hash=f"$6$salt${secret}", commands=(f"echo {secret}",), users=(user,))
    stocked.run()
    ended = stocked.succeed(started)
    (seed,) = stocked.places.seeds.iterdir()
    assert seed.read_bytes().count(secret.encode()) == 3
    assert secret not in str(ended)
    assert secret not in str([workflow.outcomes for workflow in stocked.engine.records.values()])


def test_several_servers_come_from_one_deploy(stocked):
    stocked.succeed(stocked.deploy(name="ci", count=3, is_started=False))
    assert [found.name for found in stocked.host.list_domains()] == ["ci-1", "ci-2", "ci-3", "web"]
    assert len({_new_bytes(stocked, f"ci-{nth}") for nth in (1, 2, 3)}) == 1
    uuids = {_new(stocked, f"ci-{nth}").summary.uuid for nth in (1, 2, 3)}
    assert len(uuids) == 3
    assert stocked.host.power_state(uuids.pop()) is power.PowerState.SHUT_OFF


def test_a_larger_volume_ends_in_zeros_and_a_smaller_one_is_refused(stocked):
    stocked.succeed(stocked.deploy(volume_sizes={"vda": SIZE + 5120}, is_started=False))
    assert _new_bytes(stocked) == stocked.volume_bytes("web.raw") + bytes(5120)
    with pytest.raises(errors.VolumeTooSmall, match=f"{SIZE} bytes"):
        stocked.deploy(name="less", volume_sizes={"vda": SIZE - 512})
    with pytest.raises(errors.VolumeNotFound, match="vda"):
        stocked.deploy(name="other", volume_sizes={"vdb": SIZE})


@pytest.mark.parametrize("event", ["begin", "inside", "end"])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_loses_nothing(stocked, step, event):
    started = stocked.deploy()
    stocked.kill_at(step, event)
    assert stocked.run() == 1
    assert stocked.outcome(started).state is operation.State.SUCCEEDED
    assert _new_bytes(stocked) == stocked.volume_bytes("web.raw")
    assert len(stocked.volumes()) == 2
    assert stocked.leftovers() == CLEAN


@pytest.mark.parametrize("event", ["begin", "inside", "end"])
@pytest.mark.parametrize("undone", UNDONE)
def test_a_kill_while_undoing_ends_undone(stocked, undone, event):
    lost = errors.HypervisorFailed(action="start it", detail="a test")
    stocked.host.fail_next("start", lost, times=2)
    started = stocked.deploy()
    stocked.kill_at(f"undo {undone}", event)
    assert stocked.run() == 1
    ended = stocked.outcome(started)
    assert (ended.state, ended.error["code"]) == (operation.State.FAILED, "hypervisor-failed")
    assert _nothing_new(stocked)
    assert stocked.leftovers() == CLEAN
    assert list((stocked.settings.state_directory / "seeds").iterdir()) == []


@pytest.mark.parametrize("step", STEPS[:-1])
def test_a_cancel_before_any_step_undoes_everything(stocked, step):
    started = stocked.deploy()
    stocked.kill_at(step, "begin")
    assert stocked.engine.run_pending() is False
    stocked.engine = stocked.engine.relaunch()
    stocked._start_daemon()
    stocked.services.operations.cancel(OWNER, str(started.id))
    stocked.run()
    assert stocked.outcome(started).state is operation.State.CANCELLED
    assert _nothing_new(stocked)
    assert stocked.leftovers() == CLEAN


@pytest.mark.parametrize("method", ["create_volume", "define", "start"])
def test_a_failure_of_the_host_is_undone(stocked, method):
    stocked.host.fail_next(method, errors.HypervisorFailed(action=method, detail="a test"))
    started = stocked.deploy(count=2)
    stocked.run()
    assert stocked.outcome(started).state is operation.State.FAILED
    assert _nothing_new(stocked)
    assert stocked.leftovers() == CLEAN


def _not_undone(site, started):
    ended = site.outcome(started)
    assert ended.state is operation.State.FAILED
    return ended.error["facts"]["not_undone"]


def _names(site):
    return [found.name for found in site.host.list_domains()]


def test_a_server_that_cannot_be_powered_off_stays_whole_and_the_others_go(stocked):
    stocked.host.fail_next("power_off", REFUSED)  # of ci-1
    started = stocked.deploy(name="ci", count=3)
    stocked.kill_at("confirm", "begin")
    assert stocked.engine.run_pending() is False
    stocked.services.operations.cancel(OWNER, str(started.id))
    stocked.engine = stocked.engine.relaunch()
    stocked._start_daemon()
    stocked.run()
    told = stocked.outcome(started).error["facts"]["not_undone"]
    assert _names(stocked) == ["ci-1", "web"]
    assert stocked.host.power_state(stocked.host.find_domain("ci-1").uuid) is power.PowerState.RUNNING
    assert len(stocked.volumes()) == 2
    assert len(list((stocked.settings.state_directory / "seeds").iterdir())) == 1
    assert "ci-1" in told
    assert "ci-2" not in told
    stocked.services.servers.delete(OWNER, "ci-1", is_volumes_deleted=True, is_forced=True)
    assert (_names(stocked), stocked.volumes()) == (["web"], {"web.raw"})


def test_a_volume_that_cannot_be_deleted_is_told_and_the_others_go(stocked):
    stocked.host.fail_next("start", REFUSED)
    stocked.host.fail_next("delete_volume", REFUSED)
    started = stocked.deploy(name="ci", count=3)
    stocked.run()
    (left,) = stocked.volumes() - {"web.raw"}
    assert left in _not_undone(stocked, started)
    assert _names(stocked) == ["web"]
    (claim,) = (stocked.settings.state_directory / "work" / str(started.id) / "claims").iterdir()
    assert claim.name == left, "as long as the volume is there, it is known whose it is"


def test_an_undo_goes_on_past_the_server_where_it_fails(stocked):
    stocked.host.fail_next("start", REFUSED)
    stocked.host.fail_next("undefine", REFUSED)
    started = stocked.deploy(name="ci", count=3)
    stocked.run()
    assert _names(stocked) == ["ci-1", "web"]
    assert len(stocked.volumes()) == 2, "what is defined keeps its volume"
    assert "ci-1" in _not_undone(stocked, started)


def test_a_pool_that_is_inactive_is_told_and_one_that_is_gone_is_not(stocked):
    other = stocked.host.add_pool("other")
    stocked.host.fail_next("start", REFUSED)
    started = stocked.deploy(pool="other")
    stocked.kill_at("undo delete volumes", "begin")
    assert stocked.engine.run_pending() is False
    stocked.host.stop_pool("other")
    stocked.engine = stocked.engine.relaunch()
    stocked._start_daemon()
    stocked.run()
    assert "no active storage pool 'other'" in _not_undone(stocked, started)
    assert len(list(other.directory.iterdir())) == 1


@pytest.mark.parametrize("step", STEPS)
def test_another_generation_undoes_a_deploy_unless_it_was_complete(stocked, step):
    started = stocked.deploy(name="ci", count=2)
    stocked.kill_at(step, "end")
    assert stocked.engine.run_pending() is False
    if step not in {"start", "confirm"}:  # nothing runs yet: the part that fails leaves nothing behind
        stocked.host.fail_next("power_off", REFUSED)
    for workflow in stocked.engine.records.values():
        workflow.generation = 0
    stocked.engine = stocked.engine.relaunch()
    stocked._start_daemon()
    stocked.run()
    ended = stocked.outcome(started)
    assert ended.error["code"] == "operation-outdated"
    if step in {"confirm", "clean up"}:
        assert _names(stocked) == ["ci-1", "ci-2", "web"]
        assert "ci-1, ci-2" in ended.error["facts"]["not_undone"]
    else:
        assert _nothing_new(stocked), "also past the part that failed"
    assert stocked.leftovers() == CLEAN


@pytest.mark.parametrize("event", ["begin", "end"])
def test_a_server_that_is_still_being_deployed_is_busy(stocked, event):
    started = stocked.deploy()
    stocked.kill_at("start", event)
    assert stocked.engine.run_pending() is False
    servers = stocked.services.servers
    for attempt in (
        lambda: servers.start(OWNER, "new"),
        lambda: servers.stop(OWNER, "new", is_forced=True, timeout_seconds=1),
        lambda: servers.delete(OWNER, "new", is_volumes_deleted=True, is_forced=True),
        lambda: stocked.capture("new"),
    ):
        with pytest.raises(errors.ServerBusy, match=str(started.id)):
            attempt()
    assert servers.get(OWNER, "new").summary.busy_operation == started.id
    listed = servers.list(OWNER, listing.ServerQuery()).items
    assert {each.name: each.busy_operation for each in listed} == {"new": started.id, "web": None}
    stocked.engine = stocked.engine.relaunch()
    stocked._start_daemon()
    stocked.succeed(started)
    assert servers.get(OWNER, "new").summary.busy_operation is None


def test_a_missing_chunk_leaves_nothing(stocked):
    victim = next(iter(stocked.store.list_chunks())).chunk_id
    assert stocked.store.delete_chunk_if_older(victim, 1e12)
    started = stocked.deploy()
    stocked.run()
    assert stocked.outcome(started).error["code"] == "chunk-missing"
    assert _nothing_new(stocked)


def _answers_as(site, name):
    site.host.guest(site.host.find_domain(name).uuid).answers["guest-get-host-name"] = {"host-name": name}


LOST = errors.HypervisorUnavailable(uri="qemu:///system", detail="it is being restarted")
REFUSED = errors.HypervisorFailed(action="ask the agent", detail="a test")


@pytest.mark.parametrize("method", ["agent_command", "interface_addresses"])
@pytest.mark.parametrize("error", [LOST, REFUSED, errors.FormatUnsupported(volume="vda", format="?")])
def test_what_cannot_be_told_of_a_running_server_never_removes_it(stocked, method, error):
    _with_guest(stocked)
    started = stocked.deploy(name="ci", count=2)
    stocked.kill_at("confirm", "begin")
    assert stocked.engine.run_pending() is False
    for name in ("ci-1", "ci-2"):
        _answers_as(stocked, name)
    stocked.host.fail_next(method, error, times=1000)
    stocked.engine = stocked.engine.relaunch()
    stocked._start_daemon()
    told = stocked.succeed(started).result["servers"]
    assert [each["is_confirmed"] for each in told] == [False, False]
    assert all(str(error) in each["detail"] for each in told)
    assert [found.name for found in stocked.host.list_domains()] == ["ci-1", "ci-2", "web"]


def test_a_server_that_is_deleted_before_it_is_confirmed_takes_no_other_with_it(stocked):
    _with_guest(stocked)
    started = stocked.deploy(name="ci", count=2)
    stocked.kill_at("confirm", "begin")
    assert stocked.engine.run_pending() is False
    gone = stocked.host.find_domain("ci-1").uuid
    _answers_as(stocked, "ci-2")
    stocked.host.power_off(gone)
    stocked.host.undefine(gone)
    stocked.engine = stocked.engine.relaunch()
    stocked._start_daemon()
    told = stocked.succeed(started).result["servers"]
    assert [each["is_confirmed"] for each in told] == [False, True]
    assert stocked.now == 0, "nobody waits for what is gone"
    assert stocked.host.find_domain("ci-2") is not None


def test_names_in_use_are_refused(stocked):
    with pytest.raises(errors.NameInUse, match="web"):
        stocked.deploy(name="web")
    first = stocked.deploy(name="new")
    with pytest.raises(errors.NameInUse, match=str(first.id)):
        stocked.deploy(name="new")
    stocked.succeed(first)


def test_a_missing_pool_or_network_is_told_with_those_there_are(stocked):
    with pytest.raises(errors.PoolNotFound, match="pool"):
        stocked.deploy(pool="nowhere")
    with pytest.raises(errors.NetworkNotFound, match="lan"):
        stocked.deploy(interfaces=(requests.InterfaceRequest(network="nowhere"),))


def test_a_bridge_must_be_there(stocked):
    stocked.host.add_bridge("br0")
    for name in ("bridge:br9", "bridge:", "bridge:../br0"):
        with pytest.raises(errors.NetworkNotFound, match="lan, bridge:br0"):
            stocked.deploy(interfaces=(requests.InterfaceRequest(network=name),))
    stocked.succeed(stocked.deploy(interfaces=(requests.InterfaceRequest(network="bridge:br0"),), is_started=False))
    assert [(each.kind, each.source) for each in _new(stocked).configuration.interfaces] == [("bridge", "br0")]


@pytest.mark.parametrize(
    "wish", [{"addresses": ("192.0.2.1/24",)}, {"dns": ("192.0.2.2",)}, {"gateways": ("192.0.2.3",)}]
)
def test_a_guest_that_leaves_its_network_alone_is_promised_no_address(stocked, wish):
    _with_guest(stocked, is_network_left_alone=True)
    with pytest.raises(errors.GuestLacks, match="leave the network alone"):
        stocked.deploy(interfaces=(requests.InterfaceRequest(**wish),))
    plan = stocked.services.deployments.plan(
        OWNER, requests.DeployRequest(template="web", name="new", interfaces=(requests.InterfaceRequest(),))
    )
    assert any("leave the network alone: it stays as it was captured" in warning for warning in plan.warnings)
    assert not any(line.startswith("network of") for line in plan.final_configuration)
    _with_guest(stocked)
    plan = stocked.services.deployments.plan(OWNER, requests.DeployRequest(template="web", name="new"))
    assert plan.warnings == tuple(line for line in plan.warnings if "network" not in line)


def test_too_little_space_is_seen_before_anything_is_made(stocked):
    stocked.host.add_pool("small", capacity_bytes=1000)
    with pytest.raises(errors.NoSpace, match="small"):
        stocked.deploy(pool="small")


def test_a_template_is_kept_while_a_deploy_reads_it(stocked):
    started = stocked.deploy()
    with pytest.raises(errors.TemplateInUse, match=str(started.id)):
        stocked.services.life.delete(OWNER, "web", by="a test")
    stocked.succeed(started)
    stocked.services.life.delete(OWNER, "web", by="a test")
    stocked.services.life.purge(OWNER, "web@1")
    assert list(stocked.store.list_manifests()) == []
    with pytest.raises(errors.TemplateNotFound):
        stocked.deploy(name="late")
    assert stocked.services.servers.get(OWNER, "new").summary.template == "web@1 (deleted)"


def test_a_volume_that_somebody_made_meanwhile_is_never_touched(stocked):
    started = stocked.deploy()
    stocked.kill_at("create volumes", "begin")
    assert stocked.engine.run_pending() is False
    wanted = stocked.engine.records[started.id].outcomes["resolve"]
    name = wanted.partition('"volume_name": "')[2].partition('"')[0]
    theirs = Path(stocked.pool.directory) / name
    shutil.copy(stocked.pool.directory / "web.raw", theirs)
    stocked.engine = stocked.engine.relaunch()
    stocked._start_daemon()
    stocked.run()
    assert stocked.outcome(started).error["code"] == "name-in-use"
    assert theirs.read_bytes() == stocked.volume_bytes("web.raw")


def test_a_deleted_server_takes_its_seed_and_only_if_asked_its_volumes(stocked):
    stocked.succeed(stocked.deploy(name="one", is_started=False))
    stocked.succeed(stocked.deploy(name="two", is_started=True))
    servers = stocked.services.servers
    servers.delete(OWNER, "one", is_volumes_deleted=False, is_forced=False)
    assert len(stocked.volumes()) == 3
    with pytest.raises(errors.ServerStateForbids, match="force"):
        servers.delete(OWNER, "two", is_volumes_deleted=True, is_forced=False)
    servers.delete(OWNER, "two", is_volumes_deleted=True, is_forced=True)
    assert [found.name for found in stocked.host.list_domains()] == ["web"]
    assert len(stocked.volumes()) == 2
    assert list((stocked.settings.state_directory / "seeds").iterdir()) == []


@pytest.fixture
def wired(site):
    """A site with the template web@1 of a server that has three interfaces."""
    uuid = site.add_server()
    found = site.host.get_domain(uuid).configuration.domain_xml
    cards = "".join(
        f"<interface type='network'><mac address='52:54:00:00:00:0{nth}'/><source network='lan'/><model type='e1000'/></interface>"
        for nth in range(3)
    )
    site.host.define(found.replace("</devices>", f"{cards}</devices>"))
    site.succeed(site.capture())
    site.host.add_network("dmz")
    return site


@pytest.mark.parametrize(
    ("wishes", "networks"),
    [
        ((), ["lan", "lan", "lan"]),
        ((requests.InterfaceRequest(addresses=("192.0.2.1/24",)),), ["lan", "lan", "lan"]),
        ((requests.InterfaceRequest(),) * 4, ["lan", "lan", "lan", "lan"]),
        ((requests.InterfaceRequest(network="dmz"),), ["dmz"]),
        ((requests.InterfaceRequest(network="dmz"), requests.InterfaceRequest()), ["dmz", "lan"]),
    ],
)
def test_interfaces_of_the_template_are_only_left_out_where_networks_are_named(wired, wishes, networks):
    plan = wired.services.deployments.plan(OWNER, requests.DeployRequest(template="web", name="new", interfaces=wishes))
    assert [made.network for made in plan.servers[0].interfaces] == networks
    assert len([line for line in plan.final_configuration if line.startswith("network of ")]) == len(networks)
    wired.succeed(wired.deploy(interfaces=wishes, is_started=False))
    assert [made.source for made in _new(wired).configuration.interfaces] == networks


def test_a_plan_tells_gateways_and_name_servers(wired):
    wish = requests.InterfaceRequest(
        addresses=("192.0.2.9/24",), gateways=("192.0.2.1",), dns=("192.0.2.53", "9.9.9.9")
    )
    plan = wired.services.deployments.plan(
        OWNER, requests.DeployRequest(template="web", name="new", interfaces=(wish,))
    )
    told = [line for line in plan.final_configuration if line.startswith("network of ")]
    assert told[0].endswith(": 192.0.2.9/24; gateway 192.0.2.1; DNS 192.0.2.53, 9.9.9.9 (seed)")
    assert told[1].endswith(": DHCP (seed)")


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"name": "no spaces"}, errors.InvalidName),
        ({"hostname": "-bad-"}, errors.InvalidName),
        ({"count": 2, "interfaces": (requests.InterfaceRequest(addresses=("192.0.2.1/24",)),)}, errors.InvalidRequest),
        ({"count": 0}, errors.InvalidRequest),
        ({"count": 101}, errors.InvalidRequest),
        ({"cpus": 0}, errors.InvalidRequest),
        ({"cpus": 256}, errors.HostLacks),
        ({"memory_bytes": 1}, errors.InvalidRequest),
        ({"memory_bytes": 1 << 60}, errors.HostLacks),
        ({"volume_format": "vmdk"}, errors.InvalidRequest),
        ({"template": "web@9"}, errors.TemplateNotFound),
        ({"interfaces": (requests.InterfaceRequest(addresses=("not-an-address",)),)}, errors.InvalidRequest),
    ],
)
def test_a_wrong_wish_is_refused_before_anything_is_made(stocked, wish, error):
    with pytest.raises(error):
        stocked.deploy(**wish)
    assert _nothing_new(stocked)
    assert stocked.leftovers() == CLEAN
