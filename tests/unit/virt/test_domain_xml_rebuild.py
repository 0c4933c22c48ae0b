import dataclasses
import re
import xml.etree.ElementTree as ET

import pytest
from tests.unit.virt import records

from estampe import errors
from estampe.model import configuration
from estampe.virt import base, domain_xml

EMULATING = dataclasses.replace(records.CAPABILITIES, domain_type="qemu")


def rebuild(name: str, capabilities=records.CAPABILITIES, **asked) -> tuple[ET.Element, dict[str, base.Change]]:
    text = records.read(name)
    new = records.new_domain(domain_xml.parse(text), **asked)
    xml, changes = domain_xml.rebuild(text, new, capabilities)
    return tree(xml), {change.what: change for change in changes}


def tree(xml: str) -> ET.Element:
    return ET.fromstring(xml)  # noqa: S314 - made by the code under test


def texts(root: ET.Element) -> list[str]:
    """Every attribute value and every text of the document."""
    return [text for element in root.iter() for text in (*element.attrib.values(), (element.text or "").strip())]


# --- safety ---


@pytest.mark.parametrize("name", records.NAMES)
def test_no_path_but_this_hosts_own_is_left(name):
    root, _changes = rebuild(name)
    own = {"/dev/urandom", *(image.path for image in records.CAPABILITIES.uefi)}
    own |= {image.nvram_template for image in records.CAPABILITIES.uefi}
    paths = {text for text in texts(root) if "/" in text and not text.startswith(("Deployed by", "urn:"))}
    assert {path for path in paths - own if not path.startswith(("/pool/new-", "/nvram/new"))} == set()


def test_nothing_of_a_hostile_record_is_left():
    root, _changes = rebuild("hostile")
    assert not [
        text for text in texts(root) if "evil" in text and text != "evil.0"
    ]  # the name of a channel is the guest's
    assert not [element.tag for element in root.iter() if "qemu" in element.tag]


@pytest.mark.parametrize("name", records.NAMES)
def test_the_result_is_read_as_the_new_server(name):
    text = records.read(name)
    new = records.new_domain(domain_xml.parse(text))
    facts = domain_xml.parse(domain_xml.rebuild(text, new, records.CAPABILITIES)[0])
    assert (facts.name, facts.uuid, facts.cpus, facts.memory_bytes) == (new.name, new.uuid, new.cpus, new.memory_bytes)
    assert [(disk.target, disk.bus, disk.layers[0][0].path) for disk in facts.disks] == [
        (volume.target, volume.bus, volume.path) for volume in new.volumes
    ]
    assert [each.mac for each in facts.interfaces] == [each.mac for each in new.interfaces]
    assert facts.nvram_path == new.nvram_path
    assert facts.has_agent_channel
    assert [each.why for each in facts.left_out if each.what.startswith("volume")] == ["is read-only to the server"]


@pytest.mark.parametrize("name", records.NAMES)
def test_rebuilding_what_was_rebuilt_changes_nothing(name):
    new = records.new_domain(domain_xml.parse(records.read(name)))
    once, _changes = domain_xml.rebuild(records.read(name), new, EMULATING)
    again, changes = domain_xml.rebuild(once, new, EMULATING)
    assert ET.canonicalize(again, strip_text=True) == ET.canonicalize(once, strip_text=True)
    # The first one's seed is not in the template; a TPM starts empty each time.
    assert {change.what for change in changes} - {"TPM"} <= {f"volume {_seed_target(once)}"}


def _seed_target(xml: str) -> str:
    return next(disk.find("target").get("dev") for disk in tree(xml).iter("disk") if disk.find("readonly") is not None)


# --- identity ---


def test_the_new_server_has_its_own_identity_and_says_where_it_came_from():
    root, _changes = rebuild("database-scsi")
    template = root.find("metadata/{urn:estampe:1}server/{urn:estampe:1}template")
    assert template.attrib == {"id": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "name": "web@3"}
    assert "web@3" in root.findtext("description")
    assert root.find("genid").text is None


def test_what_names_the_source_in_its_system_information_goes():
    root, changes = rebuild("windows-secure")
    assert [(entry.get("name"), entry.text) for entry in root.iterfind("sysinfo/*/entry")] == [
        ("vendor", "ACME"),
        ("manufacturer", "ACME"),
    ]
    assert root.find("os/smbios").get("mode") == "sysinfo"
    assert {"system information system serial", "system information oemStrings"} <= set(changes)


def test_notes_of_other_programs_are_left_out_and_told():
    root, changes = rebuild("desktop-uefi")
    assert len(root.find("metadata")) == 1
    assert "metadata http://libosinfo.org/xmlns/libvirt/domain/1.0" in changes


# --- processor and memory ---


def test_cpus_and_memory_are_as_asked_and_whole_from_the_start():
    root, changes = rebuild("desktop-uefi", cpus=3, memory_bytes=3 << 30)
    assert (root.findtext("vcpu"), root.find("vcpu").attrib) == ("3", {})
    assert (root.findtext("memory"), root.find("memory").get("unit")) == (str(3 << 20), "KiB")
    assert root.find("currentMemory") is None
    assert changes["memory balloon"].was == "1 GiB of 2 GiB"
    assert "CPUs that could be added" in changes


def test_topology_and_numa_stay_where_they_fit():
    root, changes = rebuild("database-scsi")
    assert root.find("cpu/topology").attrib == {"sockets": "2", "dies": "1", "cores": "2", "threads": "2"}
    assert len(root.findall("cpu/numa/cell")) == 2
    assert not {"CPU topology", "NUMA layout"} & set(changes)


def test_topology_and_numa_give_way_to_another_number_of_cpus():
    root, changes = rebuild("database-scsi", cpus=6)
    assert root.find("cpu/topology").attrib == {"sockets": "1", "cores": "6", "threads": "1"}
    assert root.find("cpu/numa") is None
    assert (changes["CPU topology"].was, changes["NUMA layout"].was) == (
        "2 sockets, 1 dies, 2 cores, 2 threads",
        "2 nodes",
    )


def test_what_tunes_the_server_to_its_host_is_left_out_and_told():
    root, changes = rebuild("database-scsi")
    tags = {"memoryBacking", "cputune", "numatune", "seclabel", "resource", "maxMemory"}
    assert tags.isdisjoint(element.tag for element in root)
    told = {"<memoryBacking>", "<cputune>", "<numatune>", "<seclabel>", "<commandline>", "CPU pinning"}
    assert told <= set(changes)
    assert "<resource>" not in changes  # libvirt's default


@pytest.mark.parametrize(
    ("name", "capabilities", "mode", "was"),
    [
        ("desktop-uefi", records.CAPABILITIES, "host-passthrough", None),
        ("desktop-uefi", EMULATING, "maximum", "host-passthrough"),
        ("database-scsi", EMULATING, "maximum", "host-model"),
        ("old-ide", records.CAPABILITIES, "host-model", "custom Broadwell-noTSX"),
        ("old-ide", EMULATING, "maximum", "custom Broadwell-noTSX"),
    ],
)
def test_a_cpu_that_this_host_cannot_give_is_replaced_and_told(name, capabilities, mode, was):
    root, changes = rebuild(name, capabilities)
    assert root.find("cpu").get("mode") == mode
    assert (changes["CPU"].was if "CPU" in changes else None) == was


def test_a_known_cpu_model_stays():
    capabilities = dataclasses.replace(records.CAPABILITIES, cpu_models=frozenset({"Broadwell-noTSX"}))
    root, changes = rebuild("old-ide", capabilities)
    assert root.findtext("cpu/model") == "Broadwell-noTSX"
    assert "CPU" not in changes


def test_what_needs_kvm_goes_without_it():
    root, changes = rebuild("windows-secure", EMULATING)
    assert changes["virtualisation"].now == "qemu"
    assert root.find("features/hyperv") is None
    assert root.find("clock/timer[@name='hypervclock']") is None
    assert {"feature hyperv", "feature kvm", "timer hypervclock"} <= set(changes)
    root, changes = rebuild("windows-secure")
    assert len(root.find("features/hyperv")) == 4
    assert "virtualisation" not in changes


# --- machine and firmware ---


def test_a_known_machine_type_stays():
    root, changes = rebuild("windows-secure")
    assert root.find("os/type").get("machine") == "pc-q35-7.2"
    assert "machine type" not in changes


@pytest.mark.parametrize(
    ("name", "machine"), [("desktop-uefi", "pc-q35-7.2"), ("old-ide", "pc-i440fx-7.2"), ("confidential", "pc-q35-7.2")]
)
def test_an_unknown_machine_type_becomes_this_hosts_of_the_same_family(name, machine):
    root, changes = rebuild(name)
    assert root.find("os/type").get("machine") == machine
    assert changes["machine type"].now == machine


def test_a_machine_type_of_another_family_is_refused():
    capabilities = dataclasses.replace(records.CAPABILITIES, machine_aliases={"q35": "pc-q35-7.2"})
    with pytest.raises(errors.HostLacks, match="rhel7"):
        rebuild("old-ide", capabilities)


def test_another_architecture_is_refused():
    with pytest.raises(errors.HostLacks, match="aarch64"):
        rebuild("old-ide", dataclasses.replace(records.CAPABILITIES, architecture="aarch64"))


def test_firmware_is_this_hosts_and_the_nvram_the_new_servers():
    root, changes = rebuild("desktop-uefi")
    assert root.findtext("os/loader") == "/usr/share/OVMF/OVMF_CODE_4M.fd"
    assert root.find("os/loader").attrib == {"readonly": "yes", "type": "pflash"}
    assert root.findtext("os/nvram") == "/nvram/new_VARS.fd"
    assert root.find("os").get("firmware") is None
    assert changes["firmware"].was == "/usr/share/edk2/ovmf/OVMF_CODE.fd"


def test_firmware_that_libvirt_chose_is_told_too():
    text = re.sub("<loader.*</nvram>", "", records.read("desktop-uefi"), flags=re.DOTALL)
    xml, changes = domain_xml.rebuild(text, records.new_domain(domain_xml.parse(text)), records.CAPABILITIES)
    assert tree(xml).findtext("os/loader") == "/usr/share/OVMF/OVMF_CODE_4M.fd"
    assert "firmware" in {change.what for change in changes}


def test_secure_boot_gets_firmware_that_has_it():
    root, changes = rebuild("windows-secure")
    assert root.findtext("os/loader") == "/usr/share/OVMF/OVMF_CODE_4M.ms.fd"
    assert root.find("os/loader").get("secure") == "yes"
    assert root.find("features/smm").get("state") == "on"
    assert "secure boot" not in changes


def test_an_nvram_gets_firmware_of_its_size():
    root, changes = rebuild("windows-secure", nvram_size_bytes=131072)
    assert root.findtext("os/loader") == "/usr/share/OVMF/OVMF_CODE.fd"
    assert root.find("os/loader").get("secure") is None
    assert changes["secure boot"].now == "not possible"
    with pytest.raises(errors.HostLacks, match="64 KiB"):
        rebuild("windows-secure", nvram_size_bytes=65536)


def test_a_host_without_uefi_is_told():
    with pytest.raises(errors.HostLacks, match="ovmf"):
        rebuild("desktop-uefi", dataclasses.replace(records.CAPABILITIES, uefi=()))


def test_lost_memory_encryption_is_told():
    _root, changes = rebuild("confidential")
    assert "NOT encrypted" in changes["<launchSecurity>"].why


# --- volumes ---


def disk(root: ET.Element, target: str) -> ET.Element:
    return next(each for each in root.iter("disk") if each.find("target").get("dev") == target)


def test_volumes_keep_what_the_guest_sees_and_lose_what_the_storage_was():
    root, changes = rebuild("database-scsi")
    data = disk(root, "sda")
    assert data.find("blockio").get("logical_block_size") == "4096"
    assert (data.findtext("serial"), data.findtext("wwn"), data.findtext("vendor")) == (
        "DATA-1",
        "5000c50015ea71aa",
        "ACME",
    )
    assert data.find("target").attrib == {"dev": "sda", "bus": "scsi", "rotation_rate": "1"}
    assert data.find("address").get("unit") == "2"
    first = disk(root, "vda")
    assert first.find("driver").attrib == {
        "name": "qemu", "type": "qcow2", "discard": "unmap", "iothread": "1", "queues": "4"
    }  # fmt: skip
    assert first.find("boot").get("order") == "1"
    told = {"driver cache of volume vda", "driver io of volume vda", "iotune of volume vda"}
    assert told <= set(changes)


def test_a_volume_on_another_bus_gets_a_place_of_its_own():
    text = records.read("old-ide")
    facts = domain_xml.parse(text)
    moved = base.NewVolume(
        target="hda", bus="sata", path="/dev/vg/new", format=configuration.VolumeFormat.RAW, is_block_device=True,
        serial=None, boot_order=1,
    )  # fmt: skip
    xml, changes = domain_xml.rebuild(text, records.new_domain(facts, volumes=(moved,)), records.CAPABILITIES)
    root = tree(xml)
    made = disk(root, "hda")
    assert (made.get("type"), made.find("source").get("dev")) == ("block", "/dev/vg/new")
    assert made.find("address") is None
    assert made.find("serial") is None
    assert root.find("os/boot") is None  # not allowed beside the volume's own order
    assert "boot order" in {change.what for change in changes}


def test_an_iothread_that_the_record_does_not_have_is_dropped():
    text = records.read("database-scsi").replace("<iothreads>2</iothreads>", "")
    facts = domain_xml.parse(text)
    xml, changes = domain_xml.rebuild(text, records.new_domain(facts), records.CAPABILITIES)
    assert "iothread" not in disk(tree(xml), "vda").find("driver").attrib
    assert "I/O thread of volume vda" in {change.what for change in changes}


def test_the_seed_is_read_only_on_virtio_after_the_volumes():
    root, _changes = rebuild("old-ide")
    seed = root.findall("devices/disk")[-1]
    assert seed.find("target").attrib == {"dev": "vda", "bus": "virtio"}
    assert seed.find("source").get("file") == "/pool/new-seed.iso"
    assert seed.find("driver").get("type") == "raw"
    assert seed.find("readonly") is not None
    assert len(rebuild("old-ide", seed_path=None)[0].findall("devices/disk")) == 1


def test_recorded_disks_that_the_template_does_not_hold_are_told():
    root, changes = rebuild("database-scsi")
    assert {each.find("target").get("dev") for each in root.iter("disk")} == {"vda", "sda", "vdb"}
    assert changes["volume sdc"].why == "it is shared with other servers"
    _root, changes = rebuild("database-scsi", volumes=())
    assert changes["volume vda"].why == "the template does not hold it"


# --- interfaces ---


def test_interfaces_keep_their_places_and_get_new_addresses_and_networks():
    root, changes = rebuild("database-scsi")
    made = root.findall("devices/interface")
    assert [each.find("address").get("bus") for each in made] == ["0x01", "0x02", "0x05"]
    assert [each.find("source").attrib for each in made] == [{"network": "default"}] * 3
    assert made[0].find("driver").attrib == {"queues": "4", "rx_queue_size": "1024"}
    assert changes["network of interface 1"].was == "bridge br-ovs"
    assert changes["network of interface 2"].was == "direct eth3"
    told = {"vlan of interface 1", "virtualport of interface 1", "mtu of interface 1", "filterref of interface 2"}
    assert told <= set(changes)


def test_more_and_fewer_interfaces_than_recorded_may_be_asked_for():
    bridge = base.NewInterface(mac="52:54:00:99:01:00", network=None, bridge="br7", model="e1000")
    root, _changes = rebuild("old-ide", interfaces=(bridge, bridge))
    first, second = root.findall("devices/interface")
    assert (first.get("type"), first.find("source").attrib) == ("bridge", {"bridge": "br7"})
    assert first.find("address") is not None
    assert second.find("address") is None
    root, _changes = rebuild("old-ide", interfaces=())
    assert root.find("devices/interface") is None


def test_a_volume_goes_before_an_interface_of_the_same_place_in_the_boot_order():
    text = records.read("database-scsi").replace("<boot order='2'/>", "<boot order='1'/>")
    xml, changes = domain_xml.rebuild(text, records.new_domain(domain_xml.parse(text)), records.CAPABILITIES)
    assert tree(xml).find("devices/interface/boot") is None
    assert "boot from interface 1" in {change.what for change in changes}


# --- other devices ---


def test_the_host_side_of_ports_and_channels_is_plain():
    root, changes = rebuild("old-ide")
    serial = root.find("devices/serial")
    assert (serial.get("type"), serial.find("source")) == ("pty", None)
    assert changes["serial port 0"].was == "file"
    assert root.find("devices/channel/target").get("name") == "org.qemu.guest_agent.0"
    assert "agent's channel" in changes
    root, changes = rebuild("desktop-uefi")
    assert [each.find("target").get("name") for each in root.iter("channel")] == ["org.qemu.guest_agent.0"]
    assert root.find("devices/channel/address").get("port") == "1"
    assert "agent's channel" not in changes
    assert "channel com.redhat.spice.0" in changes


def test_more_cpus_than_the_machine_takes_are_refused():
    for name, machine, most in (("old-ide", "pc-i440fx-7.2", 255), ("database-scsi", "pc-q35-6.2", 255)):
        assert rebuild(name, cpus=most)[0].findtext("vcpu") == str(most)
        with pytest.raises(errors.HostLacks, match=f"{machine} takes up to {most}"):
            rebuild(name, cpus=most + 1)


def test_with_extended_interrupt_mode_the_machines_own_limit_holds():
    facts = domain_xml.parse(records.read("database-scsi"))
    text = records.read("database-scsi").replace(
        "</devices>", "<iommu model='intel'><driver intremap='on' eim='on'/></iommu></devices>"
    )
    domain_xml.rebuild(text, records.new_domain(facts, cpus=288), records.CAPABILITIES)
    with pytest.raises(errors.HostLacks, match="up to 288"):
        domain_xml.rebuild(text, records.new_domain(facts, cpus=289), records.CAPABILITIES)


def test_a_display_listens_nowhere_and_has_no_password():
    root, changes = rebuild("old-ide")
    display = root.find("devices/graphics")
    assert (display.attrib, [each.attrib for each in display]) == ({"type": "vnc"}, [{"type": "none"}])
    assert changes["display"].was == "vnc on 0.0.0.0 port 5905 with a password"
    assert "hunter2" not in str(changes)
    assert changes_of_display("<graphics type='vnc'><listen type='none'/></graphics>") is None
    assert changes_of_display("<graphics type='vnc' socket='/run/x'/>") == "vnc on a socket"
    assert changes_of_display("<graphics type='spice'/>") == "spice on 127.0.0.1"
    assert rebuild("database-scsi")[0].find("devices/graphics") is None


def changes_of_display(display: str) -> str | None:
    facts = domain_xml.parse(records.read("database-scsi"))
    text = records.read("database-scsi").replace("</devices>", f"{display}</devices>")
    _xml, noted = domain_xml.rebuild(text, records.new_domain(facts), records.CAPABILITIES)
    return next((each.was for each in noted if each.what == "display"), None)


def test_a_tpm_that_gets_the_recorded_state_is_no_change():
    recorded = records.read("desktop-uefi")
    new = dataclasses.replace(records.new_domain(domain_xml.parse(recorded)), has_tpm_state=True)
    xml, noted = domain_xml.rebuild(recorded, new, records.CAPABILITIES)
    assert '<backend type="emulator" version="2.0" />' in xml
    assert "TPM" not in {each.what for each in noted}


def test_a_tpm_starts_empty_where_this_host_has_one():
    root, changes = rebuild("desktop-uefi")
    assert root.find("devices/tpm/backend").attrib == {"type": "emulator", "version": "2.0"}
    assert changes["TPM"].now == "empty"
    root, changes = rebuild("desktop-uefi", dataclasses.replace(records.CAPABILITIES, has_tpm_emulator=False))
    assert root.find("devices/tpm") is None
    assert "swtpm" in changes["TPM (emulator)"].why
    assert rebuild("windows-secure")[0].find("devices/tpm") is None  # the host's own, passed through


def test_a_video_card_that_this_host_lacks_is_replaced():
    root, changes = rebuild("windows-secure")
    assert root.find("devices/video/model").attrib == {"type": "vga", "primary": "yes"}
    assert changes["video card"].was == "vmware-exotic"
    assert "video card" not in rebuild("old-ide")[1]


def test_random_numbers_and_watchdog_stay_on_this_host():
    root, changes = rebuild("windows-secure")
    assert root.findtext("devices/rng/backend") == "/dev/urandom"
    assert root.find("devices/watchdog").get("action") == "reset"
    assert {"source of random numbers", "watchdog's action"} <= set(changes)
    assert "source of random numbers" not in rebuild("desktop-uefi")[1]


def test_devices_of_the_host_are_left_out_and_told():
    root, changes = rebuild("database-scsi")
    tags = {element.tag for element in root.find("devices")}
    assert tags.isdisjoint({"hostdev", "filesystem", "shmem", "memory", "vsock", "emulator"})
    assert {
        "hostdev pci",
        "hostdev usb",
        "filesystem mount",
        "shmem fast-lane",
        "memory dimm",
        "vsock virtio",
        "emulator",
    } <= set(changes)
    assert "emulator" not in rebuild("desktop-uefi")[1]


def test_controllers_stay_as_they_were():
    root, _changes = rebuild("database-scsi")
    scsi = root.find("devices/controller[@type='scsi']")
    assert scsi.get("model") == "virtio-scsi"
    assert scsi.find("driver").attrib == {"queues": "4", "iothread": "2"}
    assert len(root.findall("devices/controller[@type='pci']")) == 7


def rebuild_with(parts: str, devices: str = "", **capabilities) -> tuple[ET.Element, dict[str, base.Change]]:
    """A plain server whose record has `parts` before its devices, and `devices` among them."""
    text = domain_xml.plain("old", "99999999-2222-4333-8444-555555555555")
    text = text.replace("<devices>", f"{parts}<devices>{devices}")
    new = records.new_domain(domain_xml.parse(text))
    xml, changes = domain_xml.rebuild(text, new, dataclasses.replace(records.CAPABILITIES, **capabilities))
    return tree(xml), {change.what: change for change in changes}


CONTROLLER = "<controller type='scsi' index='1' model='virtio-scsi'><driver queues='2' iothread='{}'/></controller>"


@pytest.mark.parametrize(("thread", "is_kept"), [("1", True), ("2", True), ("3", False), ("5", False), ("0", False)])
def test_a_controller_keeps_its_io_thread_where_the_new_server_has_it(thread, is_kept):
    threads = "<iothreads>2</iothreads><iothreadids><iothread id='5'/><iothread id='1'/></iothreadids>"
    root, changes = rebuild_with(threads, CONTROLLER.format(thread))
    driver = root.find("devices/controller[@type='scsi']/driver")
    assert driver.attrib == {"queues": "2"} | ({"iothread": thread} if is_kept else {})
    assert ("I/O thread of controller scsi 1" in changes) is not is_kept
    assert root.findtext("iothreads") == "2"


NEHALEM = {"cpu_models": frozenset({"Nehalem"}), "cpu_vendor": "Intel", "cpu_features": frozenset({"sse4.2", "vmx"})}


@pytest.mark.parametrize(
    ("mode", "inside", "why"),
    [
        ("custom", "<feature policy='require' name='avx512f'/>", "lacks avx512f"),
        ("custom", "<feature name='avx512f'/>", "lacks avx512f"),
        ("custom", "<vendor>AMD</vendor>", "from Intel, not from AMD"),
        ("custom", "<feature policy='forbid' name='vmx'/>", "has vmx"),
        ("host-model", "<feature policy='require' name='avx512f'/>", "lacks avx512f"),
    ],
)
def test_a_cpu_that_this_host_cannot_give_in_full_becomes_the_hosts_model(mode, inside, why):
    name = "<model fallback='forbid'>Nehalem</model>" if mode == "custom" else ""
    root, changes = rebuild_with(f"<cpu mode='{mode}'>{name}{inside}</cpu>", **NEHALEM)
    assert root.find("cpu").attrib == {"mode": "host-model"}
    assert root.findall("cpu/*") == []
    assert changes["CPU"].now == "host-model"
    assert why in changes["CPU"].why


def test_a_cpu_that_was_to_be_exactly_another_hosts_becomes_this_hosts_model():
    root, changes = rebuild_with("<cpu mode='custom' match='strict'><model>Nehalem</model></cpu>", **NEHALEM)
    assert (root.find("cpu").attrib, changes["CPU"].now) == ({"mode": "host-model"}, "host-model")


@pytest.mark.parametrize(
    ("mode", "inside"),
    [
        ("custom", "<vendor>Intel</vendor><feature policy='require' name='vmx'/>"),
        ("custom", "<feature policy='disable' name='avx512f'/><feature policy='optional' name='avx512f'/>"),
        ("custom", "<feature policy='force' name='avx512f'/>"),
        ("host-model", "<feature policy='require' name='vmx'/>"),
        ("host-passthrough", "<feature policy='require' name='avx512f'/>"),
    ],
)
def test_a_cpu_that_this_host_can_give_stays(mode, inside):
    name = "<model fallback='forbid'>Nehalem</model>" if mode == "custom" else ""
    root, changes = rebuild_with(f"<cpu mode='{mode}'>{name}{inside}</cpu>", **NEHALEM)
    assert root.find("cpu").get("mode") == mode
    assert root.find("cpu/feature") is not None
    assert "CPU" not in changes


def test_features_that_are_not_known_are_not_asked_for():
    unknown = NEHALEM | {"cpu_vendor": None, "cpu_features": frozenset()}
    record = "<cpu mode='custom'><model>Nehalem</model><vendor>AMD</vendor><feature name='avx512f'/></cpu>"
    assert "CPU" not in rebuild_with(record, **unknown)[1]
