"""docs/console.md shows each page of the console as it looks, light and dark, large and small."""

from __future__ import annotations

import re

import pytest
from tests.browser import console, test_pages

TERMINALS = ("screen", "serial")  # those of tests/browser/test_terminals.py
PAGES = ("sign-in", *test_pages.PAGES, *test_pages.OPERATORS_PAGES, *TERMINALS)
LEFT_OUT_ON_PHONES = {
    "catalogue-public",
    "catalogue-shared",
    "template-logical-volumes",
    "template-trashed",
}  # as others
MOST_BYTES = 120_000  # they are in the repository, each time anew


@pytest.mark.parametrize("device", console.DEVICES)
@pytest.mark.parametrize("theme", console.THEMES)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_pictured(page: str, theme: str, device: str) -> None:
    picture = console.SCREENSHOTS / f"{page}-{theme}-{device}.png"
    assert picture.is_file(), "make it: .venv/bin/pytest tests/browser -n0 --screenshots"
    assert picture.stat().st_size < MOST_BYTES
    if not (device == "phone" and page in LEFT_OUT_ON_PHONES):
        assert picture.name in _shown()


def test_no_picture_is_left_of_a_page_that_is_gone() -> None:
    looks = [(theme, device) for theme in console.THEMES for device in console.DEVICES]
    known = {f"{page}-{theme}-{device}.png" for page in PAGES for theme, device in looks}
    assert {picture.name for picture in console.SCREENSHOTS.iterdir()} == known


def _shown() -> set[str]:
    text = (console.SCREENSHOTS.parents[1] / "console.md").read_text()
    return set(re.findall(r"\(images/console/([\w-]+\.png)\)", text))
