"""A person at the console: a window of Chromium with its language, its colours and its size."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from axe_playwright_python import sync_playwright as axe
from playwright import sync_api
from tests.support import shell
from tests.unit.web import town

CHROMIUM: Final = "/usr/bin/chromium"
# Root needs no sandbox here: only pages of our own are shown. The rest keeps it from asking other hosts for anything.
ARGUMENTS: Final = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SCREENSHOTS: Final = Path(__file__).parents[2] / "docs/images/console"
DEVICES: Final = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 740}}
THEMES: Final = ("light", "dark")
LANGUAGES: Final = ("en", "fr")
# Pages have few colours: by a palette of 256, not dithered, a picture is a third as large and looks the same.
_PALETTE: Final = ["pngquant", "--nofs", "--speed", "1", "--strip", "--force"]
_SERIOUS: Final = {"serious", "critical"}
_WCAG: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@dataclass
class Console:
    """`complaints` are what the browser had against the pages so far: errors, and requests to other hosts."""

    page: sync_api.Page
    url: str
    device: str
    theme: str
    takes_screenshots: bool
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)  # patterns of errors that the test means to bring about

    @classmethod
    def open(
        cls, chromium: sync_api.Browser, url: str, *, takes_screenshots: bool = False, language: str = "en",
        theme: str = "light", device: str = "desktop",
    ) -> Self:  # fmt: skip
        context = chromium.new_context(
            viewport=DEVICES[device], locale={"en": "en-GB", "fr": "fr-FR"}[language], color_scheme=theme,
            timezone_id="Europe/Paris", reduced_motion="reduce", is_mobile=device == "phone", has_touch=device == "phone",
        )  # fmt: skip
        context.set_default_timeout(60_000)  # a machine that boots guests beside may take its time
        made = cls(page=context.new_page(), url=url, device=device, theme=theme, takes_screenshots=takes_screenshots)
        made.page.on("console", made._on_message)
        made.page.on("pageerror", lambda error: made.complaints.append(f"defect: {error}"))
        made.page.on("request", made._on_request)
        return made

    def _on_message(self, message: sync_api.ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not any(re.search(each, message.text) for each in self.expected):
            self.complaints.append(f"{message.type}: {message.text}")

    def _on_request(self, request: sync_api.Request) -> None:
        if not request.url.startswith((self.url, self.url.replace("http", "ws", 1), "data:")):
            self.complaints.append(f"another host: {request.url}")

    def close(self) -> None:
        self.page.context.close()

    def visit(self, path: str) -> None:
        """Go there, and wait until the parts that come later are there."""
        self.page.goto(self.url + path)
        self.page.locator("[hx-trigger=load] a").first.wait_for(state="detached")
        self.page.locator(".htmx-request").first.wait_for(state="detached")

    def sign_in(self, name: str = "alice", *, account: str | None = "acme") -> None:
        self.expected.append(r"status of 400")  # the question which account
        self.visit("/sign-in")
        self.page.locator("input[name=name]").fill(name)
        self.page.locator("input[name=password]").fill(town.PASSWORD)
        self.page.locator("main form button").click()
        if account is not None and self.page.locator("select[name=account]").count():  # a member of several accounts
            self.page.locator("input[name=password]").fill(town.PASSWORD)
            self.page.locator("select[name=account]").select_option(account)
            self.page.locator("main form button").click()
        self.page.wait_for_url(f"{self.url}/catalogue*")

    def check_access(self) -> None:
        """What axe has against the page, in words; it may have nothing serious."""
        found = axe.Axe().run(self.page, options={"runOnly": {"type": "tag", "values": _WCAG}})
        serious = [each for each in found.response["violations"] if each["impact"] in _SERIOUS]
        assert not serious, "\n".join(_told(each) for each in serious)

    def check_width(self) -> None:
        """Nothing reaches out of the window: a page is scrolled in one direction only (WCAG 1.4.10)."""
        width = self.page.evaluate("document.documentElement.scrollWidth")
        window = DEVICES[self.device]["width"]  # not what a phone says: it zooms out until the page fits
        assert width <= window, f"the page is {width} wide, the window {window}"

    def shoot(self, name: str) -> None:
        """Keep a picture for the documents, where this run is asked to."""
        if self.takes_screenshots:
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            path = SCREENSHOTS / f"{name}-{self.theme}-{self.device}.png"
            self.page.screenshot(path=path, full_page=self.device == "desktop")
            shell.run([*_PALETTE, "--output", str(path), "256", str(path)])


def _told(violation: dict[str, Any]) -> str:
    where = "; ".join(" ".join(map(str, node["target"])) for node in violation["nodes"][:3])
    return f"{violation['id']}: {violation['help']} ({where})"
