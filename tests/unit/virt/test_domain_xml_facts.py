import pytest
from tests.unit.virt import records

from estampe import errors
from estampe.model import configuration
from estampe.virt import domain_xml


def left_out(name: str) -> dict[str, str]:
    return {each.what: each.why for each in domain_xml.parse(records.read(name)).left_out}


def test_a_uefi_desktop_is_read():
    facts = domain_xml.parse(records.read("desktop-uefi"))
    assert (facts.name, facts.kind, facts.architecture) == ("fedora-desktop", "kvm", "x86_64")
    assert facts.machine == "pc-q35-8.2"
    assert facts.cpus == 2  # current, not the most it may get
    assert facts.memory_bytes == 2 << 30
    assert (facts.cpu_mode, facts.cpu_model) == ("host-passthrough", None)
    assert facts.firmware is configuration.Firmware.UEFI
    assert not facts.has_secure_boot
    assert facts.nvram_path == "/var/lib/libvirt/qemu/nvram/fedora-desktop_VARS.fd"
    assert facts.has_agent_channel
    (disk,) = facts.disks
    assert (disk.target, disk.bus, disk.boot_order) == ("vda", "virtio", None)
    assert disk.layers == ((domain_xml.Source(path="/var/lib/libvirt/images/fedora-desktop.qcow2"), "qcow2"),)
    assert not disk.is_chain_complete


def test_an_old_bios_server_is_read():
    facts = domain_xml.parse(records.read("old-ide"))
    assert facts.firmware is configuration.Firmware.BIOS
    assert facts.memory_bytes == 524288 * 1024  # KiB where no unit is told
    assert (facts.cpu_mode, facts.cpu_model) == ("custom", "Broadwell-noTSX")
    assert facts.nvram_path is None
    assert not facts.has_agent_channel
    (disk,) = facts.disks
    assert (disk.target, disk.bus, disk.serial) == ("hda", "ide", "LEGACY01")
    (interface,) = facts.interfaces
    assert interface == configuration.InterfaceConfiguration(
        mac="52:54:00:aa:00:01", kind="bridge", source="br0", model="e1000"
    )


def test_volumes_of_pools_and_devices_are_told_with_their_place():
    root, data = domain_xml.parse(records.read("database-scsi")).disks
    assert root.layers == ((domain_xml.Source(path="/dev/vg0/database-root"), "raw"),)
    assert root.boot_order == 1
    assert data.layers == ((domain_xml.Source(path=None, pool="fast", volume="database-data"), "qcow2"),)
    assert (root.sector_size_bytes, data.sector_size_bytes) == (512, 4096)


def test_what_is_not_the_servers_own_or_cannot_be_read_is_left_out_by_name():
    out = left_out("database-scsi")
    assert out["volume sdb"] == "is a SCSI device of the host passed through"
    assert out["volume sdc"] == "is shared with other servers"
    assert "network rbd" in out["volume sdd"]
    assert "loses its changes" in out["volume sde"]
    assert "encrypted" in out["volume sdf"]
    assert "nvme" in out["volume vdb"]
    assert "vmdk" in out["volume vdc"]
    assert {"host device pci 0000:01:00.0", "host device usb 0x1234:0xbeef", "shared directory shared"} <= set(out)
    assert "host network device pci 0000:81:10.1" in out
    assert "shared memory fast-lane" in out


def test_removable_media_and_tpm_are_left_out():
    assert set(left_out("old-ide")) == {"CD-ROM hdc", "floppy fda"}
    assert {"CD-ROM sda", "TPM (emulator)"} == set(left_out("desktop-uefi"))


def test_files_of_the_host_to_boot_from_are_left_out():
    assert {"kernel /boot/evil", "initrd /boot/evil-initrd", "dtb /boot/evil.dtb"} <= set(left_out("hostile"))


def test_a_chain_that_the_xml_tells_whole_is_taken_as_told():
    (disk,) = domain_xml.parse(records.read("windows-secure")).disks
    paths = [source.path for source, _format in disk.layers]
    assert paths == ["/vms/win11.qcow2", "/vms/win11-base.qcow2"]
    assert disk.is_chain_complete


def test_secure_boot_is_known_by_attribute_feature_or_the_loaders_name():
    assert domain_xml.parse(records.read("windows-secure")).has_secure_boot
    text = records.read("windows-secure").replace("secure='yes' ", "")
    assert domain_xml.parse(text).has_secure_boot
    assert not domain_xml.parse(text.replace("OVMF_CODE.secboot.fd", "OVMF_CODE.fd")).has_secure_boot
    feature = records.read("desktop-uefi").replace(
        'enabled="no" name="secure-boot"', 'enabled="yes" name="secure-boot"'
    )
    assert domain_xml.parse(feature).has_secure_boot


def test_a_volume_to_boot_from_that_cannot_be_read_is_a_problem():
    text = records.read("old-ide").replace("type='raw' cache", "type='vdi' cache")
    assert "vdi" in domain_xml.parse(text).boot_volume_problem
    assert domain_xml.parse(records.read("database-scsi")).boot_volume_problem is None
    first = (
        records.read("database-scsi")
        .replace("<boot order='1'/>", "")
        .replace("<target dev='sdd' bus='scsi'/>", "<target dev='sdd' bus='scsi'/><boot order='1'/>")
    )
    assert "volume sdd" in domain_xml.parse(first).boot_volume_problem


def test_the_recorded_configuration_holds_sizes_and_the_xml():
    text = records.read("database-scsi")
    recorded = domain_xml.parse(text).configuration({"vda": 100, "sda": 200})
    assert [(each.target, each.size_bytes, each.format) for each in recorded.volumes] == [
        ("vda", 100, configuration.VolumeFormat.RAW),
        ("sda", 200, configuration.VolumeFormat.QCOW2),
    ]
    assert recorded.domain_xml == text
    assert recorded.memory_bytes == 8 << 30


@pytest.mark.parametrize("kind", ["lxc", "xen", "vz"])
def test_containers_and_strange_hypervisors_are_no_virtual_servers(kind):
    with pytest.raises(errors.NotAVirtualServer, match=kind):
        domain_xml.parse(records.read("old-ide").replace("type='kvm'", f"type='{kind}'", 1))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<domain", "unclosed"),
        ("", "no element"),
        ("<network/>", "<network>"),
        ("<!DOCTYPE d [<!ENTITY a 'b'>]><domain>&a;</domain>", "DOCTYPE"),
        ("<!DOCTYPE domain SYSTEM 'file:///etc/passwd'><domain/>", "DOCTYPE"),
        ("<domain>" + "<a>" * 300 + "</a>" * 300 + "</domain>", "deeply"),
        ("<domain>" + " " * (5 << 20) + "</domain>", "bytes"),
        ("<domain type='kvm'><name>x</name><os><type>hvm</type></os></domain>", "memory"),
        ("<domain type='kvm'><os><type>hvm</type></os><memory unit='elephants'>1</memory></domain>", "elephants"),
        ("<domain type='kvm'><os><type>hvm</type></os><memory>lots</memory></domain>", "lots"),
        (
            "<domain type='kvm'><os><type>hvm</type></os><memory>1</memory><devices><disk><source/></disk></devices></domain>",
            "target",
        ),
        ("<domain>\x00</domain>", "invalid token"),
        ("<domain>\udcff</domain>", "invalid token"),
    ],
)
def test_xml_that_cannot_be_used_is_refused_with_the_reason(text, problem):
    with pytest.raises(errors.DomainXmlInvalid, match=problem):
        domain_xml.parse(text)
