"""Deploy from request to server on a fake host, cut off at every step, failing and cancelled."""

import shutil
from pathlib import Path

import pytest
from site_under_test import CLEAN, OWNER, SIZE

from estampe import errors
from estampe.deploy import request as requests
from estampe.model import operation, power

STEPS = ["resolve", "create volumes", "hydrate vda", "configure", "define", "start", "confirm", "clean up"]
UNDONE = ["power off", "undefine", "remove configuration", "delete volumes"]


@pytest.fixture
def stocked(site):
    """A site with the template web@1 of a server that is shut off."""
    site.add_server()
    site.succeed(site.capture())
    site.steps.clear()
    return site


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


def test_a_missing_chunk_leaves_nothing(stocked):
    victim = next(iter(stocked.store.list_chunks())).chunk_id
    assert stocked.store.delete_chunk_if_older(victim, 1e12)
    started = stocked.deploy()
    stocked.run()
    assert stocked.outcome(started).error["code"] == "chunk-missing"
    assert _nothing_new(stocked)


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


def test_too_little_space_is_seen_before_anything_is_made(stocked):
    stocked.host.add_pool("small", capacity_bytes=1000)
    with pytest.raises(errors.NoSpace, match="small"):
        stocked.deploy(pool="small")


def test_a_template_is_kept_while_a_deploy_reads_it(stocked):
    started = stocked.deploy()
    with pytest.raises(errors.TemplateInUse, match=str(started.id)):
        stocked.services.templates.delete(OWNER, "web")
    stocked.succeed(started)
    stocked.services.templates.delete(OWNER, "web")
    assert list(stocked.store.list_manifests()) == []
    with pytest.raises(errors.TemplateNotFound):
        stocked.deploy(name="late")
    assert stocked.services.servers.get(OWNER, "new").summary.template.endswith("(deleted)")


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
    assert len([line for line in plan.final_configuration if line.startswith("interface ")]) == len(networks)
    wired.succeed(wired.deploy(interfaces=wishes, is_started=False))
    assert [made.source for made in _new(wired).configuration.interfaces] == networks


def test_a_plan_tells_gateways_and_name_servers(wired):
    wish = requests.InterfaceRequest(
        addresses=("192.0.2.9/24",), gateways=("192.0.2.1",), dns=("192.0.2.53", "9.9.9.9")
    )
    plan = wired.services.deployments.plan(
        OWNER, requests.DeployRequest(template="web", name="new", interfaces=(wish,))
    )
    told = [line for line in plan.final_configuration if line.startswith("interface ")]
    assert told[0].startswith("interface 1: 192.0.2.9/24; gateway 192.0.2.1; DNS 192.0.2.53, 9.9.9.9 (")
    assert told[1].startswith("interface 2: DHCP (")


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
