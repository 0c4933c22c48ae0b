"""A real server's screen and serial console, through the daemon's WebSockets, by the client and by the command line."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
import threading
import uuid as uuids
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.unit import site_under_test

from estampe import errors
from estampe.api import app, server
from estampe.client import client, terminals
from estampe.model import account, terminal
from estampe.servers import terminals as server_terminals
from estampe.virt import domain_xml, libvirt_host

pytestmark = [pytest.mark.requires_libvirt, pytest.mark.requires_qemu, pytest.mark.requires_root]
URI = "qemu:///system"
SCREEN, SERIAL = terminal.Kind


@dataclass
class Machine:
    """A paused server that says its firmware's words once it is resumed, and the daemon's socket."""

    host: libvirt_host.LibvirtHost
    name: str
    uuid: str
    socket_path: Path

    def resume(self) -> None:
        subprocess.run(["virsh", "-q", "-c", URI, "resume", self.uuid], check=True, capture_output=True, timeout=60)


@pytest.fixture
def machine(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Machine]:
    host = libvirt_host.LibvirtHost(URI, has_kvm=lambda: False)
    name, uuid = f"estampe-terminal-{uuids.uuid4().hex[:8]}", str(uuids.uuid4())
    with tempfile.TemporaryDirectory(prefix="estampe-") as run:
        site = site_under_test.Site(tmp_path, migrated_sqlite, run_directory=Path(run))
        servers = dataclasses.replace(site.services.servers, host=host)  # type: ignore[type-var]
        services = dataclasses.replace(
            site.services,
            servers=servers,
            terminals=server_terminals.TerminalService(servers=servers),  # type: ignore[arg-type]
        )
        stop = _serve(services, Path(run) / "s")
        host.define(domain_xml.plain(name, uuid, has_terminals=True))
        servers.assign(name, account.DEFAULT_ACCOUNT_ID)
        host.start(uuid, is_paused=True)
        try:
            yield Machine(host=host, name=name, uuid=uuid, socket_path=Path(run) / "s")
        finally:
            host.power_off(uuid)
            host.undefine(uuid)
            stop()
            host.close()
            site.close()


def _serve(services, path: Path) -> Callable[[], None]:
    ready, stops = threading.Event(), []

    def tell(stop: Callable[[], None]) -> None:
        stops.append(stop)
        ready.set()

    thread = threading.Thread(
        target=server.serve, args=(app.create(services),), daemon=True,
        kwargs={"socket_path": path, "group": None, "stop_deadline_seconds": 2, "on_ready": tell},
    )  # fmt: skip
    thread.start()
    assert ready.wait(30)

    def end() -> None:
        stops[0]()
        thread.join(30)
        assert not thread.is_alive()

    return end


def _read_until(opened: terminals.Terminal, wanted: bytes) -> bytes:
    read = b""
    for piece in opened:
        read += piece
        if wanted in read:
            break
    return read


def test_a_viewer_shakes_hands_with_the_servers_screen(machine: Machine) -> None:
    with client.Client(machine.socket_path) as daemon, daemon.open_terminal(machine.name, SCREEN) as opened:
        told = iter(opened)
        assert next(told) == b"RFB 003.008\n"  # RFC 6143, section 7.1
        opened.send(b"RFB 003.008\n")
        assert next(told) == b"\x01\x01"  # one type of security: none
        opened.send(b"\x01")
        assert next(told) == b"\0\0\0\0"
        opened.send(b"\x01")  # shared
        first = b"".join([next(told)])
        assert len(first) >= 24, first
        assert (int.from_bytes(first[:2]), int.from_bytes(first[2:4])) > (300, 300)
        assert machine.name.encode() in first


def test_the_serial_console_tells_the_boot_and_ends_with_the_power(machine: Machine) -> None:
    with client.Client(machine.socket_path) as daemon, daemon.open_terminal(machine.name, SERIAL) as opened:
        with pytest.raises(errors.SerialConsoleInUse):
            daemon.open_terminal(machine.name, SERIAL)
        machine.resume()
        assert b"SeaBIOS" in _read_until(opened, b"Booting from")
        opened.send(b"nobody reads this\r")
        machine.host.power_off(machine.uuid)
        list(opened)
        assert opened.ending is terminal.Ending.SERVER_OFF


def test_the_command_keeps_a_boot_in_a_file(machine: Machine, tmp_path: Path) -> None:
    kept = tmp_path / "boot.log"
    argv = [str(Path(sys.executable).with_name("estampe")), "server", "console", machine.name]
    env = {"ESTAMPE_SOCKET": str(machine.socket_path), "XDG_CONFIG_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    with (
        kept.open("wb") as out,
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, env=env) as command,
    ):
        assert command.stderr is not None
        assert b"leaves it" in command.stderr.readline()
        machine.resume()
        for _ in range(900):
            if b"No bootable device" in kept.read_bytes():
                break
            threading.Event().wait(0.1)
        machine.host.power_off(machine.uuid)
        _out, said = command.communicate(timeout=60)
    assert (command.returncode, b"is off" in said) == (0, True), said
    assert b"SeaBIOS" in kept.read_bytes()
