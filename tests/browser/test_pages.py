"""Every page in both languages, both themes and both sizes: no error, nothing serious for axe, nothing out of the window."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
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
    "deploy": "/templates/web@3/-/deploy",
    "servers": "/servers",
    "server": "/servers/shop-01",
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
_LOOKS = list(itertools.product(console.LANGUAGES, console.THEMES, console.DEVICES))
# axe takes a second a page: each theme and each size once.
_LOOKED_AT = {("light", "desktop"), ("dark", "phone")}


@pytest.mark.parametrize(("language", "theme", "device"), _LOOKS)
def test_every_page_is_sound(open_console, town: towns.Town, language: str, theme: str, device: str) -> None:
    opened = open_console(language=language, theme=theme, device=device)
    opened.visit("/sign-in")
    _check(opened, "sign-in", language)
    opened.sign_in()
    for name, told in PAGES.items():
        opened.expected = [r"status of 40[04]"] if name == "not-found" else []
        _look(opened, name, told if isinstance(told, str) else told(town), language)


@pytest.mark.parametrize(("language", "theme", "device"), _LOOKS)
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


def test_the_first_page_is_light_and_quick(open_console) -> None:
    """Under 200 kB with all that it loads, and shown within a second."""
    opened = open_console()
    opened.sign_in()
    opened.page.context.clear_cookies(name="estampe-theme")
    sizes: list[int] = []
    opened.page.on("response", lambda answer: sizes.append(len(answer.body()) if answer.status == 200 else 0))
    opened.visit("/catalogue")
    assert 0 < sum(sizes) < 200_000
    timing = opened.page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    assert timing < 1000
