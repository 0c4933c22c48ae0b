"""The screen and the serial console of a real server (SeaBIOS under TCG) in a real browser, through the daemon."""

from __future__ import annotations

import dataclasses
import re
import tempfile
import uuid as uuids
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright import sync_api
from tests.browser import console as consoles
from tests.browser import screens
from tests.browser.conftest import serving
from tests.support import shell
from tests.unit.web import town as towns

from estampe.api import app as api_app
from estampe.api import relay
from estampe.servers import terminals
from estampe.virt import domain_xml, libvirt_host
from estampe.web import app as web_app

pytestmark = [
    pytest.mark.requires_chromium, pytest.mark.requires_libvirt, pytest.mark.requires_qemu, pytest.mark.requires_root,
]  # fmt: skip


@dataclass
class Machine:
    """A server of acme's that is a libvirt domain."""

    host: libvirt_host.LibvirtHost
    name: str
    uuid: str


@pytest.fixture(scope="module")
def real(town: towns.Town) -> Iterator[tuple[str, libvirt_host.LibvirtHost, Callable[[str], Machine]]]:
    """The town's console, whose servers are those of libvirt: its address, and what makes one."""
    host = libvirt_host.LibvirtHost(shell.URI, has_kvm=lambda: False)
    servers = dataclasses.replace(town.site.services.servers, host=host)  # type: ignore[type-var]
    services = dataclasses.replace(
        town.services,
        servers=servers,
        terminals=terminals.TerminalService(servers=servers),  # type: ignore[arg-type]
    )
    api = api_app.create(services)
    api.state.terminals.limits = relay.Limits(look_seconds=0.3)
    made: list[str] = []

    def make(what: str) -> Machine:
        name, uuid = f"estampe-browser-{what}-{uuids.uuid4().hex[:6]}", str(uuids.uuid4())
        made.append(uuid)
        host.define(domain_xml.plain(name, uuid, has_terminals=what != "bare"))
        servers.assign(name, town.acme.id)
        host.start(uuid, is_paused=True)
        return Machine(host=host, name=name, uuid=uuid)

    with tempfile.TemporaryDirectory(prefix="estampe-") as run, serving(web_app.create(api), Path(run) / "s") as url:
        yield url, host, make
    for uuid in made:
        if host.find_domain(uuid) is not None:
            host.power_off(uuid)
            host.undefine(uuid)
    host.close()


@pytest.fixture
def sit_down(
    chromium: sync_api.Browser, real, request: pytest.FixtureRequest
) -> Iterator[Callable[..., consoles.Console]]:
    """Opens a window that is signed in, at the console with real servers; a complaint of the browser's fails the test."""
    opened: list[consoles.Console] = []

    def open_one(name: str = "alice", **wishes: str) -> consoles.Console:
        shots = request.config.getoption("--screenshots")
        made = consoles.Console.open(chromium, real[0], takes_screenshots=shots, **wishes)
        made.expected.append(screens.HINT)
        opened.append(made)
        made.sign_in(name)
        return made

    yield open_one
    complaints = [complaint for each in opened for complaint in each.complaints]
    for each in opened:
        each.close()
    assert complaints == []


def test_the_screen_shows_the_guests_boot_text(real, sit_down) -> None:
    machine = real[2]("screen")
    opened = sit_down()
    opened.visit(f"/servers/{machine.name}")
    opened.page.get_by_role("link", name="Screen", exact=True).click()
    screens.is_told(opened, "Connected")
    shell.virsh("resume", machine.uuid)
    screens.await_what_qemu_shows(opened, machine.uuid)
    assert "SeaBIOS" in screens.text(machine.uuid)
    opened.check_access()
    opened.check_width()
    opened.shoot("screen")
    # Keys are the server's until Shift+Escape, and every button works.
    opened.page.locator("[data-view] canvas").focus()
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.tagName") == "CANVAS"
    opened.page.keyboard.press("Shift+Escape")
    assert opened.page.evaluate("document.activeElement.dataset.act") == "full"
    opened.page.get_by_role("button", name="Fit to the window").click()
    sync_api.expect(opened.page.get_by_role("button", name="Fit to the window")).to_have_attribute(
        "aria-pressed", "false"
    )
    opened.page.get_by_role("button", name="Send Ctrl+Alt+Del").click()
    sync_api.expect(opened.page.get_by_role("button", name="Connect again")).to_be_hidden()
    machine.host.power_off(machine.uuid)
    screens.is_told(opened, "The server is off.")
    machine.host.start(machine.uuid)
    opened.page.get_by_role("button", name="Connect again").click()
    screens.is_told(opened, "Connected")


def test_the_serial_console_shows_the_guests_boot_text_and_takes_keys(real, sit_down) -> None:
    machine = real[2]("serial")
    opened = sit_down()
    opened.visit(f"/servers/{machine.name}/serial")
    screens.is_told(opened, "Connected")
    shell.virsh("resume", machine.uuid)
    view = opened.page.locator("[data-view]")
    sync_api.expect(view).to_contain_text("SeaBIOS (version")
    sync_api.expect(view).to_contain_text("Booting from")
    sync_api.expect(view).to_contain_text("No bootable device.")
    opened.check_access()
    opened.check_width()
    opened.shoot("serial")
    view.press("x")
    opened.page.get_by_label("A line to send").fill("hello")
    opened.page.get_by_role("button", name="Send", exact=True).click()
    sync_api.expect(opened.page.get_by_label("A line to send")).to_have_value("")
    # Only one can have it; another may take it over.
    other = sit_down()
    other.expected.append("WebSocket connection to .* failed")
    other.visit(f"/servers/{machine.name}/serial")
    screens.is_told(other, re.compile("somebody else may have it open"))
    other.page.get_by_role("button", name="Take it over").click()
    screens.is_told(other, "Connected")
    screens.is_told(opened, re.compile("taken it over"))


def test_what_is_open_ends_with_the_session(real, sit_down) -> None:
    machine = real[2]("ends")
    opened = sit_down()
    opened.visit(f"/servers/{machine.name}/serial")
    screens.is_told(opened, "Connected")
    elsewhere = opened.page.context.new_page()
    elsewhere.goto(f"{opened.url}/account")
    elsewhere.evaluate("document.querySelector('form[action=\"/sign-out\"]').submit()")
    elsewhere.wait_for_url("**/sign-in*")
    screens.is_told(opened, re.compile("signed out"))
    opened.page.get_by_role("button", name="Connect again").click()
    opened.page.wait_for_url("**/sign-in?next=*serial*")


@pytest.mark.parametrize(
    ("language", "theme", "device", "told"),
    [
        ("en", "dark", "desktop", "Connected"), ("fr", "light", "desktop", "Connecté"),
        ("en", "light", "phone", "Connected"), ("en", "dark", "phone", "Connected"),
    ],
)  # fmt: skip
def test_both_are_sound_in_other_looks(real, sit_down, language: str, theme: str, device: str, told: str) -> None:
    machine = real[2]("looks")
    opened = sit_down(language=language, theme=theme, device=device)
    for page in ("screen", "serial"):
        opened.visit(f"/servers/{machine.name}/{page}")
        screens.is_told(opened, told)
        if page == "screen":
            shell.virsh("resume", machine.uuid)
            screens.await_what_qemu_shows(opened, machine.uuid)
        else:
            shell.virsh("reset", machine.uuid)
            sync_api.expect(opened.page.locator("[data-view]")).to_contain_text("No bootable device.")
        opened.check_access()
        opened.check_width()
        if language == "en":  # as the other pictures of the documents
            opened.shoot(page)


def test_a_server_without_either_says_so_and_what_to_do(real, sit_down) -> None:
    machine = real[2]("bare")
    opened = sit_down(language="fr")
    opened.expected.append("status of 422")
    opened.visit(f"/servers/{machine.name}/screen")
    sync_api.expect(opened.page.get_by_role("alert")).to_contain_text("pas d\u2019écran")
    opened.page.get_by_role("link", name="Console série").click()
    sync_api.expect(opened.page.get_by_role("alert")).to_contain_text("pas de console série")
    opened.check_access()
