"""Characteristics from capture to the deployed server, on a fake host."""

import pytest
from site_under_test import CLEAN, OWNER, SIZE

from estampe import errors
from estampe.deploy import request as requests
from estampe.model import characteristics, configuration
from estampe.virt import base as virt

MIB = 1024**2
NEEDS = characteristics.Characteristics(
    tuned_for="builds",
    least=characteristics.Resources(cpus=2, memory_bytes=128 * MIB, volume_sizes={"vda": SIZE + 512}),
    recommended=characteristics.Resources(cpus=3, memory_bytes=256 * MIB, volume_sizes={"vda": SIZE + 1024}),
    tuned=characteristics.Tuned(
        queues="cpus", cache="none", io="native", io_threads=1, cpu="host-passthrough", rng=True
    ),
)


@pytest.fixture
def stocked(site):
    """A site with the template web@1, captured with characteristics."""
    site.add_server()
    site.succeed(site.capture(characteristics=NEEDS))
    return site


def new(site, name="new") -> virt.Domain:
    return site.host.get_domain(name)


def settings(ended) -> dict[str, dict]:
    return {each["what"]: each for each in ended.result["settings"]}


def change(site, **parts):
    return site.services.templates.change_characteristics(OWNER, "web", characteristics.Change(**parts))


def test_a_captured_template_has_them(stocked):
    assert stocked.services.templates.get(OWNER, "web").template.characteristics == NEEDS


def test_a_capture_with_sizes_that_do_not_fit_its_volumes_is_refused(site):
    site.add_server()
    unknown = characteristics.Characteristics(least=characteristics.Resources(volume_sizes={"vdb": 1}))
    small = characteristics.Characteristics(recommended=characteristics.Resources(volume_sizes={"vda": 512}))
    for told, error in ((unknown, errors.VolumeNotFound), (small, errors.VolumeTooSmall)):
        with pytest.raises(error):
            site.capture(characteristics=told)
    assert site.leftovers() == CLEAN


def test_a_server_gets_what_is_recommended_and_how_it_is_tuned(stocked):
    ended = stocked.succeed(stocked.deploy(is_started=False))
    domain = new(stocked)
    assert (domain.summary.cpus, domain.summary.memory_bytes) == (3, 256 * MIB)
    assert domain.volumes[0].size_bytes == SIZE + 1024
    xml = domain.configuration.domain_xml
    assert 'queues="3"' in xml
    assert 'cache="none"' in xml
    assert "<rng" in xml
    told = settings(ended)
    assert told["queues of volume vda"] == {
        "what": "queues of volume vda", "asked": "one per CPU", "given": "3", "why": None,
    }  # fmt: skip
    assert told["recommended CPUs"]["why"] is None
    assert (told["CPU"]["given"], "emulates" in told["CPU"]["why"]) == ("maximum", True)


def test_the_plan_tells_the_same_as_the_result(stocked):
    plan = stocked.services.deployments.plan(OWNER, requests.DeployRequest(template="web", name="new"))
    ended = stocked.succeed(stocked.deploy(is_started=False))
    assert {each.what: each.given for each in plan.settings} == {
        what: each["given"] for what, each in settings(ended).items()
    }
    assert (plan.tuned_for, plan.cpus, plan.volumes[0].size_bytes) == ("builds", 3, SIZE + 1024)


def test_what_the_request_names_wins_and_that_is_told(stocked):
    wishes = {"cpus": 2, "memory_bytes": 128 * MIB, "volume_sizes": {"vda": SIZE + 512}}
    ended = stocked.succeed(stocked.deploy(is_started=False, **wishes))
    domain = new(stocked)
    assert (domain.summary.cpus, domain.summary.memory_bytes, domain.volumes[0].size_bytes) == (
        2,
        128 * MIB,
        SIZE + 512,
    )
    told = settings(ended)["recommended CPUs"]
    assert (told["asked"], told["given"], told["why"]) == ("3", "2", "the request asks for it")


@pytest.mark.parametrize(
    ("wishes", "figure"),
    [
        ({"cpus": 1}, "ask for 2 or more"),
        ({"memory_bytes": 127 * MIB}, "ask for 128 MiB or more"),
        ({"volume_sizes": {"vda": SIZE}}, f"ask for {SIZE + 512} bytes or more"),
    ],
)
def test_less_than_the_least_is_refused_with_the_figure(stocked, wishes, figure):
    with pytest.raises(errors.BelowLeast, match=figure):
        stocked.deploy(**wishes)
    assert stocked.leftovers() == CLEAN


def test_without_a_recommendation_a_server_gets_the_least_at_least(stocked):
    change(stocked, unset=("recommended",))
    stocked.succeed(stocked.deploy(is_started=False))
    domain = new(stocked)
    assert (domain.summary.cpus, domain.summary.memory_bytes) == (2, 128 * MIB)
    assert domain.volumes[0].size_bytes == SIZE + 512


def test_more_cpus_than_the_host_has_are_not_given_unless_asked_for(stocked):
    change(stocked, given={"recommended": {"cpus": 64}})
    ended = stocked.succeed(stocked.deploy(is_started=False))
    assert new(stocked).summary.cpus == 4
    assert settings(ended)["recommended CPUs"]["why"] == "this host has 4 CPUs"


def test_more_memory_than_the_host_has_is_refused_as_recommended(stocked):
    change(stocked, given={"recommended": {"memory_bytes": 1 << 44}})
    with pytest.raises(errors.HostLacks, match="recommended"):
        stocked.deploy()


def test_an_untuned_server_has_only_the_resources(stocked):
    ended = stocked.succeed(stocked.deploy(is_started=False, is_tuned=False))
    assert "cache=" not in new(stocked).configuration.domain_xml
    assert set(settings(ended)) == {"recommended CPUs", "recommended memory", "recommended size of volume vda"}


def test_a_pool_without_direct_io_is_told(stocked):
    stocked.pool.takes_direct_io = False
    ended = stocked.succeed(stocked.deploy(is_started=False))
    assert "cache=" not in new(stocked).configuration.domain_xml
    assert "direct I/O" in settings(ended)["cache of the volumes"]["why"]


def test_characteristics_are_changed_by_parts_by_profile_and_whole(stocked):
    templates = stocked.services.templates
    changed = change(stocked, unset=("tuned.cpu",), profile="linux-server", given={"tuned_for": "web"})
    assert changed.characteristics.tuned == characteristics.Tuned(
        bus="virtio-blk", queues="cpus", cache="none", io="native", discard="unmap", io_threads=1, network_model="virtio",
        network_queues="cpus", rng=True, balloon="free-page-reporting",
    )  # fmt: skip
    assert (changed.characteristics.tuned_for, changed.characteristics.least) == ("web", NEEDS.least)
    whole = characteristics.Characteristics(tuned_for="other")
    assert templates.replace_characteristics(OWNER, "web", whole).characteristics == whole
    assert templates.replace_characteristics(OWNER, "web", characteristics.Characteristics()).characteristics is None


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ({"profile": "windows"}, errors.ProfileNotFound),
        ({"given": {"least": {"volume_sizes": {"vdz": 1}}}}, errors.VolumeNotFound),
        ({"given": {"recommended": {"volume_sizes": {"vda": SIZE - 512}}}, "unset": ("least",)}, errors.VolumeTooSmall),
        ({"given": {"recommended": {"cpus": 1}}}, errors.InvalidRequest),
        ({"unset": ("colour",)}, errors.InvalidRequest),
    ],
)
def test_a_wrong_change_is_refused_and_nothing_changes(stocked, parts, error):
    with pytest.raises(error):
        change(stocked, **parts)
    assert stocked.services.templates.get(OWNER, "web").template.characteristics == NEEDS


def test_a_template_that_is_captured_is_changed_later(site):
    site.add_server()
    started = site.capture()
    site.kill_at("stop", "begin")
    assert site.engine.run_pending() is False
    with pytest.raises(errors.TemplateStateForbids, match="complete"):
        site.services.templates.replace_characteristics(OWNER, started.request["template_id"], NEEDS)


def test_the_recorded_bus_stays_where_the_guest_is_not_known(stocked):
    change(stocked, unset=("tuned",), given={"tuned": {"bus": "virtio-scsi"}})
    ended = stocked.succeed(stocked.deploy(is_started=False))
    (volume,) = new(stocked).configuration.volumes
    assert (volume.bus, volume.format) == ("virtio", configuration.VolumeFormat.RAW)
    assert "not known" in settings(ended)["bus of volume vda"]["why"]
