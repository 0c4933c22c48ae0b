"""The trash: what was deleted and can still be restored."""

from __future__ import annotations

from starlette import responses

from estampe.client import calls
from estampe.web import page
from estampe.web.sections import Section

pages = page.Pages(section=Section.CATALOGUE)
_PAGE = 50


@pages.get("/trash")
async def show_trash(view: page.View) -> responses.Response:
    """The account's deleted templates; each is restored or purged on its own page."""
    asked = calls.list_templates(is_trashed=True, limit=_PAGE)
    found = await view.api.page(asked, view.query("after") or None)
    return view.render("trash.html", templates=found.templates, next=found.next)
