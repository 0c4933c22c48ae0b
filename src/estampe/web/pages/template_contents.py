"""What is installed in a template's guest, and what is different from one template to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.client import calls
from estampe.schemas import contents, template
from estampe.web import page
from estampe.web.languages import _
from estampe.web.sections import Section

pages = page.Pages(section=Section.CATALOGUE)
_MOST_PACKAGES: Final = 500  # a page of more is long to load and longer to read; what is typed narrows it
_MOST_CHARACTERS: Final = 64
_MOST_REFERENCE: Final = 256
_OTHERS: Final = 50
_MOST_DIFFERENCES: Final = 200  # of one list, shown at once
LISTS: Final[dict[str, str]] = {
    "configuration": _("Configuration"), "volumes": _("Volumes"), "packages": _("Packages"), "users": _("Users"),
    "services": _("Services"), "files": _("Files in /etc"),
}  # fmt: skip


@pages.get("/templates/{reference:path}/-/contents")
async def show_contents(view: page.View) -> responses.Response:
    """Packages, users and services; the list of packages follows what is typed."""
    reference = view.request.path_params["reference"]
    found = (await view.api.get_template(reference)).template
    inventory = await view.api.get_inventory(reference)
    wanted = view.query("name")[:_MOST_CHARACTERS]
    packages = [each for each in inventory.packages if wanted.lower() in each.name.lower()]
    return view.render(
        "template_contents.html", template=found, inventory=inventory, wanted=wanted, count=len(packages),
        packages=packages[:_MOST_PACKAGES],
    )  # fmt: skip


@pages.get("/templates/{reference:path}/-/diff")
async def show_difference(view: page.View) -> responses.Response:
    """What is different to another template; without one, the question to which."""
    reference, to = view.request.path_params["reference"], view.query("to")[:_MOST_REFERENCE]
    found = (await view.api.get_template(reference)).template
    facts: dict[str, Any] = {
        "template": found,
        "to": to,
        "versions": await _others(view, found),
        "lists": LISTS,
        "most": _MOST_DIFFERENCES,
    }
    if not to:
        return view.render("template_diff.html", **facts, comparison=None)
    try:
        comparison = await view.api.compare_templates(reference, to)
    except (errors.Invalid, errors.Conflict, errors.TemplateNotFound) as error:
        return view.refused("template_diff.html", error, **facts, comparison=None)
    return view.render("template_diff.html", **facts, comparison=comparison, **_counted(comparison))


async def _others(view: page.View, found: template.Template) -> Sequence[template.Template]:
    """Other versions of the name, the newest first."""
    asked = calls.list_templates(name=found.name, scopes=(found.scope,), limit=_OTHERS)
    listed = (await view.api.page(asked, None)).templates
    return [each for each in listed if each.publisher == found.publisher and each.id != found.id]


def _counted(comparison: contents.Comparison) -> dict[str, Any]:
    return {"count": sum(len(getattr(comparison, name)) for name in LISTS)}
