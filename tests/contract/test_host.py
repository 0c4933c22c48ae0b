"""The contract of virt.base.Host, on the fake and on real libvirt (TCG; servers that sit in their firmware)."""

import concurrent.futures
import contextlib
import dataclasses
import shutil
import socket
import subprocess
import tempfile
import time
import uuid as uuids
from pathlib import Path

import pytest

from estampe import errors
from estampe.model import configuration, power, terminal
from estampe.virt import base, domain_xml, fake, libvirt_host, qemu_img, qemu_nbd

RAW, QCOW2 = configuration.VolumeFormat.RAW, configuration.VolumeFormat.QCOW2
MIB = 1024 * 1024
URI = "qemu:///system"


def virsh(*arguments: str) -> str:
    done = subprocess.run(["virsh", "-q", "-c", URI, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


class FakeRig:
    """What the suite needs of a host beyond its contract, on the fake."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="host-", dir="/var/tmp"))
        self.host = fake.FakeHost(self.directory / "host")
        self.prefix = "contract"

    def add_pool(self, name: str) -> None:
        self.host.add_pool(name)

    def add_stopped_pool(self, name: str) -> None:
        self.host.add_pool(name)
        self.host.stop_pool(name)

    def add_network(self, name: str) -> None:
        self.host.add_network(name)

    def add_bridge(self, name: str) -> None:
        self.host.add_bridge(name)

    def add_partition_pool(self, name: str) -> None:
        self.host.add_pool(name, kind="disk", capacity_bytes=256 * MIB)

    def silence_agent(self, uuid: str) -> None:
        self.host.guest(uuid).has_agent = False

    def save_state(self, uuid: str) -> None:
        self.host.power_off(uuid)
        self.host.set_state(uuid, has_saved_state=True)

    def make_transient(self, uuid: str) -> None:
        self.host.set_state(uuid, is_persistent=False)

    def resume(self, uuid: str) -> None:
        self.host.resume(uuid)

    def forget_connection(self) -> None:
        pass

    def close(self) -> None:
        self.host.close()
        shutil.rmtree(self.directory)


class LibvirtRig:
    """The same on libvirt: names of its own, all removed at the end."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="host-", dir="/var/tmp"))
        self.directory.chmod(0o755)  # QEMU's user goes through
        self.host = libvirt_host.LibvirtHost(URI, has_kvm=lambda: False)
        self.prefix = f"estampe-contract-{uuids.uuid4().hex[:8]}"
        self.undo = contextlib.ExitStack()

    def add_pool(self, name: str) -> None:
        directory = self.directory / name
        directory.mkdir()
        virsh("pool-create-as", name, "dir", "--target", str(directory))
        self.undo.callback(virsh, "pool-destroy", name)

    def add_stopped_pool(self, name: str) -> None:
        virsh("pool-define-as", name, "dir", "--target", str(self.directory))
        self.undo.callback(virsh, "pool-undefine", name)

    def add_partition_pool(self, name: str) -> None:
        """On a loop device: without device-mapper there are no pools of logical volumes."""
        path = self.directory / "device"
        with path.open("wb") as file:
            file.truncate(256 * MIB)
        argv = ["losetup", "--find", "--show", str(path)]
        device = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
        self.undo.callback(subprocess.run, ["losetup", "--detach", device], check=True)
        self.undo.callback(subprocess.run, ["partx", "--delete", device], check=False, capture_output=True)
        definition = self.directory / "pool.xml"
        definition.write_text(
            f"<pool type='disk'><name>{name}</name><source><device path='{device}'/><format type='gpt'/></source>"
            "<target><path>/dev</path></target></pool>"
        )
        virsh("pool-define", str(definition))
        self.undo.callback(virsh, "pool-undefine", name)
        virsh("pool-build", name, "--overwrite")
        virsh("pool-start", name)
        self.undo.callback(virsh, "pool-destroy", name)

    def add_network(self, name: str) -> None:
        path = self.directory / "network.xml"
        path.write_text(f"<network><name>{name}</name><bridge name='ec{uuids.uuid4().hex[:8]}'/></network>")
        virsh("net-create", str(path))
        self.undo.callback(virsh, "net-destroy", name)

    def add_bridge(self, name: str) -> None:
        subprocess.run(["ip", "link", "add", "name", name, "type", "bridge"], check=True)
        self.undo.callback(subprocess.run, ["ip", "link", "delete", name], check=True)

    def silence_agent(self, uuid: str) -> None:
        """A server without an operating system has no agent."""

    def save_state(self, uuid: str) -> None:
        virsh("managedsave", uuid)

    def make_transient(self, uuid: str) -> None:
        self.host.start(uuid)
        virsh("undefine", uuid)

    def resume(self, uuid: str) -> None:
        virsh("resume", uuid)

    def forget_connection(self) -> None:
        """As a restart of libvirtd leaves it: open here, dead there."""
        self.host._connection._open.close()

    def close(self) -> None:
        for summary in self.host.list_domains():
            if summary.name.startswith(self.prefix):
                self.host.power_off(summary.uuid)
                self.host.undefine(summary.uuid)
        self.undo.close()
        self.host.close()
        shutil.rmtree(self.directory)


@pytest.fixture(
    params=[
        pytest.param(FakeRig, id="fake", marks=pytest.mark.requires_qemu),
        pytest.param(
            LibvirtRig, id="libvirt", marks=[pytest.mark.requires_libvirt, pytest.mark.requires_qemu, pytest.mark.requires_root]
        ),
    ]
)  # fmt: skip
def rig(request):
    made = request.param()
    yield made
    made.close()


@pytest.fixture
def host(rig) -> base.Host:
    return rig.host


def new_volume(path: Path, volume_format=RAW, *, target="vda", is_block_device=False) -> base.NewVolume:
    return base.NewVolume(
        target=target, bus="virtio", path=str(path), format=volume_format, is_block_device=is_block_device,
        serial=None, boot_order=None,
    )  # fmt: skip


def make_image(rig, name: str, volume_format=RAW, backing: base.Layer | None = None) -> Path:
    path = rig.directory / name
    qemu_img.create(str(path), format=volume_format, size_bytes=8 * MIB, backing=backing)
    return path


def layer(path: Path, volume_format=RAW) -> base.Layer:
    return base.Layer(path=str(path), format=volume_format, is_block_device=path.is_block_device())


def add_server(rig, *volumes: base.NewVolume, name: str = "one", has_terminals: bool = False) -> str:
    uuid = str(uuids.uuid4())
    rig.host.define(domain_xml.plain(f"{rig.prefix}-{name}", uuid, volumes, has_terminals=has_terminals))
    return uuid


def add_server_with_tpm(rig, name: str) -> str:
    uuid = str(uuids.uuid4())
    tpm = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm></devices>"
    rig.host.define(domain_xml.plain(f"{rig.prefix}-{name}", uuid, ()).replace("</devices>", tpm))
    return uuid


# --- domains ---


def test_a_defined_server_is_listed_and_found_by_name_and_uuid(rig, host):
    uuid = add_server(rig)
    name = f"{rig.prefix}-one"
    found = host.find_domain(name)
    assert found == host.find_domain(uuid)
    assert (found.uuid, found.name, found.power_state) == (uuid, name, power.PowerState.SHUT_OFF)
    assert (found.is_persistent, found.cpus, found.memory_bytes) == (True, 1, 64 * MIB)
    assert found in host.list_domains()


def test_domains_are_listed_by_name(rig, host):
    add_server(rig, name="b")
    add_server(rig, name="a")
    names = [each.name for each in host.list_domains()]
    assert names == sorted(names)


def test_an_unknown_server_is_none_to_find_and_an_error_to_everything_else(host):
    unknown = str(uuids.uuid4())
    assert host.find_domain(unknown) is None
    assert host.find_domain("no such server") is None
    for call in (
        host.get_domain,
        host.volume_places,
        host.power_state,
        host.start,
        host.power_off,
        host.interface_addresses,
    ):
        with pytest.raises(errors.ServerNotFound):
            call(unknown)
    with pytest.raises(errors.ServerNotFound):
        host.agent_command(unknown, "guest-ping")
    with pytest.raises(errors.ServerNotFound):
        host.request_shutdown(unknown, by="acpi")


def test_defining_again_replaces_the_definition(rig, host):
    uuid = add_server(rig)
    xml = domain_xml.plain(f"{rig.prefix}-one", uuid, memory_mib=96)
    host.define(xml)
    host.define(xml)
    assert host.find_domain(uuid).memory_bytes == 96 * MIB


def test_a_uuid_finds_its_server_though_another_has_it_for_a_name(rig, host):
    uuid, other = add_server(rig), str(uuids.uuid4())
    host.define(domain_xml.plain(uuid, other))
    try:
        assert (host.find_domain(uuid).uuid, host.get_domain(uuid).summary.uuid) == (uuid, uuid)
        assert host.find_domain(other).name == uuid
    finally:
        host.undefine(other)


@pytest.mark.parametrize(("family", "without_eim"), [("pc", 255), ("q35", 255)])
def test_a_server_has_at_most_the_cpus_that_its_machine_takes(rig, host, family, without_eim):
    found = host.capabilities()
    machine = found.machine_aliases[family]
    assert found.most_cpus[machine] >= without_eim  # beyond, an x86 server needs an IOMMU with extended interrupt mode
    uuid = str(uuids.uuid4())

    def define(cpus):
        host.define(domain_xml.plain(f"{rig.prefix}-many", uuid, machine=machine, cpus=cpus))

    define(without_eim)
    assert host.find_domain(uuid).cpus == without_eim
    with pytest.raises(errors.HypervisorFailed):
        define(without_eim + 1)
    host.undefine(uuid)


def test_a_name_in_use_by_another_server_is_refused(rig, host):
    uuid = add_server(rig)
    with pytest.raises(errors.NameInUse):
        add_server(rig)
    assert host.find_domain(f"{rig.prefix}-one").uuid == uuid


def test_undefine_forgets_the_server_keeps_its_volumes_and_may_be_repeated(rig, host):
    path = make_image(rig, "kept.raw")
    uuid = add_server(rig, new_volume(path))
    host.undefine(uuid)
    host.undefine(uuid)
    assert host.find_domain(uuid) is None
    assert path.exists()


def test_get_domain_tells_configuration_and_volumes(rig, host):
    path = make_image(rig, "plain.qcow2", QCOW2)
    uuid = add_server(rig, new_volume(path, QCOW2))
    domain = host.get_domain(uuid)
    assert domain == host.get_domain(f"{rig.prefix}-one")
    (volume,) = domain.volumes
    assert (volume.target, volume.bus, volume.size_bytes) == ("vda", "virtio", 8 * MIB)
    assert volume.chain == (layer(path, QCOW2),)
    recorded = domain.configuration
    assert (recorded.name, recorded.domain_uuid, recorded.architecture) == (f"{rig.prefix}-one", uuid, "x86_64")
    assert recorded.machine == "pc-q35-7.2"
    assert recorded.firmware is configuration.Firmware.BIOS
    assert recorded.has_agent_channel
    assert not domain.has_saved_state
    assert not domain.has_checkpoints_or_snapshots
    assert domain.nvram_path is None


def test_a_server_without_volumes_is_a_server(rig, host):
    assert host.get_domain(add_server(rig)).volumes == ()


def test_volumes_that_a_running_server_has_and_its_definition_has_not_are_told(rig, host):
    """As attach-disk --live leaves it, or a change of the definition that waits for the next start."""
    first, second, other = (new_volume(make_image(rig, f"{each}.raw"), target=each) for each in ("vda", "vdb", "vdc"))
    uuid, name = add_server(rig, first, second), f"{rig.prefix}-one"
    host.start(uuid)
    assert host.get_domain(uuid).live_only == ()
    host.define(domain_xml.plain(name, uuid, [first]))
    assert host.get_domain(uuid).live_only == ("volume vdb",)
    host.define(domain_xml.plain(name, uuid, [first, dataclasses.replace(other, target="vdb")]))
    assert host.get_domain(uuid).live_only == ("volume vdb",)
    host.define(domain_xml.plain(name, uuid, [first, second, other]))
    assert host.get_domain(uuid).live_only == ()
    host.define(domain_xml.plain(name, uuid, [first]))
    host.power_off(uuid)
    assert host.get_domain(uuid).live_only == ()


def test_a_transient_server_cannot_be_captured(rig, host):
    uuid = add_server(rig)
    rig.make_transient(uuid)
    with pytest.raises(errors.NotAVirtualServer, match="transient"):
        host.get_domain(uuid)


# --- chains ---


def test_a_backing_chain_is_told_whole_with_every_format(rig, host):
    bottom = make_image(rig, "bottom.raw")
    middle = make_image(rig, "middle.qcow2", QCOW2, layer(bottom))
    top = make_image(rig, "top.qcow2", QCOW2, layer(middle, QCOW2))
    (volume,) = host.get_domain(add_server(rig, new_volume(top, QCOW2))).volumes
    assert volume.chain == (layer(top, QCOW2), layer(middle, QCOW2), layer(bottom))


def test_a_missing_backing_file_is_named(rig, host):
    bottom = make_image(rig, "bottom.raw")
    top = make_image(rig, "top.qcow2", QCOW2, layer(bottom))
    uuid = add_server(rig, new_volume(top, QCOW2))
    bottom.unlink()
    with pytest.raises(errors.VolumeGone, match=r"bottom\.raw"):
        host.get_domain(uuid)
    assert host.find_domain(uuid) is not None


def test_a_raw_volume_that_holds_a_qcow2_header_stays_raw(rig, host):
    bait = make_image(rig, "bait.qcow2", QCOW2, layer(make_image(rig, "secret.raw")))
    (volume,) = host.get_domain(add_server(rig, new_volume(bait, RAW))).volumes
    assert volume.chain == (layer(bait, RAW),)


def test_a_volume_on_a_block_device(rig, host):
    if not Path("/dev/loop-control").exists():
        pytest.skip("no loop devices")
    path = make_image(rig, "device.raw")
    argv = ["losetup", "--find", "--show", str(path)]
    device = Path(subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip())
    try:
        uuid = add_server(rig, new_volume(device, is_block_device=True))
        (volume,) = host.get_domain(uuid).volumes
        assert (volume.chain, volume.size_bytes) == ((layer(device),), 8 * MIB)
        assert volume.chain[0].is_block_device
        with qemu_nbd.export(volume.chain, socket_dir=rig.directory) as export:
            assert export.is_alive
        # Nothing of exclusion here: image locks cannot hold a block device under libvirt (see virt.device_fence).
        host.start(uuid)
        assert host.power_state(uuid) is power.PowerState.RUNNING
    finally:
        host.power_off(uuid)
        subprocess.run(["losetup", "--detach", device], check=True)


# --- power ---


def test_starting_and_powering_off_may_be_repeated(rig, host):
    uuid = add_server(rig)
    for _ in range(2):
        host.start(uuid)
        assert host.power_state(uuid) is power.PowerState.RUNNING
    for _ in range(2):
        host.power_off(uuid)
        assert host.power_state(uuid) is power.PowerState.SHUT_OFF


def test_a_server_can_be_started_paused(rig, host):
    uuid = add_server(rig)
    host.start(uuid, is_paused=True)
    assert host.power_state(uuid) is power.PowerState.PAUSED


def test_a_request_to_shut_down_a_server_that_is_off_is_fine(rig, host):
    uuid = add_server(rig)
    host.request_shutdown(uuid, by="acpi")
    host.request_shutdown(uuid, by="agent")
    host.power_off(uuid)
    assert host.power_state(uuid) is power.PowerState.SHUT_OFF


def test_an_agent_that_is_not_there_is_told(rig, host):
    uuid = add_server(rig)
    rig.silence_agent(uuid)
    with pytest.raises(errors.AgentUnavailable):
        host.agent_command(uuid, "guest-ping")
    host.start(uuid)
    with pytest.raises(errors.AgentUnavailable):
        host.agent_command(uuid, "guest-ping", timeout_seconds=1)
    with pytest.raises(errors.AgentUnavailable):
        host.request_shutdown(uuid, by="agent")
    assert list(host.interface_addresses(uuid)) == []
    host.request_shutdown(uuid, by="acpi")


def test_a_saved_state_is_told(rig, host):
    uuid = add_server(rig)
    host.start(uuid)
    rig.save_state(uuid)
    domain = host.get_domain(uuid)
    assert domain.has_saved_state
    assert domain.summary.power_state is power.PowerState.SHUT_OFF


# --- screen and serial console ---

SCREEN, SERIAL = terminal.Kind


def read_until(end: socket.socket, wanted: bytes) -> bytes:
    end.settimeout(30)
    read = b""
    while wanted not in read:
        piece = end.recv(4096)
        assert piece, read
        read += piece
    return read


def is_at_its_end(end: socket.socket) -> bool:
    end.settimeout(10)
    with contextlib.suppress(ConnectionResetError):
        while end.recv(4096):
            pass
    return True


def test_a_screen_speaks_rfb_without_a_password_and_to_several(rig, host):
    uuid = add_server(rig, has_terminals=True)
    host.start(uuid)
    host.check_terminal(uuid, SCREEN)
    with host.open_terminal(uuid, SCREEN) as one, host.open_terminal(uuid, SCREEN) as other:
        for end in (one, other):
            assert read_until(end, b"\n") == b"RFB 003.008\n"


def test_a_serial_console_tells_what_the_server_says_from_its_beginning(rig, host):
    uuid = add_server(rig, has_terminals=True)
    host.start(uuid, is_paused=True)
    host.check_terminal(uuid, SERIAL)
    with host.open_terminal(uuid, SERIAL) as end:
        rig.resume(uuid)
        end.sendall(b"nobody reads this\r")
        assert b"SeaBIOS" in read_until(end, b"\r\n")


def test_a_serial_console_is_open_once_unless_it_is_taken_over(rig, host):
    uuid = add_server(rig, has_terminals=True)
    host.start(uuid)
    with host.open_terminal(uuid, SERIAL) as first:
        with pytest.raises(errors.SerialConsoleInUse, match="one"):
            host.open_terminal(uuid, SERIAL)
        with host.open_terminal(uuid, SERIAL, is_taken_over=True):
            assert is_at_its_end(first)
    for _attempt in range(100):  # libvirt gives it back a moment after it was closed
        with contextlib.suppress(errors.SerialConsoleInUse):
            host.open_terminal(uuid, SERIAL).close()
            return
        time.sleep(0.05)
    pytest.fail("it is still in use though nobody has it")


def test_what_is_open_ends_when_the_server_is_off(rig, host):
    uuid = add_server(rig, has_terminals=True)
    host.start(uuid)
    with host.open_terminal(uuid, SCREEN) as screen, host.open_terminal(uuid, SERIAL) as serial:
        host.power_off(uuid)
        assert is_at_its_end(screen)
        assert is_at_its_end(serial)


@pytest.mark.parametrize("kind", terminal.Kind)
def test_a_server_that_is_off_or_unknown_has_nothing_to_open(rig, host, kind):
    uuid = add_server(rig, has_terminals=True)
    for call in (host.check_terminal, host.open_terminal):
        with pytest.raises(errors.ServerStateForbids, match="start it first"):
            call(uuid, kind)
        with pytest.raises(errors.ServerNotFound):
            call(str(uuids.uuid4()), kind)


def test_a_server_without_a_screen_or_a_serial_port_says_so(rig, host):
    uuid = add_server(rig)
    host.start(uuid)
    for call in (host.check_terminal, host.open_terminal):
        with pytest.raises(errors.NoScreen, match="no graphics device at all"):
            call(uuid, SCREEN)
        with pytest.raises(errors.NoSerialConsole, match="no serial port"):
            call(uuid, SERIAL)


# --- servers and exports exclude each other ---


def check_exclusion(rig, uuid: str, volume: base.DomainVolume) -> None:
    """While it is exported the server does not start; while the server runs it is not exported."""
    with qemu_nbd.export(volume.chain, socket_dir=rig.directory) as export:
        assert export.is_alive
        with pytest.raises(errors.VolumeLocked):
            rig.host.start(uuid)
        assert rig.host.power_state(uuid) is power.PowerState.SHUT_OFF
    rig.host.start(uuid)
    with pytest.raises(errors.VolumeLocked), qemu_nbd.export(volume.chain, socket_dir=rig.directory):
        pass
    with (
        pytest.raises(errors.VolumeLocked),
        qemu_nbd.export(volume.chain, socket_dir=rig.directory, is_read_only=False),
    ):
        pass
    assert rig.host.power_state(uuid) is power.PowerState.RUNNING


@pytest.mark.parametrize("volume_format", [RAW, QCOW2])
def test_a_server_and_an_export_of_its_volume_exclude_each_other(rig, host, volume_format):
    path = make_image(rig, f"volume.{volume_format}", volume_format)
    uuid = add_server(rig, new_volume(path, volume_format))
    (volume,) = host.get_domain(uuid).volumes
    check_exclusion(rig, uuid, volume)


@pytest.mark.parametrize("volume_format", [RAW, QCOW2])
def test_a_shared_export_is_in_nobodys_way_and_minds_nobody(rig, host, volume_format):
    bottom = make_image(rig, "bottom.raw")
    path = make_image(rig, "top.qcow2", QCOW2, layer(bottom)) if volume_format is QCOW2 else bottom
    uuid = add_server(rig, new_volume(path, volume_format))
    (volume,) = host.get_domain(uuid).volumes
    with qemu_nbd.export(volume.chain, socket_dir=rig.directory, is_shared=True) as export:
        host.start(uuid)
        assert export.is_alive
    with qemu_nbd.export(volume.chain, socket_dir=rig.directory, is_shared=True) as export:
        assert export.is_alive
    assert host.power_state(uuid) is power.PowerState.RUNNING


def test_servers_that_share_a_backing_file_run_beside_an_export_of_it(rig, host):
    bottom = make_image(rig, "bottom.qcow2", QCOW2)
    first, second = (make_image(rig, f"{n}.qcow2", QCOW2, layer(bottom, QCOW2)) for n in "ab")
    running = add_server(rig, new_volume(first, QCOW2), name="a")
    exported = add_server(rig, new_volume(second, QCOW2), name="b")
    host.start(running)
    (volume,) = host.get_domain(exported).volumes
    with qemu_nbd.export(volume.chain, socket_dir=rig.directory):
        assert host.power_state(running) is power.PowerState.RUNNING


# --- NVRAM ---


def test_nvram_is_written_read_and_removed(rig, host):
    path = host.nvram_path(f"{rig.prefix}_VARS.fd")
    assert host.read_nvram(path) is None
    host.write_nvram(path, b"one" * 1000)
    host.write_nvram(path, b"two" * 1000)
    assert host.read_nvram(path) == b"two" * 1000
    assert Path(path).stat().st_uid == Path(path).parent.stat().st_uid
    assert [each.name for each in Path(path).parent.iterdir() if rig.prefix in each.name] == [Path(path).name]
    host.delete_nvram(path)
    host.delete_nvram(path)
    assert host.read_nvram(path) is None


# --- TPM ---


@pytest.mark.parametrize("version", ["1.2", "2.0"])
def test_the_state_of_a_tpm_is_written_read_and_removed(host, version):
    uuid = str(uuids.uuid4())
    assert host.read_tpm_state(uuid, version) is None
    host.write_tpm_state(uuid, version, b"one" * 1000)
    host.write_tpm_state(uuid, version, b"two" * 1000)
    assert host.read_tpm_state(uuid, version) == b"two" * 1000
    host.delete_tpm_state(uuid)
    host.delete_tpm_state(uuid)
    assert host.read_tpm_state(uuid, version) is None


def test_a_server_starts_with_the_state_that_its_tpm_was_given_and_takes_it_along_when_it_is_forgotten(rig, host):
    source, heir, stranger = (add_server_with_tpm(rig, name) for name in ("source", "heir", "stranger"))
    states = []
    for uuid in (source, heir, stranger):
        if uuid == heir:
            host.write_tpm_state(heir, "2.0", states[0])
        host.start(uuid, is_paused=True)
        host.power_off(uuid)
        states.append(host.read_tpm_state(uuid, "2.0"))
    assert states[0] == states[1]
    assert states[0] not in {None, states[2]}
    host.undefine(heir)
    assert host.read_tpm_state(heir, "2.0") is None


def test_nvram_names_do_not_leave_their_directory(host):
    for name in ("../evil", "", ".hidden", "a/b"):
        with pytest.raises(errors.InvalidName):
            host.nvram_path(name)


# --- pools ---


@pytest.mark.parametrize("volume_format", [RAW, QCOW2])
def test_a_volume_is_made_found_and_deleted(rig, host, volume_format):
    pool = f"{rig.prefix}-pool"
    rig.add_pool(pool)
    name = host.volume_name(pool, f"new.{volume_format}")
    assert name == f"new.{volume_format}"
    made = host.create_volume(pool, name, size_bytes=64 * MIB, format=volume_format)
    assert (made.pool, made.name, made.format, made.size_bytes) == (pool, name, volume_format, 64 * MIB)
    assert not made.is_block_device
    assert Path(made.path).stat().st_blocks * 512 < MIB  # sparse
    assert host.find_volume(pool, name) == made
    assert host.find_volume_by_path(made.path) == base.VolumeName(pool=pool, name=name)
    assert made.identity is None
    with pytest.raises(errors.NameInUse):
        host.create_volume(pool, name, size_bytes=MIB, format=volume_format)
    host.delete_volume(pool, name)
    host.delete_volume(pool, name)
    assert host.find_volume(pool, name) is None
    assert not Path(made.path).exists()


@pytest.mark.parametrize("volume_format", [RAW, QCOW2])
def test_a_preallocated_volume_is_sparse_and_has_a_place_for_every_byte(rig, host, volume_format):
    pool = f"{rig.prefix}-pool"
    rig.add_pool(pool)
    made = host.create_volume(pool, "placed", size_bytes=64 * MIB, format=volume_format, is_preallocated=True)
    assert (made.format, made.size_bytes) == (volume_format, 64 * MIB)
    assert Path(made.path).stat().st_blocks * 512 < MIB
    runs = qemu_img.map([layer(Path(made.path), volume_format)])
    assert runs[-1].offset + runs[-1].length == 64 * MIB
    assert all(run.host_offset is not None and run.is_zero for run in runs)
    if volume_format is QCOW2:
        assert all(run.is_data and run.depth == 0 for run in runs)
        plain = host.create_volume(pool, "plain", size_bytes=64 * MIB, format=QCOW2)
        assert not any(run.is_data for run in qemu_img.map([layer(Path(plain.path), QCOW2)]))


def test_a_volume_that_is_still_being_made_is_deleted_once_it_is(rig, host):
    pool = f"{rig.prefix}-pool"
    rig.add_pool(pool)
    path = Path(host.get_pool(pool).path) / "large"
    with concurrent.futures.ThreadPoolExecutor(1) as other:  # as an Estampe that was killed, and started again at once
        size = 512 * 1024 * MIB
        making = other.submit(host.create_volume, pool, "large", size_bytes=size, format=QCOW2, is_preallocated=True)
        while not path.exists():
            assert not making.done()
        host.delete_volume(pool, "large")
        outcome = making.exception()  # who makes it may be told of it, or come a moment late to look at what was made
        assert outcome is None or isinstance(outcome, errors.HypervisorFailed)
    assert host.find_volume(pool, "large") is None
    assert not path.exists()


def in_pool(xml: str, made: base.PoolVolume) -> str:
    """The definition, with the volume named by its pool."""
    by_pool = f'pool="{made.pool}" volume="{made.name}"'
    return xml.replace('type="file"', 'type="volume"').replace(f'file="{made.path}"', by_pool)


def test_a_server_uses_a_pool_volume_that_was_made(rig, host):
    pool = f"{rig.prefix}-pool"
    rig.add_pool(pool)
    made = host.create_volume(pool, "disk.qcow2", size_bytes=8 * MIB, format=QCOW2)
    uuid = str(uuids.uuid4())
    host.define(in_pool(domain_xml.plain(f"{rig.prefix}-pooled", uuid, [new_volume(Path(made.path), QCOW2)]), made))
    (volume,) = host.get_domain(uuid).volumes
    assert volume.chain == (layer(Path(made.path), QCOW2),)
    host.start(uuid)
    assert host.power_state(uuid) is power.PowerState.RUNNING
    assert host.get_domain(uuid).live_only == ()


@pytest.mark.parametrize(
    ("signature", "seen_as"),
    [(b"KDMV\1\0\0\0", RAW), (b"QFI\xfb\0\0\0\1", RAW), (b"QFI\xfb\0\0\0\2", QCOW2)],
    ids=["vmdk", "qcow", "qcow2"],
)
def test_what_a_guest_writes_into_its_pool_volume_hides_it_from_nobody(rig, host, signature, seen_as):
    """A pool tells formats by what it finds in the files; the domain's own word is raw."""
    pool = f"{rig.prefix}-pool"
    rig.add_pool(pool)
    made = host.create_volume(pool, "disk.raw", size_bytes=8 * MIB, format=RAW)
    uuid = str(uuids.uuid4())
    host.define(in_pool(domain_xml.plain(f"{rig.prefix}-pooled", uuid, [new_volume(Path(made.path))]), made))
    with Path(made.path).open("r+b") as file:
        file.write(signature)
    (volume,) = host.get_domain(uuid).volumes
    assert volume.chain == (layer(Path(made.path)),)
    found = host.find_volume(pool, made.name)
    assert (found.path, found.format) == (made.path, seen_as)
    assert host.find_volume_by_path(made.path).name == made.name
    host.delete_volume(pool, made.name)
    assert not Path(made.path).exists()


def test_places_of_volumes_are_told_whatever_they_are_made_of(rig, host):
    pool, uuid = f"{rig.prefix}-pool", str(uuids.uuid4())
    rig.add_pool(pool)
    xml = domain_xml.plain(f"{rig.prefix}-places", uuid, [
        new_volume(rig.directory / "gone.qcow2", QCOW2), new_volume(Path("in-pool"), QCOW2, target="vdb"),
    ])  # fmt: skip
    xml = xml.replace('<disk type="file" device="disk"><driver name="qemu" type="qcow2" /><source file="in-pool" />',
                      f'<disk type="volume" device="disk"><driver name="qemu" type="qcow2" /><source pool="{pool}" volume="in-pool" />')  # fmt: skip
    host.define(xml)
    assert list(host.volume_places(uuid)) == [
        base.VolumePlace(target="vda", path=str(rig.directory / "gone.qcow2"), volume=None),
        base.VolumePlace(target="vdb", path=None, volume=base.VolumeName(pool=pool, name="in-pool")),
    ]


def test_a_pool_tells_its_place_and_space(rig, host):
    pool = f"{rig.prefix}-pool"
    rig.add_pool(pool)
    found = host.get_pool(pool)
    assert (found.name, found.kind, found.is_block) == (pool, "dir", False)
    assert Path(found.path).is_dir()
    assert 0 < found.available_bytes <= found.capacity_bytes
    assert pool in [each.name for each in host.list_pools()]


def test_a_pool_tells_whether_it_takes_direct_io_and_keeps_nothing_of_the_question(rig, host):
    pool = f"{rig.prefix}-pool"
    rig.add_pool(pool)
    before = sorted(Path(host.get_pool(pool).path).iterdir())
    assert host.takes_direct_io(pool)  # ext4, xfs, btrfs; tmpfs since Linux 6.6
    assert sorted(Path(host.get_pool(pool).path).iterdir()) == before
    with pytest.raises(errors.PoolNotFound):
        host.takes_direct_io(f"{rig.prefix}-nowhere")


def test_a_missing_pool_is_told_with_those_there_are(rig, host):
    rig.add_pool(f"{rig.prefix}-pool")
    with pytest.raises(errors.PoolNotFound, match=f"{rig.prefix}-pool"):
        host.get_pool("no-such-pool")
    with pytest.raises(errors.PoolNotFound):
        host.create_volume("no-such-pool", "v", size_bytes=MIB, format=RAW)
    with pytest.raises(errors.PoolNotFound):
        host.find_volume("no-such-pool", "v")
    host.delete_volume("no-such-pool", "v")
    stopped = f"{rig.prefix}-stopped"
    rig.add_stopped_pool(stopped)
    with pytest.raises(errors.PoolNotFound):
        host.delete_volume(stopped, "v")
    assert host.find_volume_by_path("/nowhere/at/all") is None


def test_a_pool_of_block_devices_gives_raw_volumes(rig, host):
    if not Path("/dev/loop-control").exists():
        pytest.skip("no loop devices")
    pool = f"{rig.prefix}-block"
    rig.add_partition_pool(pool)
    assert host.get_pool(pool).is_block
    first = host.volume_name(pool, "wanted")
    made = host.create_volume(pool, first, size_bytes=32 * MIB, format=RAW)
    assert (made.name, made.format, made.is_block_device) == (first, RAW, True)
    assert made.size_bytes >= 32 * MIB
    assert host.find_volume(pool, first) == made
    host.delete_volume(pool, first)
    again = host.create_volume(pool, first, size_bytes=32 * MIB, format=RAW)
    assert None not in {made.identity, again.identity}
    assert made.identity != again.identity
    assert host.find_volume(pool, first) == again
    second = host.volume_name(pool, "wanted")
    assert second != first
    with pytest.raises(errors.NameInUse):
        host.create_volume(pool, first, size_bytes=32 * MIB, format=RAW)
    with pytest.raises(errors.NameInUse):
        host.create_volume(pool, "wanted", size_bytes=32 * MIB, format=RAW)
    with pytest.raises(errors.HostLacks):
        host.create_volume(pool, second, size_bytes=32 * MIB, format=QCOW2)
    with pytest.raises(errors.NoSpace):
        host.create_volume(pool, second, size_bytes=512 * MIB, format=RAW)
    host.create_volume(pool, second, size_bytes=32 * MIB, format=RAW)
    for name in (first, second, second):
        host.delete_volume(pool, name)
    assert (host.find_volume(pool, first), host.find_volume(pool, second)) == (None, None)


# --- the rest ---


def test_networks_are_listed(rig, host):
    name = f"{rig.prefix}-net"
    rig.add_network(name)
    assert name in host.list_networks()


def test_bridges_are_listed(rig, host):
    name = f"eb{uuids.uuid4().hex[:8]}"
    assert name not in host.list_bridges()
    rig.add_bridge(name)
    assert name in host.list_bridges()
    assert "lo" not in host.list_bridges()


def test_capabilities_are_whole(host):
    found = host.capabilities()
    assert found is host.capabilities()
    assert (found.architecture, found.domain_type) == ("x86_64", "qemu")
    assert found.machine_aliases["q35"] in found.machines
    assert "q35" not in found.machines
    assert "qemu64" in found.cpu_models
    assert found.cpu_vendor
    assert "sse2" in found.cpu_features
    assert all(image.nvram_size_bytes for image in found.uefi)
    assert found.cpus > 0
    assert found.memory_bytes > 512 * MIB


def test_calls_come_from_many_threads_at_once(rig, host):
    uuids_ = [add_server(rig, name=str(number)) for number in range(4)]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        for uuid in uuids_ * 4:
            threads.submit(host.start, uuid)
        states = list(threads.map(host.power_state, uuids_ * 8))
    assert len(states) == 32
    assert all(host.power_state(uuid) is power.PowerState.RUNNING for uuid in uuids_)


def test_a_connection_that_died_is_opened_anew(rig, host):
    uuid = add_server(rig)
    rig.forget_connection()
    assert host.power_state(uuid) is power.PowerState.SHUT_OFF


@pytest.mark.requires_libvirt
def test_a_hypervisor_that_is_not_there_is_told():
    host = libvirt_host.LibvirtHost("qemu+unix:///system?socket=/nonexistent/libvirt-sock", has_kvm=lambda: False)
    with pytest.raises(errors.HypervisorUnavailable, match="nonexistent"):
        host.list_domains()
