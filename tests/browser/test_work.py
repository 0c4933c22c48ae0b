"""What people do in the console, with a mouse, with keys, and without scripts."""

from __future__ import annotations

import re

import pytest
from playwright import sync_api
from tests.browser import console
from tests.unit.web import town as towns

from estampe.model import operation

pytestmark = pytest.mark.requires_chromium
MIB = 1024**2


def test_a_script_as_a_note_and_as_a_name_harms_nobody(open_console) -> None:
    opened = open_console()
    opened.sign_in()
    for path in ("/catalogue", "/templates/db@1"):
        opened.visit(path)
        sync_api.expect(opened.page.get_by_text("<script>window.hurt = 1</script>").first).to_be_visible()
        assert opened.page.evaluate("window.hurt") is None
    for path in ("/servers", "/operations"):  # where a server has such a name
        opened.visit(path)
        sync_api.expect(opened.page.get_by_role("link", name="<img src=x").first).to_be_visible()
        assert opened.page.evaluate("window.hurt") is None
    opened.visit("/catalogue?name=%3Cimg src%3Dx onerror%3D%22window.hurt=1%22%3E")
    assert opened.page.evaluate("window.hurt") is None
    opened.visit("/servers/shop-01/-/capture")  # a template is given such a name
    opened.page.locator("#field-name").fill("<script>window.hurt = 1</script>")
    sync_api.expect(opened.page.locator("#problem-name")).not_to_be_empty()
    assert opened.page.evaluate("window.hurt") is None


def test_a_template_is_shared_seen_by_the_other_account_and_no_longer(open_console, town: towns.Town) -> None:
    made = town.capture(town.acme, "gift", note="for globex")
    alice, gina = open_console(), open_console()
    alice.sign_in()
    gina.sign_in("gina", account=None)
    alice.visit(f"/templates/{made.reference}")
    alice.page.locator("summary", has_text="Share with an account").click()
    alice.page.get_by_label("Account", exact=True).fill("globex")
    alice.page.get_by_role("button", name="Share with an account").click()
    sync_api.expect(alice.page.get_by_role("status")).to_have_text("The template is shared.")
    gina.visit("/catalogue?tab=shared&name=gift")
    gina.page.get_by_role("link", name="gift@1").click()
    sync_api.expect(gina.page.get_by_role("heading", level=1)).to_have_text("gift@1")
    alice.page.get_by_role("button", name="End sharing with globex").click()
    sync_api.expect(alice.page.get_by_role("status")).to_contain_text("not shared with that account any more")
    gina.expected = ["status of 404"]
    gina.page.reload()
    sync_api.expect(gina.page.get_by_role("heading", level=1)).to_contain_text("There is no template")


def test_a_template_is_deleted_and_restored(open_console, town: towns.Town) -> None:
    made = town.capture(town.acme, "brief")
    opened = open_console()
    opened.sign_in()
    opened.visit(f"/templates/{made.reference}")
    opened.page.locator("summary", has_text=re.compile("^Delete$")).click()
    opened.page.get_by_role("button", name="Delete").click()
    sync_api.expect(opened.page.get_by_role("status")).to_have_text("The template is deleted.")
    opened.page.get_by_role("button", name=f"Restore {made.reference}").click()
    sync_api.expect(opened.page.get_by_role("status")).to_have_text("The template is restored.")


def test_a_deployment_is_planned_while_it_is_typed(open_console, town: towns.Town) -> None:
    opened = open_console()
    opened.sign_in()
    opened.visit("/templates/web@3")
    opened.page.get_by_role("link", name="Deploy", exact=True).click()
    button = opened.page.locator("#plan button")
    sync_api.expect(button).to_have_text("Deploy 1 server")
    opened.page.get_by_label("How many").fill("3")
    sync_api.expect(button).to_have_text("Deploy 3 servers")
    opened.page.get_by_label("Memory").fill("lots")
    sync_api.expect(opened.page.locator("#problem-memory_bytes")).to_contain_text("is not a size")
    sync_api.expect(button).to_have_count(0)
    opened.page.get_by_label("Memory").fill("1 GiB")
    opened.page.get_by_label("How many").fill("1")
    opened.page.locator("#field-name").fill("typed-01")
    sync_api.expect(opened.page.locator("#plan")).to_contain_text("typed-01")
    sync_api.expect(opened.page.locator("#problem-memory_bytes")).to_be_empty()
    button.click()
    sync_api.expect(opened.page.get_by_role("heading", level=1)).to_contain_text("typed-01")
    town.site.run()
    sync_api.expect(opened.page.locator(".badge").first).to_have_text("succeeded")
    opened.page.get_by_role("link", name="typed-01").click()
    sync_api.expect(opened.page.get_by_role("heading", level=1)).to_have_text("typed-01")


def test_an_operation_moves_survives_a_reload_and_ends_by_itself(open_console, town: towns.Town) -> None:
    rows = town.site.installation.rows
    begun = town.begin(town.acme, operation.Kind.CAPTURE, "move-01", operation.Progress(phase="planning"), seconds=20)
    opened = open_console()
    opened.sign_in()
    opened.visit(f"/operations/{begun.id}")
    sync_api.expect(opened.page.locator(".phase")).to_have_text("Planning")
    for done in (10, 20, 30):
        told = operation.Progress(phase="copying vda", done_bytes=done * MIB, total_bytes=40 * MIB)
        rows.report(begun.id, told, at=town.site.today)
        sync_api.expect(opened.page.locator(".figures")).to_contain_text(f"{done} MiB of 40 MiB")
    opened.page.reload()
    sync_api.expect(opened.page.locator("progress")).to_have_attribute("value", "750")
    result = {"template_id": str(begun.id), "template": "move@1", "new_bytes": 5 * MIB}
    rows.finish(begun.id, operation.State.SUCCEEDED, result=result, at=town.site.today)
    sync_api.expect(opened.page.locator(".badge").first).to_have_text("succeeded")
    sync_api.expect(opened.page.locator("#said")).to_contain_text("succeeded")
    sync_api.expect(opened.page.get_by_role("link", name="move@1")).to_be_visible()
    assert opened.page.locator("[data-follow]").count() == 0


def test_a_lost_connection_is_told_and_found_again(open_console, town: towns.Town) -> None:
    begun = town.begin(town.acme, operation.Kind.CAPTURE, "lost-01", operation.Progress(phase="planning"), seconds=20)
    opened = open_console()
    opened.sign_in()
    opened.expected = ["ERR_FAILED"]
    opened.page.route("**/events", lambda route: route.abort())
    opened.visit(f"/operations/{begun.id}")
    lost = opened.page.locator("[data-lost]")
    sync_api.expect(lost).to_be_visible()
    told = operation.Progress(phase="storing the manifest")
    town.site.installation.rows.report(begun.id, told, at=town.site.today)
    opened.page.unroute("**/events")
    sync_api.expect(opened.page.locator(".phase")).to_have_text("Storing the manifest")
    sync_api.expect(lost).to_be_hidden()
    town.services.operations.cancel(town.acme.id, str(begun.id))


def test_the_list_of_operations_moves(open_console, town: towns.Town) -> None:
    begun = town.begin(town.acme, operation.Kind.CAPTURE, "list-01", operation.Progress(phase="planning"), seconds=5)
    opened = open_console()
    opened.sign_in()
    opened.visit("/operations?subject=list-01")
    state = opened.page.locator(f"#state-{begun.id}")
    sync_api.expect(state).to_contain_text("Planning")
    town.site.installation.rows.finish(begun.id, operation.State.SUCCEEDED, result={}, at=town.site.today)
    sync_api.expect(state).to_contain_text("succeeded")


def test_the_list_follows_what_is_typed(open_console) -> None:
    opened = open_console()
    opened.sign_in()
    cards = opened.page.locator(".card")
    sync_api.expect(cards).not_to_have_count(1)
    opened.page.get_by_role("searchbox").press_sequentially("web")
    sync_api.expect(cards).to_have_count(1)
    assert "name=web" in opened.page.url
    opened.page.reload()
    sync_api.expect(cards).to_have_count(1)


def test_colours_are_chosen_and_there_at_once(open_console) -> None:
    opened = open_console(theme="light")
    opened.sign_in()
    opened.visit("/preferences")
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = opened.page.evaluate(paper)
    opened.page.get_by_label("Dark").check()
    opened.page.get_by_role("button", name="Keep").click()
    sync_api.expect(opened.page.locator("html")).to_have_attribute("data-theme", "dark")
    assert opened.page.evaluate(paper) != light


def test_everything_is_reached_by_keys(open_console) -> None:
    opened = open_console()
    opened.sign_in()
    opened.visit("/templates/web@3")
    opened.page.keyboard.press("Tab")
    sync_api.expect(opened.page.get_by_text("Skip to the content")).to_be_focused()
    opened.page.keyboard.press("Enter")
    sync_api.expect(opened.page.locator("main")).to_be_focused()
    opened.page.locator(".menu summary").focus()
    opened.page.keyboard.press("Enter")
    sync_api.expect(opened.page.get_by_role("button", name="Sign out")).to_be_visible()
    opened.page.keyboard.press("Escape")
    sync_api.expect(opened.page.get_by_role("button", name="Sign out")).to_be_hidden()
    sync_api.expect(opened.page.locator(".menu summary")).to_be_focused()


def test_a_session_that_ended_is_opened_again_where_it_was(open_console, town: towns.Town) -> None:
    opened = open_console()
    opened.sign_in("gina", account=None)
    opened.page.context.clear_cookies()
    opened.visit("/trash")
    opened.page.locator("input[name=name]").fill("gina")
    opened.page.locator("input[name=password]").fill(towns.PASSWORD)
    opened.page.locator("main form button").click()
    opened.page.wait_for_url(f"{opened.url}/trash")


def test_without_scripts_it_works_as_well(chromium, url: str, town: towns.Town) -> None:
    made = town.capture(town.acme, "plain")
    context = chromium.new_context(java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    page.goto(f"{url}/sign-in?next=/templates/{made.reference}")
    page.locator("input[name=name]").fill("alice")
    page.locator("input[name=password]").fill(towns.PASSWORD)
    page.locator("main form button").click()
    page.locator("input[name=password]").fill(towns.PASSWORD)
    page.locator("select[name=account]").select_option("acme")
    page.locator("main form button").click()
    page.locator("summary", has_text=re.compile("^Protect$")).click()
    page.get_by_role("button", name="Protect").click()
    sync_api.expect(page.get_by_role("status")).to_have_text("The template is protected.")
    page.get_by_role("link", name="Count what it takes of the store").click()
    sync_api.expect(page.locator("#usage")).to_contain_text("Needed by it alone")
    context.close()


@pytest.mark.parametrize("device", console.DEVICES)
def test_the_harness_hears_what_a_page_does_wrong(open_console, url: str, device: str) -> None:
    """Else a test that finds nothing would prove nothing."""
    opened = open_console(device=device)
    opened.visit("/sign-in")
    opened.page.evaluate("console.error('a defect')")
    opened.page.evaluate("fetch('https://elsewhere.test/').catch(() => 0)")
    opened.page.evaluate(
        "document.body.append(Object.assign(document.createElement('button'), {style: 'width: 1400px'}))"
    )
    opened.page.wait_for_timeout(100)
    assert any("a defect" in each for each in opened.complaints)
    assert any("elsewhere.test" in each for each in opened.complaints)
    with pytest.raises(AssertionError, match="button-name"):
        opened.check_access()
    with pytest.raises(AssertionError, match="wide"):
        opened.check_width()
    opened.complaints.clear()
