"""Tuned settings on servers rebuilt from records. That libvirt and QEMU take them: tests/contract/test_domain_rebuild.py."""

import xml.etree.ElementTree as ET

import pytest
from tests.unit.virt import records

from estampe import errors
from estampe.virt import base, domain_xml


def rebuild(name: str, *, buses=None, **asked) -> tuple[ET.Element, dict[str, base.Change]]:
    """`asked` are settings; `buses` by target where a volume changes its bus."""
    text = records.read(name)
    facts = domain_xml.parse(text)
    plain = records.new_domain(facts)
    volumes = tuple(
        base.NewVolume(
            **{
                **{field: getattr(volume, field) for field in base.NewVolume.__dataclass_fields__},
                "bus": (buses or {}).get(volume.target, volume.bus),
            }
        )
        for volume in plain.volumes
    )
    new = records.new_domain(facts, volumes=volumes, tuning=base.Tuning(**asked))
    xml, changes = domain_xml.rebuild(text, new, records.CAPABILITIES)
    return ET.fromstring(xml), {change.what: change for change in changes}  # noqa: S314 - made by the code under test


def disk(root: ET.Element, target: str) -> ET.Element:
    return next(each for each in root.iter("disk") if each.find("target").get("dev") == target)


def driver(root: ET.Element, target: str) -> dict[str, str]:
    return disk(root, target).find("driver").attrib


@pytest.mark.parametrize("name", records.NAMES)
def test_without_settings_nothing_changes(name):
    text = records.read(name)
    facts = domain_xml.parse(text)
    untuned = domain_xml.rebuild(text, records.new_domain(facts), records.CAPABILITIES)
    assert domain_xml.rebuild(text, records.new_domain(facts, tuning=base.Tuning()), records.CAPABILITIES) == untuned


def test_queues_go_to_virtio_volumes_and_to_the_scsi_controller_with_volumes():
    root, _changes = rebuild("database-scsi", queues=3)
    assert driver(root, "vda")["queues"] == "3"
    assert "queues" not in driver(root, "sda")
    assert root.find("devices/controller[@type='scsi']/driver").get("queues") == "3"


def test_volumes_on_other_buses_have_no_queues():
    root, _changes = rebuild("old-ide", queues=1, io_threads=1)
    assert not [each for each in root.iter("driver") if "queues" in each.attrib or "iothread" in each.attrib]


def test_more_queues_than_cpus_are_a_defect_that_is_told():
    with pytest.raises(errors.DomainXmlInvalid, match="queues"):
        rebuild("database-scsi", queues=9)
    with pytest.raises(errors.DomainXmlInvalid, match="queues"):
        rebuild("database-scsi", interface_queues=9)


def test_cache_and_mode_are_as_asked_and_no_longer_told_as_left_out():
    root, changes = rebuild("database-scsi", cache="directsync", io="native", discard="ignore")
    for target in ("vda", "sda"):
        assert {"cache": "directsync", "io": "native", "discard": "ignore"}.items() <= driver(root, target).items()
    assert not {"driver cache of volume vda", "driver io of volume vda"} & set(changes)
    _root, untuned = rebuild("database-scsi")
    assert {"driver cache of volume vda", "driver io of volume vda"} <= set(untuned)


def test_the_seed_is_not_tuned():
    root, _changes = rebuild("database-scsi", cache="none", queues=2, io_threads=1)
    seed = next(each for each in root.iter("disk") if each.find("readonly") is not None)
    assert seed.find("driver").attrib == {"name": "qemu", "type": "raw"}


def test_native_mode_without_a_direct_cache_is_a_defect():
    with pytest.raises(errors.DomainXmlInvalid, match="native"):
        rebuild("database-scsi", io="native")


def test_threads_are_dealt_out_in_turn_whatever_was_recorded():
    root, _changes = rebuild("database-scsi", io_threads=1)
    assert root.findtext("iothreads") == "1"
    assert driver(root, "vda")["iothread"] == "1"
    assert root.find("devices/controller[@type='scsi']/driver").get("iothread") == "1"
    root, _changes = rebuild("database-scsi", io_threads=2)
    assert driver(root, "vda")["iothread"] == "1"
    assert root.find("devices/controller[@type='scsi']/driver").get("iothread") == "2"


def test_a_server_without_threads_gets_them():
    root, _changes = rebuild("desktop-uefi", io_threads=2)
    assert root.findtext("iothreads") == "2"


def test_a_volume_moves_to_a_scsi_controller_of_its_own():
    root, changes = rebuild("database-scsi", buses={"vda": "scsi"}, queues=2, io_threads=2)
    moved = disk(root, "vda")
    assert moved.find("target").attrib == {"dev": "vda", "bus": "scsi"}
    assert moved.find("address").attrib == {"type": "drive", "controller": "1", "bus": "0", "target": "0", "unit": "0"}
    assert not {"queues", "iothread"} & set(moved.find("driver").attrib)
    controllers = root.findall("devices/controller[@type='scsi']")
    assert [(each.get("index"), each.get("model")) for each in controllers] == [
        ("0", "virtio-scsi"),
        ("1", "virtio-scsi"),
    ]
    assert [each.find("driver").attrib for each in controllers] == [
        {"queues": "2", "iothread": "1"},
        {"queues": "2", "iothread": "2"},
    ]
    assert changes["driver queues of volume vda"].was == "4"
    assert moved.find("boot").get("order") == "1"


def test_a_volume_moves_to_virtio_without_what_only_scsi_has():
    root, changes = rebuild("database-scsi", buses={"sda": "virtio"})
    moved = disk(root, "sda")
    assert moved.find("target").attrib == {"dev": "sda", "bus": "virtio"}
    assert [moved.find(name) for name in ("vendor", "product", "wwn", "address")] == [None] * 4
    assert moved.findtext("serial") == "DATA-1"
    assert {"vendor of volume sda", "wwn of volume sda", "target rotation_rate of volume sda"} <= set(changes)


def test_the_controllers_of_volumes_are_read():
    assert domain_xml.read_virtio_scsi(records.read("database-scsi"))["sda"] == "0"
    assert domain_xml.read_virtio_scsi(records.read("old-ide")) == {}
    other = records.read("database-scsi").replace("model='virtio-scsi'", "model='lsilogic'")
    assert domain_xml.read_virtio_scsi(other) == {}


def test_interface_queues_are_for_virtio_interfaces_and_leave_their_other_traits():
    root, _changes = rebuild("database-scsi", interface_queues=2)
    drivers = [each.find("driver").attrib for each in root.iterfind("devices/interface[model]")]
    assert drivers[0]["queues"] == "2"
    assert drivers[0]["rx_queue_size"] == "1024"
    root, _changes = rebuild("old-ide", interface_queues=1)
    models = {each.find("model").get("type"): each.find("driver") for each in root.iterfind("devices/interface")}
    assert all(found is None for model, found in models.items() if model != "virtio")


@pytest.mark.parametrize(
    ("asked", "attributes", "model"),
    [
        ("host-passthrough", {"mode": "host-passthrough"}, None),
        ("host-model", {"mode": "host-model"}, None),
        ("maximum", {"mode": "maximum"}, None),
        ("Skylake-Client", {"mode": "custom", "match": "exact"}, "Skylake-Client"),
    ],
)
def test_the_cpu_is_replaced_and_its_layout_stays(asked, attributes, model):
    root, changes = rebuild("database-scsi", cpu=asked)
    cpu = root.find("cpu")
    assert (cpu.attrib, cpu.findtext("model")) == (attributes, model)
    assert [child.tag for child in cpu if child.tag != "model"] == ["topology", "numa"]
    assert "CPU" not in changes


def test_features_of_the_recorded_cpu_that_go_are_told():
    recorded = records.read("database-scsi").replace("<topology", "<feature policy='disable' name='vmx'/><topology", 1)
    new = records.new_domain(domain_xml.parse(recorded), tuning=base.Tuning(cpu="host-model"))
    xml, changes = domain_xml.rebuild(recorded, new, records.CAPABILITIES)
    assert "vmx" not in xml
    assert [(each.was, each.now) for each in changes if each.what == "CPU feature vmx"] == [("disable", "left out")]


def test_a_random_number_generator_comes_and_goes():
    root, _changes = rebuild("database-scsi", has_rng=True)
    (found,) = root.findall("devices/rng")
    assert found.get("model") == "virtio"
    assert found.findtext("backend") == "/dev/urandom"
    again, _changes = rebuild("desktop-uefi", has_rng=True)
    assert len(again.findall("devices/rng")) == 1
    gone, _changes = rebuild("desktop-uefi", has_rng=False)
    assert gone.findall("devices/rng") == []


@pytest.mark.parametrize(
    ("balloon", "attributes", "children"),
    [
        ("none", {"model": "none"}, []),
        ("virtio", {"model": "virtio"}, ["stats"]),
        ("free-page-reporting", {"model": "virtio", "freePageReporting": "on"}, ["stats"]),
    ],
)
def test_there_is_one_balloon_as_asked(balloon, attributes, children):
    root, _changes = rebuild("database-scsi", balloon=balloon)
    (found,) = root.findall("devices/memballoon")
    assert (found.attrib, [child.tag for child in found]) == (attributes, children)


@pytest.mark.parametrize("name", records.NAMES)
def test_nothing_of_a_record_comes_in_by_the_settings(name):
    root, _changes = rebuild(
        name, queues=1, cache="none", io="native", discard="unmap", io_threads=1, cpu="host-model", interface_queues=1,
        has_rng=True, balloon="virtio",
    )  # fmt: skip
    assert not [
        value for each in root.iter() for value in each.attrib.values() if "evil" in value and value != "evil.0"
    ]


def test_the_seed_keeps_out_of_the_way_of_a_volume_that_comes_to_virtio():
    """libvirt names devices on virtio by their target's letters: sda and vda would be one."""
    root, _changes = rebuild("old-ide", buses={"hda": "virtio"})
    assert disk(root, "hda").find("target").get("bus") == "virtio"
    seed = next(each for each in root.iter("disk") if each.find("readonly") is not None)
    assert seed.find("target").attrib == {"dev": "vdb", "bus": "virtio"}
