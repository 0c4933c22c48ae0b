"""All pages. To add one: a module here with a `pages.Pages`, its template in `templates`, and its name in `ALL`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from estampe.web import page
from estampe.web.pages import (
    accounts,
    administration,
    audit,
    capture,
    catalogue,
    deploy,
    host,
    keys,
    operations,
    people,
    preferences,
    servers,
    sign_in,
    storage,
    template,
    template_actions,
    trash,
)
from estampe.web.sections import Section

ALL: Final[Sequence[page.Pages]] = (
    sign_in.pages,
    preferences.pages,
    accounts.pages,
    catalogue.pages,
    operations.pages,
    capture.pages,
    servers.pages,  # behind capture: its actions take every last part of an address
    storage.pages,
    administration.pages,
    keys.pages,
    audit.pages,
    people.pages,
    host.pages,
    deploy.pages,
    trash.pages,
    template_actions.pages,
    template.pages,  # the last of the catalogue: its path takes everything below /templates
)


def sections() -> Sequence[page.Entry]:
    """The navigation: those sections that have an entry."""
    found = [
        page.Entry(section=each.section, path=each.entry, is_operators=each.is_operators)
        for each in ALL
        if each.section is not None and each.entry is not None
    ]
    return sorted(found, key=lambda each: list(Section).index(each.section))
