"""`estampe server console` and `screen`: at a terminal, without one, and to a viewer."""

from __future__ import annotations

import os
import pty
import socket
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.api import fakes

from estampe import errors
from estampe.cli import console
from estampe.client import client
from estampe.model import power, terminal

SCREEN, SERIAL = terminal.Kind
GREETING = fakes.fake_terminals.GREETINGS


@pytest.fixture
def daemon(world: fakes.World, served: tuple[fakes.World, Path]) -> Iterator[client.Client]:
    with client.Client(served[1]) as connected:
        yield connected


def _attached(opened, source: int, target: int) -> threading.Thread:
    thread = threading.Thread(target=console.attach, args=(opened,), kwargs={"source": source, "target": target})
    thread.start()
    return thread


def _read(descriptor: int, wanted: bytes) -> bytes:
    read = b""
    while wanted not in read:
        read += os.read(descriptor, 1000)
    return read


def test_every_key_goes_to_the_server_but_the_one_that_leaves(daemon: client.Client, world: fakes.World) -> None:
    person, seat = pty.openpty()
    before = termios.tcgetattr(seat)
    with daemon.open_terminal("web-01", SERIAL) as opened:
        thread = _attached(opened, seat, seat)
        assert _read(person, b"\n") == GREETING[SERIAL]
        guest = world.terminals.ends(SERIAL)[0]
        os.write(person, b"ls\r\x03\x04")
        assert guest.recv(100) == b"ls\r\x03\x04"
        guest.sendall(b"bin\r\n")
        assert _read(person, b"\n") == b"bin\r\n"
        os.write(person, b"x\x1dnever sent")
        thread.join(10)
        assert not thread.is_alive()
        assert guest.recv(100) == b"x"
    assert termios.tcgetattr(seat) == before
    os.close(person)
    os.close(seat)


def test_without_a_terminal_the_end_of_what_is_typed_is_not_the_end(daemon: client.Client, world: fakes.World) -> None:
    out, target = os.pipe()
    source, typed = os.pipe()
    with daemon.open_terminal("web-01", SERIAL) as opened:
        thread = _attached(opened, source, target)
        os.write(typed, b"a\x1db\n")
        os.close(typed)
        guest = world.terminals.ends(SERIAL)[0]
        assert guest.recv(100) == b"a\x1db\n"
        guest.sendall(b"later\r\n")
        assert _read(out, b"later\r\n") == GREETING[SERIAL] + b"later\r\n"
        world.servers["web-01"] = fakes.a_server(power_state=power.PowerState.SHUT_OFF)
        world.terminals.close()
        thread.join(10)
        assert not thread.is_alive()
    for each in (out, target, source):
        os.close(each)


def test_a_viewer_gets_the_screen_at_a_port_and_nobody_after_it(daemon: client.Client, world: fakes.World) -> None:
    ports: list[int] = []
    told = threading.Event()

    def tell(port: int) -> None:
        ports.append(port)
        told.set()

    thread = threading.Thread(
        target=console.offer, args=(lambda: daemon.open_terminal("web-01", SCREEN),), kwargs={"port": 0, "tell": tell}
    )
    thread.start()
    assert told.wait(10)
    with socket.create_connection(("127.0.0.1", ports[0])) as viewer:
        assert viewer.recv(100) == GREETING[SCREEN]
        viewer.sendall(GREETING[SCREEN])
        assert world.terminals.ends(SCREEN)[0].recv(100) == GREETING[SCREEN]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports[0]))
    thread.join(10)
    assert not thread.is_alive()


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(errors.SocketInUse):
        console.offer(lambda: pytest.fail("opened"), port=taken.getsockname()[1], tell=lambda _port: None)


def test_what_is_wrong_is_told_with_the_exit_code_of_its_kind(run, world: fakes.World) -> None:
    assert run("server", "screen", "nothing-so").exit_code == 3
    world.servers["web-01"] = fakes.a_server(power_state=power.PowerState.SHUT_OFF)
    for command in ("console", "screen"):
        told = run("server", command, "web-01")
        assert (told.exit_code, "start it first" in told.stderr) == (5, True)
