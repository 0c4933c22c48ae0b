"""Screens and serial consoles by both clients, over the unix socket; by TLS in tests/unit/api/test_tcp.py."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.api import fakes

from estampe import errors
from estampe.client import client
from estampe.model import power, terminal

SCREEN, SERIAL = terminal.Kind
GREETING = fakes.fake_terminals.GREETINGS


def test_a_serial_console_is_read_and_written(daemon: client.Client, world: fakes.World) -> None:
    with daemon.open_terminal("web-01", SERIAL) as opened:
        told = iter(opened)
        assert next(told) == GREETING[SERIAL]
        opened.send(b"root\r")
        assert world.terminals.ends(SERIAL)[0].recv(100) == b"root\r"
        opened.close()
        assert list(told) == []
        assert opened.ending is None
    opened.send(b"nobody hears this")


def test_it_ends_when_the_server_is_off(daemon: client.Client, world: fakes.World) -> None:
    with daemon.open_terminal("web-01", SCREEN) as opened:
        told = iter(opened)
        assert next(told) == GREETING[SCREEN]
        world.servers["web-01"] = fakes.a_server(power_state=power.PowerState.SHUT_OFF)
        world.terminals.close()
        assert list(told) == []
        assert opened.ending is terminal.Ending.SERVER_OFF


def test_one_that_is_taken_over_says_so(daemon: client.Client, world: fakes.World) -> None:
    with daemon.open_terminal("web-01", SERIAL) as first:
        with pytest.raises(errors.SerialConsoleInUse):
            daemon.open_terminal("web-01", SERIAL)
        with (
            daemon.open_terminal("web-01", SERIAL, is_taken_over=True),
            pytest.raises(errors.TerminalClosed, match="serial console of server 'web-01' was closed"),
        ):
            list(first)


def test_errors_are_the_daemons(daemon: client.Client, world: fakes.World, tmp_path: Path) -> None:
    with pytest.raises(errors.ServerNotFound):
        daemon.open_terminal("nothing-so", SCREEN)
    world.servers["web-01"] = fakes.a_server(power_state=power.PowerState.SHUT_OFF)
    with pytest.raises(errors.ServerStateForbids):
        daemon.open_terminal("web-01", SCREEN)
    with client.Client(tmp_path / "nobody.sock") as nobody, pytest.raises(errors.DaemonUnavailable):
        nobody.open_terminal("web-01", SCREEN)


def test_the_asynchronous_client_does_the_same(served: tuple[fakes.World, Path], world: fakes.World) -> None:
    async def work() -> tuple[list[bytes], terminal.Ending | None]:
        async with client.AsyncClient(served[1]) as daemon:
            async with await daemon.open_terminal("web-01", SERIAL) as opened:
                told = aiter(opened)
                pieces = [await anext(told)]
                await opened.send(b"hello")
                assert world.terminals.ends(SERIAL)[0].recv(100) == b"hello"
                world.servers["web-01"] = fakes.a_server(power_state=power.PowerState.SHUT_OFF)
                world.terminals.close()
                pieces += [piece async for piece in told]
            with pytest.raises(errors.ServerStateForbids):
                await daemon.open_terminal("web-01", SERIAL)
            return pieces, opened.ending

    assert asyncio.run(work()) == ([GREETING[SERIAL]], terminal.Ending.SERVER_OFF)
