"""What is done with a template: one form each, which comes back to the template's page.

Every form carries the ETag of the template as its reader saw it, so nobody changes what somebody else has changed meanwhile.
"""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.client import client
from estampe.model import visibility
from estampe.schemas import template
from estampe.web import page
from estampe.web.languages import _
from estampe.web.pages import template as template_page
from estampe.web.sections import Section

pages = page.Pages(section=Section.CATALOGUE)
_Act = Callable[[page.View, str, str | None], Awaitable[str | None]]


async def _edit(view: page.View, reference: str, etag: str | None) -> str | None:
    request = client.make(template.EditRequest, note=view.form.text("note"), tags=view.form.words("tags"))
    await view.api.edit_template(reference, request, if_match=etag)
    return None


async def _share(view: page.View, reference: str, _etag: str | None) -> str | None:
    request = client.make(
        template.ShareRequest,
        right=_right(view),
        note=view.form.text("note"),
        expires_at=_end_of(view.form.text("until")),
    )
    await view.api.share_template(reference, view.form.text("account"), request)
    return None


async def _unshare(view: page.View, reference: str, _etag: str | None) -> str | None:
    await view.api.unshare_template(reference, view.form.text("account"))
    return None


async def _publish(view: page.View, reference: str, etag: str | None) -> str | None:
    request = client.make(
        template.PublishRequest, right=_right(view), note=view.form.text("note"),
        is_unsealed_accepted=view.form.flag("is_unsealed_accepted"),
    )  # fmt: skip
    await view.api.publish_template(reference, request, if_match=etag)
    return None


async def _unpublish(view: page.View, reference: str, etag: str | None) -> str | None:
    await view.api.unpublish_template(reference, if_match=etag)
    return None


async def _deprecate(view: page.View, reference: str, etag: str | None) -> str | None:
    request = client.make(template.DeprecateRequest, successor=view.form.optional("successor"))
    await view.api.deprecate_template(reference, request, if_match=etag)
    return None


async def _disable(view: page.View, reference: str, etag: str | None) -> str | None:
    await view.api.disable_template(reference, if_match=etag)
    return None


async def _enable(view: page.View, reference: str, etag: str | None) -> str | None:
    await view.api.enable_template(reference, if_match=etag)
    return None


async def _protect(view: page.View, reference: str, etag: str | None) -> str | None:
    await view.api.protect_template(reference, if_match=etag)
    return None


async def _unprotect(view: page.View, reference: str, etag: str | None) -> str | None:
    await view.api.unprotect_template(reference, if_match=etag)
    return None


async def _hide(view: page.View, reference: str, _etag: str | None) -> str | None:
    await view.api.hide_template(reference)
    return None


async def _unhide(view: page.View, reference: str, _etag: str | None) -> str | None:
    await view.api.unhide_template(reference)
    return None


async def _restore(view: page.View, reference: str, etag: str | None) -> str | None:
    await view.api.restore_template(reference, if_match=etag)
    return None


async def _delete(view: page.View, reference: str, etag: str | None) -> str | None:
    gone = await view.api.delete_template(reference, if_match=etag)
    return "/trash" if gone.trash is not None else "/catalogue"


async def _purge(view: page.View, reference: str, etag: str | None) -> str | None:
    await view.api.purge_template(reference, if_match=etag)
    return "/trash"


# By the last part of the form's address: what it does, which gives the page to go to (None: the template's), and what that says.
ACTIONS: Final[dict[str, tuple[_Act, str]]] = {
    "edit": (_edit, _("Note and tags are changed.")),
    "share": (_share, _("The template is shared.")),
    "unshare": (_unshare, _("The template is not shared with that account any more.")),
    "publish": (_publish, _("The template is public.")),
    "unpublish": (_unpublish, _("The template is not public any more.")),
    "deprecate": (_deprecate, _("The template is deprecated: it still deploys, with a warning.")),
    "disable": (_disable, _("The template is disabled: nothing is deployed from it.")),
    "enable": (_enable, _("The template is active again.")),
    "protect": (_protect, _("The template is protected.")),
    "unprotect": (_unprotect, _("The template is not protected any more.")),
    "hide": (_hide, _("The template is left out of your lists.")),
    "unhide": (_unhide, _("The template is in your lists again.")),
    "delete": (_delete, _("The template is deleted.")),
    "restore": (_restore, _("The template is restored.")),
    "purge": (_purge, _("The template is purged.")),
}


@pages.post("/templates/{reference:path}/-/{action}")
async def act(view: page.View) -> responses.Response:
    """Do it, and show what came of it; where the API refuses, the page as it is now with what to do next."""
    reference, action = view.request.path_params["reference"], view.request.path_params["action"]
    if action not in ACTIONS:
        raise errors.RouteNotFound(method="POST", path=view.request.url.path)
    do, said = ACTIONS[action]
    try:
        goal = await do(view, reference, view.form.optional("etag"))
    except (errors.Invalid, errors.Conflict, errors.Denied, errors.AccountNotFound, errors.ShareNotFound) as error:
        if isinstance(error, errors.NotSignedIn | errors.CrossSiteRefused):
            raise
        facts = await template_page.facts(view, reference)
        return view.refused("template.html", error, **facts, **_again(view, action))
    return view.redirect(goal or address(reference), notice=view.gettext(said))


def address(reference: str) -> str:
    """Of the template's page."""
    return f"/templates/{reference}"


def _again(view: page.View, action: str) -> dict[str, Any]:
    """Which form was refused, to be shown open with what was typed."""
    return {"refused": action, "typed": view.form}


def _right(view: page.View) -> visibility.Right:
    wanted = view.form.text("right")
    return visibility.Right(wanted) if wanted in set(visibility.Right) else visibility.Right.DEPLOY


def _end_of(day: str) -> datetime.datetime | None:
    """The end of that day, in UTC; None where no day was chosen. Raises: errors.InvalidRequest."""
    if not day:
        return None
    try:
        chosen = datetime.date.fromisoformat(day)
    except ValueError as error:
        raise errors.InvalidRequest(field="until", problem="must be a day, as 2026-12-31") from error
    return datetime.datetime.combine(chosen, datetime.time.max, datetime.UTC).replace(microsecond=0)
