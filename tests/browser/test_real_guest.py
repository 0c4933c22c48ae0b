"""The whole way in a browser, with a daemon of its own over libvirt and a guest that boots: nothing of it is a fake."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright import sync_api
from tests.browser import console, screens
from tests.support import corner, guests, installation, shell
from tests.unit.web import town as towns

from estampe.client import client
from estampe.model import account as accounts
from estampe.schemas import account, server

pytestmark = [
    pytest.mark.requires_chromium, pytest.mark.requires_root, pytest.mark.requires_libvirt, pytest.mark.requires_qemu,
    pytest.mark.requires_appliance,
]  # fmt: skip
_LONG_MS = 300_000.0  # a guest is booted and an appliance launched, maybe without KVM and beside other tests
_SCREEN = "<graphics type='vnc'><listen type='none'/></graphics><video><model type='vga'/></video>"


@pytest.fixture(scope="module")
def our_corner() -> Iterator[corner.Corner]:
    with corner.made("web") as made:
        yield made


@pytest.fixture(scope="module")
def daemon(our_corner: corner.Corner, appliance_cache: Path) -> Iterator[installation.Installation]:
    """With two accounts, acme of alice and globex of gina, and a mini guest that runs and is acme's."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    with installation.working_in(our_corner, appliance=appliance_cache, listen=listen) as made:
        _settle(made, our_corner)
        yield made


def _settle(made: installation.Installation, place: corner.Corner) -> None:
    disk = guests.Disk(path=guests.copy(guests.build("mini"), place.directory / "mini.raw"))
    machine = guests.Machine(
        name=f"{place.prefix}-shop", disks=(disk,), has_kvm=made.settings["accelerator"] == "kvm", extra_devices=_SCREEN
    )
    machine.define()
    with client.Client(made.socket) as office:
        for name, person in (("acme", "alice"), ("globex", "gina")):
            office.create_account(account.CreateAccountRequest(name=name))
            office.create_user(account.CreateUserRequest(name=person, password=towns.PASSWORD))
            office.add_member(name, account.AddMemberRequest(user=person, role=accounts.Role.OWNER))
        office.assign_server(machine.name, server.AssignRequest(account="acme"))


@pytest.fixture
def url(daemon: installation.Installation) -> str:
    """In place of the town's: `open_console` opens windows here."""
    return f"http://{daemon.settings['listen']}"


def test_a_guest_is_captured_shared_deployed_sat_down_at_and_its_template_deleted_and_restored(
    open_console, our_corner: corner.Corner, daemon: installation.Installation
) -> None:
    alice, gina = open_console(), open_console()
    alice.sign_in(account=None)
    gina.sign_in("gina", account=None)
    _capture(alice, f"{our_corner.prefix}-shop", name="goods")
    _share(alice)
    _deploy(gina, f"{our_corner.prefix}-new")
    assert our_corner.state(f"{our_corner.prefix}-new") == "running"
    _see_it_boot(gina, f"{our_corner.prefix}-new")
    _talk_to_it(gina, f"{our_corner.prefix}-new")
    _end_sharing(alice, gina)
    _delete_and_restore(alice)


def _capture(alice: console.Console, server_name: str, *, name: str) -> None:
    """With progress that is seen to move: the page's phases are different ones, without a reload."""
    alice.visit(f"/servers/{server_name}")
    alice.page.get_by_role("link", name="Capture", exact=True).click()
    alice.page.locator("#field-name").fill(name)
    button = alice.page.locator("#plan button")
    sync_api.expect(alice.page.locator("#plan")).to_contain_text(f"{name}@1")
    button.click()
    alice.page.wait_for_url("**/operations/*")
    alice.page.evaluate(
        """() => { window.phases = new Set();
            const look = () => { const seen = document.querySelector(".phase"); if (seen) window.phases.add(seen.textContent); };
            look(); new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true}); }"""
    )
    sync_api.expect(alice.page.locator(".badge").first).to_have_text("succeeded", timeout=_LONG_MS)
    phases = alice.page.evaluate("[...window.phases]")
    assert len(phases) >= 2, phases
    alice.page.get_by_role("link", name=f"{name}@1").click()
    sync_api.expect(alice.page.get_by_role("heading", level=1)).to_have_text(f"{name}@1")
    sync_api.expect(alice.page.locator("#volumes ~ figure").first).to_contain_text("vda")


def _share(alice: console.Console) -> None:
    alice.page.locator("summary", has_text="Share with an account").click()
    alice.page.get_by_label("Account", exact=True).fill("globex")
    alice.page.get_by_role("button", name="Share with an account").click()
    sync_api.expect(alice.page.get_by_role("status")).to_have_text("The template is shared.")


def _deploy(gina: console.Console, name: str) -> None:
    gina.visit("/catalogue?tab=shared")
    gina.page.get_by_role("link", name="goods@1").click()
    gina.page.get_by_role("link", name="Deploy", exact=True).click()
    gina.page.locator("#field-name").fill(name)
    sync_api.expect(gina.page.locator("#plan")).to_contain_text(name)
    gina.page.locator("#plan button").click()
    gina.page.wait_for_url("**/operations/*")
    sync_api.expect(gina.page.locator(".badge").first).to_have_text("succeeded", timeout=_LONG_MS)
    gina.page.get_by_role("link", name=name).click()
    sync_api.expect(gina.page.get_by_role("heading", level=1)).to_have_text(name)
    sync_api.expect(gina.page.locator(".badges")).to_contain_text("running")
    sync_api.expect(gina.page.locator(".report")).to_contain_text("identity of the machine")


def _see_it_boot(gina: console.Console, name: str) -> None:
    """The screen of the server that was deployed a moment ago, with what its firmware and its boot loader had to say."""
    gina.expected.append(screens.HINT)
    gina.page.get_by_role("link", name="Screen", exact=True).click()
    screens.is_told(gina, "Connected")
    told = ("SeaBIOS (version", "Booting from Hard Disk", "SYSLINUX 6")  # the last is from the volume that was restored
    shell.wait_for("its boot text", lambda: all(each in screens.text(name) for each in told), deadline_seconds=60)
    screens.await_what_qemu_shows(gina, name)


def _talk_to_it(gina: console.Console, name: str) -> None:
    """By its serial console: the guest tells its own number, which is the one that the deployment gave it."""
    gina.page.get_by_role("link", name="Serial console").click()
    screens.is_told(gina, "Connected")
    gina.page.get_by_label("A line to send").fill("who are you?")
    gina.page.get_by_role("button", name="Send", exact=True).click()
    sync_api.expect(gina.page.locator("[data-view]")).to_contain_text(f"product_uuid={shell.virsh('domuuid', name)}")


def _end_sharing(alice: console.Console, gina: console.Console) -> None:
    alice.page.get_by_role("button", name="End sharing with globex").click()
    sync_api.expect(alice.page.get_by_role("status")).to_contain_text("not shared with that account any more")
    gina.visit("/catalogue?tab=shared")
    sync_api.expect(gina.page.locator("main")).to_be_visible()
    assert gina.page.get_by_role("link", name="goods@1").count() == 0


def _delete_and_restore(alice: console.Console) -> None:
    alice.page.locator("summary", has_text=re.compile("^Delete$")).click()
    alice.page.get_by_role("button", name="Delete").click()
    sync_api.expect(alice.page.get_by_role("status")).to_have_text("The template is deleted.")
    alice.page.get_by_role("button", name="Restore goods@1").click()
    sync_api.expect(alice.page.get_by_role("status")).to_have_text("The template is restored.")
