"""API keys of the account: all of them for its owners, for others their own."""

from __future__ import annotations

import datetime
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.client import calls, client
from estampe.model import account as model
from estampe.schemas import api_key
from estampe.web import acts, page
from estampe.web.languages import _
from estampe.web.sections import Section

pages = page.Pages(section=Section.ADMINISTRATION)
_PAGE: Final = 50
_ADDRESS: Final = "/administration/keys"


@pages.get(_ADDRESS)
async def show_keys(view: page.View) -> responses.Response:
    """The newest first; those that let nobody in any more where they are asked for."""
    return view.render("administration_keys.html", **await _facts(view, ""))


@pages.post(f"{_ADDRESS}/-/create")
async def create_key(view: page.View) -> responses.Response:
    """Make one. This answer is the only place where the key itself stands: nobody keeps it, not even in the browser's history."""
    form = view.form
    try:
        request = client.make(
            api_key.CreateApiKeyRequest, name=form.text("name"), role=form.optional("role"),
            expires_at=_in_days(view, form.number("days")),
        )  # fmt: skip
        made = await view.api.create_api_key(request)
    except (errors.Invalid, errors.Conflict, errors.RoleDenied) as error:
        return view.refused("administration_keys.html", error, **await _facts(view, ""))
    return view.render("administration_keys.html", made=made, **await _facts(view, ""))


async def _facts(view: page.View, _reference: str) -> dict[str, Any]:
    is_all = view.query("all") == "true"
    asked = calls.list_api_keys(is_live=None if is_all else True, limit=_PAGE)
    found = await view.api.page(asked, view.query("after") or None)
    own = view.me.actor.role
    return {
        "keys": found.api_keys, "next": found.next, "is_all": is_all, "now": view.now,
        "roles": [role for role in model.Role if own.covers(role)],
    }  # fmt: skip


def _in_days(view: page.View, days: int | None) -> datetime.datetime | None:
    """Raises: errors.InvalidRequest where the calendar has no such day."""
    try:
        return None if days is None else view.now.replace(microsecond=0) + datetime.timedelta(days=days)
    except OverflowError as error:
        raise errors.InvalidRequest(field="days", problem="is too far away") from error


async def _revoke(view: page.View, _reference: str) -> str | None:
    await view.api.revoke_api_key(view.form.text("key"))
    return None


_acts = acts.Acts(
    template="administration_keys.html",
    facts=_facts,
    address=lambda _reference: _ADDRESS,
    acts={"revoke": (_revoke, _("The key lets nobody in any more."))},
)


@pages.post(f"{_ADDRESS}/-/{{act}}")
async def act(view: page.View) -> responses.Response:
    """Do something with one of them, which the form names."""
    return await _acts.do(view, "", view.request.path_params["act"])
