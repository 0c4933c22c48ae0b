"""The way in by TCP: only with TLS from elsewhere, a certificate that can be renewed, and nobody signed in."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette import testclient, types
from tests.unit.api import fakes, people, serving

from estampe import errors
from estampe.api import peer, tcp
from estampe.client import client
from estampe.model import account, terminal

_ROOT = Path(__file__).parents[3]


def _make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A new self-signed certificate of 127.0.0.1 and its key, in files `name`.pem and `name`.key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2",
            "-keyout", str(key), "-out", str(certificate),
        ],
        check=True,
        capture_output=True,
        timeout=30,
    )  # fmt: skip
    return certificate, key


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return _make_certificate(tmp_path, "first")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [("127.0.0.1:8443", "127.0.0.1", 8443), ("[::1]:8443", "::1", 8443), ("127.8.8.8:1", "127.8.8.8", 1)],
)
def test_loopback_needs_no_tls(listen: str, host: str, port: int) -> None:
    found = tcp.parse(listen, certificate=None, key=None)
    assert (found.host, found.port) == (host, port)


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:8443", "[::]:8443", "192.0.2.1:8443", "example.org:8443", "localhost:8443"]
)
def test_plain_tcp_from_elsewhere_is_refused(listen: str, certificate: tuple[Path, Path]) -> None:
    with pytest.raises(errors.InvalidSetting, match="tls_certificate"):
        tcp.parse(listen, certificate=None, key=None)
    assert tcp.parse(listen, certificate=certificate[0], key=certificate[1]).port == 8443


@pytest.mark.parametrize(
    "listen", ["", "8443", ":8443", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "a:0"]
)
def test_what_is_no_address_is_refused(listen: str) -> None:
    with pytest.raises(errors.InvalidSetting, match="host:port"):
        tcp.parse(listen, certificate=None, key=None)


@pytest.mark.parametrize("proxy", ["", "*", "proxy.example.org", "192.0.2.1/24", "unix"])
def test_a_proxy_that_is_no_address_is_refused(proxy: str) -> None:
    with pytest.raises(errors.InvalidSetting, match="trusted_proxies"):
        tcp.parse("127.0.0.1:8443", certificate=None, key=None, proxies=(proxy,))


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        ((), "198.51.100.9", "203.0.113.1"),
        (("192.0.2.0/24",), "198.51.100.9", "203.0.113.1"),
        (("203.0.113.1",), "198.51.100.9", "198.51.100.9"),
        (("203.0.113.0/24",), "198.51.100.66, 198.51.100.9", "198.51.100.9"),  # the first is the caller's own word
    ],
)
def test_who_a_request_is_from_is_believed_of_trusted_proxies_alone(
    proxies: tuple[str, ...], forwarded: str, address: str
) -> None:
    seen: list[str] = []

    async def app(scope: types.Scope, _receive: types.Receive, send: types.Send) -> None:
        seen.append(peer.address_of(scope))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    endpoint = tcp.parse("127.0.0.1:8443", certificate=None, key=None, proxies=proxies)
    http = testclient.TestClient(tcp.behind(app, endpoint), client=("203.0.113.1", 50000))
    http.get("/", headers={"x-forwarded-for": forwarded})
    assert seen == [address]


def test_a_certificate_needs_its_key(certificate: tuple[Path, Path]) -> None:
    for given in ((certificate[0], None), (None, certificate[1])):
        with pytest.raises(errors.InvalidSetting, match="its key"):
            tcp.parse("127.0.0.1:8443", certificate=given[0], key=given[1])


def test_a_certificate_that_cannot_be_used_is_refused(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    _other, key = _make_certificate(tmp_path, "other")
    for used in ((tmp_path / "none.pem", certificate[1]), (certificate[0], key), (key, key)):
        with pytest.raises(errors.InvalidSetting, match="cannot be used"):
            tcp.Certificate(*used)


def test_an_address_in_use_is_refused() -> None:
    port = _free_port()
    endpoint = tcp.parse(f"127.0.0.1:{port}", certificate=None, key=None)
    with tcp.bind(endpoint), pytest.raises(errors.SocketInUse, match=str(port)):
        tcp.bind(endpoint)


def test_the_daemon_answers_by_tls_and_lets_nobody_in(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    port = _free_port()
    endpoint = tcp.parse(f"127.0.0.1:{port}", certificate=certificate[0], key=certificate[1])
    path = tmp_path / "estampe.sock"
    with serving.serving(fakes.World(), path, endpoint=endpoint):
        with client.Client(url=f"https://127.0.0.1:{port}", ca=certificate[0]) as daemon:
            assert daemon.get_health().status == "ok"
            with pytest.raises(errors.SignInNeeded):
                next(daemon.list_servers())
        with client.Client(path) as daemon:
            assert next(daemon.list_servers()).name == "web-01"
        with (
            client.Client(url=f"https://127.0.0.1:{port}") as daemon,
            pytest.raises(errors.DaemonUnavailable, match="verify"),
        ):
            daemon.get_health()


def test_a_screen_comes_by_tls_to_who_shows_a_key(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    port, world = _free_port(), fakes.World()
    world.reset()
    endpoint = tcp.parse(f"127.0.0.1:{port}", certificate=certificate[0], key=certificate[1])
    key = people.office().bundle.keys.make(
        account_id=account.DEFAULT_ACCOUNT_ID, user_id=None, name="ci", role=account.Role.OPERATOR,
        is_cloud_operator=False, created_by="x", expires_at=None,
    ).key  # fmt: skip
    with (
        serving.serving(world, tmp_path / "estampe.sock", endpoint=endpoint),
        client.Client(url=f"https://127.0.0.1:{port}", ca=certificate[0], key=key) as daemon,
        daemon.open_terminal("web-01", terminal.Kind.SCREEN) as opened,
    ):
        assert next(iter(opened)) == b"RFB 003.008\n"
    world.terminals.close()


def test_tls_older_than_1_2_is_refused(certificate: tuple[Path, Path]) -> None:
    assert tcp.Certificate(*certificate).context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_plain_tcp_on_loopback_lets_nobody_in_either(tmp_path: Path) -> None:
    port = _free_port()
    endpoint = tcp.parse(f"127.0.0.1:{port}", certificate=None, key=None)
    with (
        serving.serving(fakes.World(), tmp_path / "estampe.sock", endpoint=endpoint),
        client.Client(url=f"http://127.0.0.1:{port}") as daemon,
    ):
        assert daemon.get_health().status == "ok"
        with pytest.raises(errors.SignInNeeded):
            daemon.get_version()


def _serial(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port))


@contextlib.contextmanager
def _daemon(path: Path, port: int, certificate: tuple[Path, Path]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [
            sys.executable,
            str(_ROOT / "tests/unit/api/daemon.py"),
            str(path),
            f"127.0.0.1:{port}",
            *map(str, certificate),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_sighup_renews_the_certificate_and_a_bad_one_leaves_the_old(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    port = _free_port()
    with _daemon(tmp_path / "estampe.sock", port, certificate) as process:
        first = _serial(port)
        certificate[0].write_text("no certificate")
        process.send_signal(signal.SIGHUP)
        assert _serial(port) == first
        for new, used in zip(_make_certificate(tmp_path, "second"), certificate, strict=True):
            new.replace(used)
        process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while _serial(port) == first:
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
