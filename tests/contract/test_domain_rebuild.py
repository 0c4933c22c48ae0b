"""Servers rebuilt from records, defined and started (paused, TCG) by real libvirt: the XML is what libvirt and QEMU take."""

import shutil
import subprocess
import tempfile
import uuid as uuids
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


@pytest.mark.parametrize("name", records.NAMES)
def test_libvirt_takes_and_qemu_starts_what_was_rebuilt(name, host, directory, network):
    text = records.read(name)
    facts = domain_xml.parse(text)
    uuid = str(uuids.uuid4())
    seed = directory / f"{uuid}.iso"
    seed.write_bytes(bytes(MIB))
    is_uefi = facts.firmware is configuration.Firmware.UEFI
    server = f"estampe-rebuild-{uuid[:8]}"
    new = records.new_domain(
        facts,
        name=server,
        uuid=uuid,
        cpus=2,
        memory_bytes=256 * MIB,
        volumes=tuple(new_volume(directory, disk) for disk in facts.disks),
        seed_path=str(seed),
        interfaces=tuple(
            base.NewInterface(mac=f"52:54:00:77:00:{i:02x}", network=network, bridge=None, model=each.model or "virtio")
            for i, each in enumerate(facts.interfaces)
        ),
        nvram_path=host.nvram_path(f"{server}_VARS.fd") if is_uefi else None,
    )
    xml, changes = domain_xml.rebuild(text, new, host.capabilities())
    assert "virtualisation" in {change.what for change in changes}
    path = directory / f"{uuid}.xml"
    path.write_text(xml)
    try:
        virsh("define", "--validate", str(path))
        start(host, uuid, server)
        assert host.power_state(uuid) is power.PowerState.PAUSED
        # The first start leaves nothing for libvirt to add that a capture of the new server would not take.
        domain = host.get_domain(uuid)
        assert [volume.target for volume in domain.volumes] == [disk.target for disk in facts.disks]
        assert domain.nvram_path == new.nvram_path
        assert (host.read_nvram(new.nvram_path) is not None) if is_uefi else (domain.nvram_path is None)
    finally:
        if host.find_domain(uuid) is not None:
            host.power_off(uuid)
            host.undefine(uuid)
    assert not is_uefi or host.read_nvram(new.nvram_path) is None
