import pytest

from estampe import errors
from estampe.catalogue import profiles
from estampe.model import characteristics, record

MIB = 1024**2
GIB = 1024**3
TOLD = characteristics.Characteristics(
    tuned_for="PostgreSQL 16",
    least=characteristics.Resources(cpus=2, memory_bytes=2 * GIB, volume_sizes={"vda": 10 * GIB}),
    recommended=characteristics.Resources(cpus=4, memory_bytes=8 * GIB, volume_sizes={"vda": 40 * GIB}),
    tuned=characteristics.Tuned(queues="cpus", cache="none", io="native", rng=True),
)


@pytest.mark.parametrize("told", [TOLD, characteristics.Characteristics()])
def test_a_record_of_it_gives_it_back(told):
    assert record.load(characteristics.Characteristics, record.dump(told)) == told


def test_nothing_said_is_empty():
    assert characteristics.Characteristics().is_empty
    assert not TOLD.is_empty
    assert list(TOLD.tuned.asked()) == [("queues", "cpus"), ("cache", "none"), ("io", "native"), ("rng", True)]


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("tuned.bus", {"bus": "ide"}),
        ("tuned.queues", {"queues": 0}),
        ("tuned.queues", {"queues": 257}),
        ("tuned.queues", {"queues": "all"}),
        ("tuned.queues", {"queues": True}),
        ("tuned.network_queues", {"network_queues": -1}),
        ("tuned.cache", {"cache": "unsafe"}),
        ("tuned.io", {"io": "io_uring"}),
        ("tuned.io", {"io": "native"}),
        ("tuned.io", {"io": "native", "cache": "writeback"}),
        ("tuned.discard", {"discard": "on"}),
        ("tuned.io_threads", {"io_threads": 65}),
        ("tuned.cpu", {"cpu": ""}),
        ("tuned.cpu", {"cpu": "Skylake' evil='1"}),
        ("tuned.firmware", {"firmware": "coreboot"}),
        ("tuned.network_model", {"network_model": "ne2k_pci"}),
        ("tuned.balloon", {"balloon": "xen"}),
    ],
)
def test_a_setting_that_is_not_known_or_out_of_bounds_is_refused(field, settings):
    with pytest.raises(errors.InvalidRequest) as caught:
        characteristics.Tuned(**settings)
    assert caught.value.facts["field"] == field


@pytest.mark.parametrize(
    ("field", "least", "recommended"),
    [
        ("least.cpus", {"cpus": 0}, {}),
        ("least.memory", {"memory_bytes": 64 * MIB - 1}, {}),
        ("recommended.memory", {}, {"memory_bytes": 2**50 + 1}),
        ("recommended.volumes.vda", {}, {"volume_sizes": {"vda": 0}}),
        ("recommended.cpus", {"cpus": 4}, {"cpus": 2}),
        ("recommended.memory", {"memory_bytes": 2 * GIB}, {"memory_bytes": GIB}),
        ("recommended.volumes.vda", {"volume_sizes": {"vda": 2 * GIB}}, {"volume_sizes": {"vda": GIB}}),
    ],
)
def test_resources_out_of_bounds_or_below_the_least_are_refused(field, least, recommended):
    with pytest.raises(errors.InvalidRequest) as caught:
        characteristics.Characteristics(
            least=characteristics.Resources(**least), recommended=characteristics.Resources(**recommended)
        )
    assert caught.value.facts["field"] == field


@pytest.mark.parametrize("text", ["", "x" * 501])
def test_what_it_is_tuned_for_has_a_length(text):
    with pytest.raises(errors.InvalidRequest, match="tuned_for"):
        characteristics.Characteristics(tuned_for=text)


def test_a_change_leaves_what_it_does_not_name():
    change = characteristics.Change(
        given={"least": {"cpus": 3, "memory_bytes": None, "volume_sizes": {"vdb": GIB}}, "tuned": {"discard": "unmap"}}
    )
    made = change.apply(TOLD)
    assert made.least == characteristics.Resources(
        cpus=3, memory_bytes=2 * GIB, volume_sizes={"vda": 10 * GIB, "vdb": GIB}
    )
    assert made.tuned == characteristics.Tuned(queues="cpus", cache="none", io="native", discard="unmap", rng=True)
    assert (made.tuned_for, made.recommended) == (TOLD.tuned_for, TOLD.recommended)


def test_what_is_unset_goes():
    keys = (
        "tuned_for",
        "least.memory",
        "least.volumes.vda",
        "recommended",
        "tuned.io",
        "tuned.cache",
        "least.volumes.vdz",
    )
    made = characteristics.Change(unset=keys).apply(TOLD)
    assert made == characteristics.Characteristics(
        least=characteristics.Resources(cpus=2), tuned=characteristics.Tuned(queues="cpus", rng=True)
    )
    assert characteristics.Change(unset=("tuned_for", "least", "recommended", "tuned")).apply(TOLD).is_empty


@pytest.mark.parametrize(
    "key", ["", "tuned.color", "least.vda", "tuned_for.x", "least.cpus.x", "tuned.queues.x", "volumes.vda", "cpus"]
)
def test_a_key_that_cannot_be_is_not_unset_in_silence(key):
    with pytest.raises(errors.InvalidRequest, match="unset"):
        characteristics.Change(unset=(key,)).apply(TOLD)


def test_a_change_that_leads_to_nonsense_is_refused():
    with pytest.raises(errors.InvalidRequest, match=r"tuned\.io"):
        characteristics.Change(unset=("tuned.cache",)).apply(TOLD)


def test_a_profile_gives_its_settings_and_what_is_given_beside_it_wins():
    profile = profiles.get("linux-server").tuned
    made = characteristics.Change(given={"tuned": {"queues": 2}}).apply(TOLD, profile=profile)
    assert made.tuned.queues == 2
    assert made.tuned.cache == "none"
    assert {name: value for name, value in profile.asked() if name != "queues"}.items() <= dict(
        made.tuned.asked()
    ).items()


def test_the_shipped_profiles_are_there_and_say_why():
    assert list(profiles.shipped()) == ["linux-database", "linux-scsi", "linux-server"]
    for profile in profiles.shipped().values():
        assert "\n" not in profile.summary
        assert profile.why
    buses = {name: profile.tuned.bus for name, profile in profiles.shipped().items()}
    assert buses == {"linux-database": "virtio-blk", "linux-scsi": "virtio-scsi", "linux-server": "virtio-blk"}


def test_an_unknown_profile_is_told_with_those_there_are():
    with pytest.raises(errors.ProfileNotFound, match="linux-server"):
        profiles.get("windows")
