"""Every page in both languages, both themes and both sizes: no error, nothing serious for axe, nothing out of the window."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from playwright import sync_api
from tests.browser import console
from tests.unit.web import town as towns

pytestmark = pytest.mark.requires_chromium

# A page of the console: its name among the pictures, and its address, which may be the town's to tell. A new page is a line here.
PAGES: dict[str, str | Callable[[towns.Town], str]] = {
    "catalogue": "/catalogue",
    "catalogue-shared": "/catalogue?tab=shared",
    "catalogue-public": "/catalogue?tab=public",
    "template": "/templates/web@3",
    "template-logical-volumes": "/templates/db@1",
    "template-usage": "/templates/web@3/-/usage",
    "template-contents": "/templates/web@3/-/contents",
    "template-diff": "/templates/web@1/-/diff?to=web@3",
    "characteristics": "/templates/web@3/-/characteristics",
    "deploy": "/templates/web@3/-/deploy",
    "servers": "/servers",
    "server": "/servers/shop-01",
    "server-deployed": "/servers/shop-02",
    "capture": "/servers/shop-01/-/capture",
    "operations": "/operations",
    "operation": lambda town: f"/operations/{town.running.id}",
    "operation-failed": lambda town: f"/operations/{town.failed.id}",
    "storage": "/storage",
    "administration": "/administration/accounts/acme",
    "keys": "/administration/keys",
    "audit": "/administration/audit",
    "trash": "/trash",
    "template-trashed": "/templates/old@1",
    "account": "/account",
    "preferences": "/preferences",
    "not-found": "/nothing-so",
}
# Those of the cloud operator.
OPERATORS_PAGES = {
    "storage-operator": "/storage",
    "accounts": "/administration/accounts",
    "account-operator": "/administration/accounts/acme",
    "people": "/administration/people",
    "host": "/administration/host",
}
# Each language in each theme and on each device: a page takes a second, so no more than that. Pictures want all looks in English.
_LOOKS = (("en", "light", "desktop"), ("en", "dark", "phone"), ("fr", "dark", "desktop"), ("fr", "light", "phone"))
_FOR_PICTURES = (("en", "dark", "desktop"), ("en", "light", "phone"))
# axe takes a second a page: each theme and each size once.
_LOOKED_AT = {("light", "desktop"), ("dark", "phone")}

_log = logging.getLogger(__name__)
_SHOWN_SECONDS = "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "theme" in metafunc.fixturenames:
        looks = (*_LOOKS, *_FOR_PICTURES) if metafunc.config.getoption("--screenshots") else _LOOKS
        metafunc.parametrize(("language", "theme", "device"), looks)


def test_every_page_is_sound(open_console, town: towns.Town, language: str, theme: str, device: str) -> None:
    opened = open_console(language=language, theme=theme, device=device)
    opened.visit("/sign-in")
    _check(opened, "sign-in", language)
    opened.sign_in()
    for name, told in PAGES.items():
        opened.expected = [r"status of 40[04]"] if name == "not-found" else []
        _look(opened, name, told if isinstance(told, str) else told(town), language)


def test_every_page_of_the_cloud_operator_is_sound(open_console, language: str, theme: str, device: str) -> None:
    opened = open_console(language=language, theme=theme, device=device)
    opened.sign_in("oscar", account=None)
    for name, path in OPERATORS_PAGES.items():
        _look(opened, name, path, language)


def _look(opened: console.Console, name: str, path: str, language: str) -> None:
    opened.visit(path)
    assert opened.page.locator("html").get_attribute("lang") == language
    _check(opened, name, language)


def _check(opened: console.Console, name: str, language: str) -> None:
    opened.check_width()
    if language != "en":  # what axe looks at does not change with the language, and the pictures are English
        return
    if (opened.theme, opened.device) in _LOOKED_AT:
        opened.check_access()
    opened.shoot(name)


@pytest.mark.parametrize("path", ["/sign-in", "/catalogue"])
def test_the_first_page_is_light_and_quick(open_console, path: str) -> None:
    """Under 200 kB with all that it loads, nothing of it out of the browser's cache, and shown within a second.

    Bytes are those after unpacking; docs/performance.md has what was found. Of three visits the quickest counts: guests of other tests boot beside.
    """
    opened = open_console()
    if path != "/sign-in":
        opened.sign_in()
    opened.page.context.new_cdp_session(opened.page).send("Network.setCacheDisabled", {"cacheDisabled": True})
    loaded: list[sync_api.Response] = []
    seconds = []

    def keep(
        answer: sync_api.Response,
    ) -> None:  # Playwright marks what it calls, which a list's own method does not bear
        loaded.append(answer)

    opened.page.on("response", keep)
    for _ in range(3):
        loaded.clear()
        opened.visit(path)
        opened.page.wait_for_load_state("networkidle")
        seconds.append(opened.page.evaluate(_SHOWN_SECONDS))
    kinds = {each.request.resource_type for each in loaded}
    assert {"document", "stylesheet", "script"} <= kinds, kinds
    total = sum(len(each.body()) for each in loaded)
    _log.info("%s: %d bytes in %d answers, shown after %.2f s", path, total, len(loaded), min(seconds))
    assert 20_000 < total < 200_000
    assert 0 < min(seconds) < 1
