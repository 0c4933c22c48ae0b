"""What is done with a template: one form each, which comes back to the template's page.

Every form carries the ETag of the template as its reader saw it, so nobody changes what somebody else has changed meanwhile.
"""

from __future__ import annotations

import datetime
from typing import Final

from starlette import responses

from estampe import errors
from estampe.client import client
from estampe.model import visibility
from estampe.schemas import template
from estampe.web import acts, page
from estampe.web.languages import _
from estampe.web.pages import template as template_page
from estampe.web.sections import Section

pages = page.Pages(section=Section.CATALOGUE)


async def _edit(view: page.View, reference: str) -> str | None:
    request = client.make(template.EditRequest, note=view.form.text("note"), tags=view.form.words("tags"))
    await view.api.edit_template(reference, request, if_match=_etag(view))
    return None


async def _share(view: page.View, reference: str) -> str | None:
    request = client.make(
        template.ShareRequest,
        right=_right(view),
        note=view.form.text("note"),
        expires_at=_end_of(view.form.text("until")),
    )
    await view.api.share_template(reference, view.form.text("account"), request)
    return None


async def _unshare(view: page.View, reference: str) -> str | None:
    await view.api.unshare_template(reference, view.form.text("account"))
    return None


async def _publish(view: page.View, reference: str) -> str | None:
    request = client.make(
        template.PublishRequest, right=_right(view), note=view.form.text("note"),
        is_unsealed_accepted=view.form.flag("is_unsealed_accepted"),
    )  # fmt: skip
    await view.api.publish_template(reference, request, if_match=_etag(view))
    return None


async def _unpublish(view: page.View, reference: str) -> str | None:
    await view.api.unpublish_template(reference, if_match=_etag(view))
    return None


async def _deprecate(view: page.View, reference: str) -> str | None:
    request = client.make(template.DeprecateRequest, successor=view.form.optional("successor"))
    await view.api.deprecate_template(reference, request, if_match=_etag(view))
    return None


async def _disable(view: page.View, reference: str) -> str | None:
    await view.api.disable_template(reference, if_match=_etag(view))
    return None


async def _enable(view: page.View, reference: str) -> str | None:
    await view.api.enable_template(reference, if_match=_etag(view))
    return None


async def _protect(view: page.View, reference: str) -> str | None:
    await view.api.protect_template(reference, if_match=_etag(view))
    return None


async def _unprotect(view: page.View, reference: str) -> str | None:
    await view.api.unprotect_template(reference, if_match=_etag(view))
    return None


async def _hide(view: page.View, reference: str) -> str | None:
    await view.api.hide_template(reference)
    return None


async def _unhide(view: page.View, reference: str) -> str | None:
    await view.api.unhide_template(reference)
    return None


async def _restore(view: page.View, reference: str) -> str | None:
    await view.api.restore_template(reference, if_match=_etag(view))
    return None


async def _delete(view: page.View, reference: str) -> str | None:
    gone = await view.api.delete_template(reference, if_match=_etag(view))
    return "/trash" if gone.trash is not None else "/catalogue"


async def _purge(view: page.View, reference: str) -> str | None:
    await view.api.purge_template(reference, if_match=_etag(view))
    return "/trash"


_acts: Final = acts.Acts(
    template="template.html",
    facts=template_page.facts,
    address=template_page.address,
    acts={
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
    },
)


@pages.post("/templates/{reference:path}/-/{act}")
async def act(view: page.View) -> responses.Response:
    """Do it, and show what came of it."""
    return await _acts.do(view, view.request.path_params["reference"], view.request.path_params["act"])


def _etag(view: page.View) -> str | None:
    """Of the template as the form's reader saw it."""
    return view.form.optional("etag")


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
