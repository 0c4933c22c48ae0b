"""Servers rebuilt from records, defined and started (paused, TCG) by real libvirt: the XML is what libvirt and QEMU take."""

import contextlib
import dataclasses
import shutil
import subprocess
import tempfile
import uuid as uuids
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from tests.unit.virt import records

from estampe import errors
from estampe.model import configuration, power
from estampe.virt import base, domain_xml, libvirt_host, qemu_img

pytestmark = [pytest.mark.requires_libvirt, pytest.mark.requires_qemu, pytest.mark.requires_root]
URI = "qemu:///system"
MIB = 1024 * 1024


def virsh(*arguments: str) -> str:
    done = subprocess.run(["virsh", "-q", "-c", URI, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def directory():
    path = Path(tempfile.mkdtemp(prefix="rebuild-", dir="/var/tmp"))
    path.chmod(0o755)  # QEMU's user goes through
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def network(directory):
    name = f"estampe-rebuild-{uuids.uuid4().hex[:8]}"
    path = directory / "network.xml"
    path.write_text(f"<network><name>{name}</name><bridge name='er{uuids.uuid4().hex[:8]}'/></network>")
    virsh("net-create", str(path))
    yield name
    virsh("net-destroy", name)


@pytest.fixture(scope="module")
def host():
    made = libvirt_host.LibvirtHost(URI, has_kvm=lambda: False)
    yield made
    made.close()


def new_volume(directory: Path, disk: domain_xml.Disk) -> base.NewVolume:
    path = directory / f"{uuids.uuid4().hex}.qcow2"
    qemu_img.create(str(path), format=configuration.VolumeFormat.QCOW2, size_bytes=8 * MIB)
    return base.NewVolume(
        target=disk.target, bus=disk.bus, path=str(path), format=configuration.VolumeFormat.QCOW2, is_block_device=False,
        serial=disk.serial, boot_order=disk.boot_order,
    )  # fmt: skip


def start(host: base.Host, uuid: str, server: str) -> None:
    try:
        host.start(uuid, is_paused=True)
    except errors.HypervisorFailed as error:  # libvirt only names the log that says why
        log = Path(f"/var/log/swtpm/libvirt/qemu/{server}-swtpm.log")
        pytest.fail(f"{error}\n{log.read_text() if log.exists() else 'no log of a TPM'}")


def make_new(name, host, directory, network, *, buses=None, **asked) -> base.NewDomain:
    """A new server from the record of that name, its volumes in `directory`; `buses` by target where one is changed."""
    facts = domain_xml.parse(records.read(name))
    uuid = str(uuids.uuid4())
    server = f"estampe-rebuild-{uuid[:8]}"
    seed = directory / f"{uuid}.iso"
    seed.write_bytes(bytes(MIB))
    volumes = [new_volume(directory, disk) for disk in facts.disks]
    wishes = {
        "name": server,
        "uuid": uuid,
        "cpus": 2,
        "memory_bytes": 256 * MIB,
        "volumes": tuple(dataclasses.replace(each, bus=(buses or {}).get(each.target, each.bus)) for each in volumes),
        "seed_path": str(seed),
        "interfaces": tuple(
            base.NewInterface(mac=f"52:54:00:77:00:{i:02x}", network=network, bridge=None, model=each.model or "virtio")
            for i, each in enumerate(facts.interfaces)
        ),
        "nvram_path": (host.nvram_path(f"{server}_VARS.fd") if facts.firmware is configuration.Firmware.UEFI else None),
    }
    return records.new_domain(facts, **(wishes | asked))


@contextlib.contextmanager
def started(name, new, host, directory):
    """The rebuilt server, defined and started (paused); gives its XML as libvirt has it and the changes."""
    xml, changes = domain_xml.rebuild(records.read(name), new, host.capabilities())
    path = directory / f"{new.uuid}.xml"
    path.write_text(xml)
    try:
        virsh("define", "--validate", str(path))
        start(host, new.uuid, new.name)
        assert host.power_state(new.uuid) is power.PowerState.PAUSED
        text = virsh("dumpxml", new.uuid)
        yield ET.fromstring(text), changes  # noqa: S314 - libvirt wrote it
    finally:
        if host.find_domain(new.uuid) is not None:
            host.power_off(new.uuid)
            host.undefine(new.uuid)


@pytest.mark.parametrize("name", records.NAMES)
def test_libvirt_takes_and_qemu_starts_what_was_rebuilt(name, host, directory, network):
    facts = domain_xml.parse(records.read(name))
    is_uefi = facts.firmware is configuration.Firmware.UEFI
    new = make_new(name, host, directory, network)
    with started(name, new, host, directory) as (_root, changes):
        assert "virtualisation" in {change.what for change in changes}
        # The first start leaves nothing for libvirt to add that a capture of the new server would not take.
        domain = host.get_domain(new.uuid)
        assert [volume.target for volume in domain.volumes] == [disk.target for disk in facts.disks]
        assert domain.nvram_path == new.nvram_path
        assert (host.read_nvram(new.nvram_path) is not None) if is_uefi else (domain.nvram_path is None)
    assert not is_uefi or host.read_nvram(new.nvram_path) is None


# --- tuned settings ---


def driver(root, place) -> dict[str, str]:
    found = root.find(f"devices/{place}/driver")
    return {} if found is None else found.attrib


def volume(target) -> str:
    return f"disk/target[@dev='{target}']/.."


SETTINGS = {
    "queues": {"queues": 2},
    "cache": {"cache": "writethrough"},
    "direct": {"cache": "none", "io": "native"},
    "direct-sync": {"cache": "directsync", "io": "threads"},
    "discard": {"discard": "unmap"},
    "io-threads": {"io_threads": 1},
    "more-io-threads": {"io_threads": 2, "queues": 2},
    "cpu": {"cpu": "maximum"},
    "named-cpu": {"cpu": "Nehalem"},
    "interface-queues": {"interface_queues": 2},
    "rng": {"has_rng": True},
    "no-rng": {"has_rng": False},
    "no-balloon": {"balloon": "none"},
    "balloon": {"balloon": "virtio"},
    "reporting": {"balloon": "free-page-reporting"},
    "all": {
        "queues": 2, "cache": "none", "io": "native", "discard": "unmap", "io_threads": 2, "cpu": "maximum",
        "interface_queues": 2, "has_rng": True, "balloon": "free-page-reporting",
    },
}  # fmt: skip


@pytest.mark.parametrize("wish", SETTINGS)
def test_libvirt_and_qemu_take_each_setting(wish, host, directory, network):
    """On a record with virtio-blk, virtio-scsi and two kinds of interfaces."""
    asked = SETTINGS[wish]
    new = make_new("database-scsi", host, directory, network, tuning=base.Tuning(**asked))
    with started("database-scsi", new, host, directory) as (root, _changes):
        for name in ("cache", "io", "discard"):
            if name in asked:
                assert driver(root, volume("vda"))[name] == driver(root, volume("sda"))[name] == asked[name]
        if "queues" in asked:
            assert driver(root, volume("vda"))["queues"] == "2"
            assert driver(root, "controller[@type='scsi']")["queues"] == "2"
        if "interface_queues" in asked:
            assert driver(root, "interface")["queues"] == "2"
        if "io_threads" in asked:
            assert root.findtext("iothreads") == str(asked["io_threads"])
            assert driver(root, volume("vda"))["iothread"] == "1"
        if "balloon" in asked:
            assert root.find("devices/memballoon").get("model") == ("none" if wish == "no-balloon" else "virtio")
        if "has_rng" in asked:
            assert len(root.findall("devices/rng")) == asked["has_rng"]


@pytest.mark.parametrize("name", records.NAMES)
def test_libvirt_and_qemu_take_all_settings_on_every_record(name, host, directory, network):
    new = make_new(name, host, directory, network, tuning=base.Tuning(**SETTINGS["all"]))
    with started(name, new, host, directory) as (root, _changes):
        assert root.find("devices/memballoon").get("freePageReporting") == "on"


@pytest.mark.parametrize(
    ("record", "buses"),
    [
        ("database-scsi", {"vda": "scsi"}),
        ("database-scsi", {"vda": "scsi", "sda": "virtio"}),
        ("old-ide", {"hda": "virtio"}),
    ],
    ids=["to-scsi", "exchanged", "to-virtio"],
)
def test_libvirt_and_qemu_take_a_volume_on_another_bus(record, buses, host, directory, network):
    tuning = base.Tuning(queues=2, io_threads=2, discard="unmap")
    new = make_new(record, host, directory, network, buses=buses, tuning=tuning)
    with started(record, new, host, directory) as (root, _changes):
        got = {each.get("dev"): each.get("bus") for each in root.iterfind("devices/disk/target")}
        assert buses.items() <= got.items()
        assert [each.target for each in host.get_domain(new.uuid).volumes] == [each.target for each in new.volumes]
