"""Links between the project's own pages lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs import generate

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def _pages() -> list[Path]:
    return sorted([*generate.ROOT.glob("*.md"), *generate.DOCS.rglob("*.md")])


def _links(page: Path) -> Iterator[str]:
    for match in _LINK.finditer(_CODE.sub("", page.read_text())):
        link = match[1] or match[2]
        if not re.match(r"[a-z]+:", link):
            yield link


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them: lower case, punctuation gone, blanks as hyphens."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).lower()).replace(" ", "-")
        for text in headings
    }


@pytest.mark.parametrize("page", _pages(), ids=lambda page: str(page.relative_to(generate.ROOT)))
def test_links_resolve(page: Path) -> None:
    broken = []
    for link in _links(page):
        name, _, anchor = link.partition("#")
        target = page if not name else (page.parent / name).resolve()
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme_or_the_contents() -> None:
    linked = {(page.parent / link.partition("#")[0]).resolve() for page in _pages() for link in _links(page)}
    assert [
        page for page in generate.DOCS.rglob("*.md") if page not in linked and page != generate.DOCS / "README.md"
    ] == []
