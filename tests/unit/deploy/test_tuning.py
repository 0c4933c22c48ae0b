"""Which tuned settings a new server gets: by the guest, the host and the pool."""

import dataclasses
import datetime
import uuid

import pytest
from tests.unit.api import fakes
from tests.unit.virt import records

from estampe.deploy import tuning
from estampe.model import characteristics, configuration, manifest
from estampe.model import guest as guests
from estampe.virt import base as virt
from estampe.virt import domain_xml

EMULATING = dataclasses.replace(records.CAPABILITIES, domain_type="qemu")
LINUX = dataclasses.replace(fakes.a_manifest().guest, volume_buses=("virtio-blk", "virtio-scsi"))


def template(record: str = "database-scsi", guest: guests.Guest | None = LINUX) -> manifest.Manifest:
    xml = records.read(record)
    facts = domain_xml.parse(xml)
    recorded = fakes.a_configuration(
        domain_xml=xml,
        firmware=facts.firmware,
        volumes=tuple(
            configuration.VolumeConfiguration(
                target=disk.target, bus=disk.bus, size_bytes=1 << 30, format=configuration.VolumeFormat.RAW
            )
            for disk in facts.disks
        ),
    )
    return manifest.Manifest(
        template_id=uuid.uuid4(), owner_id=uuid.uuid4(), name="web", version=1, chunk_size_bytes=1 << 20, volumes=(),
        created_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), configuration=recorded, nvram=None, guest=guest,
        sealing=fakes.a_manifest().sealing,
    )  # fmt: skip


def fit(found=None, *, capabilities=records.CAPABILITIES, cpus=4, takes_direct_io=True, models=("virtio",), **tuned):
    place = tuning.Place(capabilities=capabilities, cpus=cpus, takes_direct_io=takes_direct_io, interface_models=models)
    return tuning.fit(characteristics.Tuned(**tuned), found or template(), place)


def told(fitted: tuning.Fitted) -> dict[str, virt.Setting]:
    return {setting.what: setting for setting in fitted.settings}


def test_nothing_asked_is_nothing_told():
    fitted = fit()
    assert (fitted.tuning, fitted.buses, fitted.settings) == (None, {}, ())
    assert fitted.interface_models == ("virtio",)


def test_what_this_host_can_give_is_given_and_told():
    fitted = fit(
        queues=2, cache="none", io="native", discard="unmap", io_threads=2, cpu="host-passthrough", network_queues=3,
        rng=True, balloon="free-page-reporting",
    )  # fmt: skip
    assert fitted.tuning == virt.Tuning(
        queues=2, cache="none", io="native", discard="unmap", io_threads=2, cpu="host-passthrough", interface_queues=3,
        has_rng=True, balloon="free-page-reporting",
    )  # fmt: skip
    assert {setting.why for setting in fitted.settings} == {None}
    assert {"queues of volume vda", "queues of volume sda", "CPU", "random number generator"} <= set(told(fitted))


def test_queues_are_at_most_one_per_cpu():
    fitted = fit(queues=8, network_queues="cpus", cpus=2)
    assert (fitted.tuning.queues, fitted.tuning.interface_queues) == (2, 2)
    lost, kept = told(fitted)["queues of volume vda"], told(fitted)["queues of interface 1"]
    assert (lost.asked, lost.given) == ("8", "2")
    assert "2 CPUs" in lost.why
    assert (kept.asked, kept.given, kept.why) == ("one per CPU", "2", None)


def test_volumes_that_are_not_on_virtio_get_neither_queues_nor_threads():
    fitted = fit(template("old-ide"), queues=2, io_threads=2)
    assert fitted.tuning is None
    assert "ide" in told(fitted)["queues of volume hda"].why
    assert told(fitted)["I/O threads"].given == "none"


def test_a_scsi_volume_on_another_controller_is_not_virtio():
    found = template()
    xml = found.configuration.domain_xml.replace("model='virtio-scsi'", "model='lsilogic'")
    found = dataclasses.replace(found, configuration=dataclasses.replace(found.configuration, domain_xml=xml))
    fitted = fit(found, queues=2, io_threads=2)
    assert told(fitted)["queues of volume vda"].why is None
    assert told(fitted)["queues of volume sda"].why is not None
    assert fitted.tuning.io_threads == 1


def test_no_more_threads_than_there_is_use_for():
    fitted = fit(io_threads=5)
    assert fitted.tuning.io_threads == 2
    assert "only 2" in told(fitted)["I/O threads"].why


def test_a_bus_changes_where_the_guest_is_known_to_start_from_it():
    fitted = fit(bus="virtio-scsi", io_threads=3)
    assert fitted.buses == {"vda": "scsi"}
    assert told(fitted)["bus of volume vda"].why is None
    assert told(fitted)["bus of volume sda"].why is None
    assert fitted.tuning.io_threads == 2  # the recorded controller, and the one for the newcomer
    assert fit(template("old-ide"), bus="virtio-blk").buses == {"hda": "virtio"}


@pytest.mark.parametrize(
    ("guest", "why"),
    [(None, "not known"), (dataclasses.replace(LINUX, volume_buses=()), "initramfs"), (dataclasses.replace(LINUX, kind="windows", volume_buses=()), "initramfs")],
)  # fmt: skip
def test_a_bus_stays_where_the_guest_might_not_start_from_another(guest, why):
    fitted = fit(template(guest=guest), bus="virtio-scsi")
    assert fitted.buses == {}
    kept = told(fitted)["bus of volume vda"]
    assert (kept.asked, kept.given) == ("virtio-scsi", "virtio-blk")
    assert why in kept.why
    assert told(fitted)["bus of volume sda"].why is None


def test_two_volumes_of_one_letter_do_not_come_to_one_bus():
    fitted = fit(bus="virtio-blk")
    assert fitted.buses == {}
    assert "letter" in told(fitted)["bus of volume sda"].why


def test_caches_past_the_page_cache_need_a_file_system_that_takes_them():
    fitted = fit(takes_direct_io=False, cache="none", io="native", discard="unmap")
    assert fitted.tuning == virt.Tuning(discard="unmap")
    assert "direct I/O" in told(fitted)["cache of the volumes"].why
    assert told(fitted)["I/O mode of the volumes"].why is not None
    assert fit(takes_direct_io=False, cache="writeback", io="threads").tuning == virt.Tuning(
        cache="writeback", io="threads"
    )


@pytest.mark.parametrize(
    ("asked", "capabilities", "given"),
    [
        ("host-passthrough", records.CAPABILITIES, "host-passthrough"),
        ("Skylake-Client", records.CAPABILITIES, "Skylake-Client"),
        ("EPYC", records.CAPABILITIES, "host-model"),
        ("host-passthrough", EMULATING, "maximum"),
        ("host-model", EMULATING, "maximum"),
        ("Skylake-Client", EMULATING, "Skylake-Client"),
        ("EPYC", EMULATING, "maximum"),
    ],
)
def test_the_cpu_is_one_that_this_host_has(asked, capabilities, given):
    fitted = fit(cpu=asked, capabilities=capabilities)
    assert fitted.tuning.cpu == given
    assert (told(fitted)["CPU"].why is None) == (asked == given)


def test_firmware_is_never_changed():
    assert told(fit(firmware="bios"))["firmware"].why is None
    kept = told(fit(firmware="uefi"))["firmware"]
    assert (kept.given, "boot loader" in kept.why) == ("bios", True)
    assert told(fit(template("desktop-uefi"), firmware="uefi"))["firmware"].why is None


def test_interfaces_change_their_model_where_the_guest_has_the_driver():
    fitted = fit(models=("e1000", "virtio"), network_model="virtio", network_queues=2)
    assert fitted.interface_models == ("virtio", "virtio")
    assert fitted.tuning.interface_queues == 2
    unknown = fit(template(guest=None), models=("e1000", "virtio"), network_model="virtio", network_queues=2)
    assert unknown.interface_models == ("e1000", "virtio")
    assert told(unknown)["model of interface 1"].why is not None
    assert told(unknown)["queues of interface 1"].given == "1"
    assert unknown.tuning.interface_queues == 2
    assert fit(template(guest=None), models=("e1000",), network_queues=2).tuning is None
