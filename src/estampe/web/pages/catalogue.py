"""The catalogue: own templates, those that are shared with the account, and public ones."""

from __future__ import annotations

import itertools
import urllib.parse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.client import calls
from estampe.model import listing, visibility
from estampe.model import template as model
from estampe.schemas import template
from estampe.web import page
from estampe.web.languages import _
from estampe.web.sections import Section

pages = page.Pages(section=Section.CATALOGUE, entry="/catalogue")
TABS: Final = {
    visibility.Scope.MINE: _("Mine"),
    visibility.Scope.SHARED: _("Shared with me"),
    visibility.Scope.PUBLIC: _("Public"),
}
SORTS: Final = {
    listing.TemplateSort.NAME: _("Name"),
    listing.TemplateSort.NAME_DESCENDING: _("Name, from Z to A"),
    listing.TemplateSort.CREATED_DESCENDING: _("Newest first"),
    listing.TemplateSort.CREATED: _("Oldest first"),
    listing.TemplateSort.SIZE_DESCENDING: _("Largest first"),
    listing.TemplateSort.SIZE: _("Smallest first"),
}
SEALED: Final = {"": _("Sealed or not"), "true": _("Sealed"), "false": _("Not sealed")}
_STATES: Final = (model.State.ACTIVE, model.State.DEPRECATED, model.State.DISABLED, model.State.CAPTURING)
_PAGE: Final = 24
_MOST_CHARACTERS: Final = 62  # with the two stars around it a pattern of the API


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Versions of one name that follow each other in the list, the newest first."""

    newest: template.Template
    older: Sequence[template.Template]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the reader looks for, as the address says it."""

    tab: visibility.Scope
    name: str
    guest: str
    tag: str
    state: str
    sealed: str
    sort: listing.TemplateSort
    is_hidden: bool

    @classmethod
    def of(cls, view: page.View) -> Wish:
        """What the address cannot mean is passed over: it may be of another version."""
        tab, sort = view.query("tab"), view.query("sort")
        return cls(
            tab=visibility.Scope(tab) if tab in TABS else visibility.Scope.MINE,
            name=view.query("name")[:_MOST_CHARACTERS],
            guest=view.query("guest")[:_MOST_CHARACTERS],
            tag=view.query("tag")[:_MOST_CHARACTERS],
            state=view.query("state") if view.query("state") in _STATES else "",
            sealed=view.query("sealed") if view.query("sealed") in SEALED else "",
            sort=listing.TemplateSort(sort) if sort in SORTS else listing.TemplateSort.NAME,
            is_hidden=view.query("hidden") == "true",
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether something may be left out."""
        return bool(self.name) or self.is_narrowed_further

    @property
    def is_narrowed_further(self) -> bool:
        """Whether one of the filters that are folded away does it."""
        return bool(self.guest or self.tag or self.state or self.sealed or self.is_hidden)

    def asked(self) -> dict[str, Any]:
        """As the API takes it."""
        return {
            "name": _contains(self.name),
            "guest": _contains(self.guest),
            "tag": self.tag or None,
            "states": (model.State(self.state),) if self.state else (),
            "is_sealed": None if not self.sealed else self.sealed == "true",
            "is_hidden": self.is_hidden,
            "scopes": (self.tab,),
            "sort": self.sort,
            "limit": _PAGE,
        }

    def address(self, **changes: str) -> str:
        """Of the same list, with something else."""
        kept = {
            "tab": self.tab.value, "name": self.name, "guest": self.guest, "tag": self.tag, "state": self.state,
            "sealed": self.sealed, "sort": self.sort.value, "hidden": "true" if self.is_hidden else "",
        }  # fmt: skip
        fields = {name: value for name, value in (kept | changes).items() if value}
        return f"/catalogue?{urllib.parse.urlencode(fields)}"


@pages.get("/")
async def go_to_catalogue(view: page.View) -> responses.Response:
    """The first page."""
    return view.redirect("/catalogue")


@pages.get("/catalogue")
async def show_catalogue(view: page.View) -> responses.Response:
    """One tab, narrowed and sorted as asked; htmx takes the list alone."""
    wish = Wish.of(view)
    try:
        found = await view.api.page(calls.list_templates(**wish.asked()), view.query("after") or None)
    except errors.InvalidRequest as error:  # a cursor or a word that the API does not take
        return view.refused("catalogue.html", error, **_facts(wish, template.TemplateList(templates=[], next=None)))
    return view.render("catalogue.html", **_facts(wish, found))


def _facts(wish: Wish, found: template.TemplateList) -> dict[str, Any]:
    return {
        "wish": wish, "tabs": TABS, "sorts": SORTS, "states": _STATES, "sealed": SEALED, "next": found.next,
        "cards": list(cards(found.templates)),
    }  # fmt: skip


def cards(found: Iterable[template.Template]) -> Iterable[Card]:
    """One for each name; in orders in which versions do not follow each other, one for each of them."""
    for _name, group in itertools.groupby(found, key=lambda each: (each.publisher, each.name)):
        newest, *older = group
        yield Card(newest=newest, older=older)


def _contains(text: str) -> str | None:
    return f"*{text.lower()}*" if text else None
