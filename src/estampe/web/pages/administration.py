"""Administration of accounts: their members, quotas and what they publish; for the cloud operator, of all of them."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.client import calls, client
from estampe.model import account as model
from estampe.schemas import account, publishing
from estampe.web import acts, forms, page, plots, words
from estampe.web.languages import _
from estampe.web.sections import Section

pages = page.Pages(section=Section.ADMINISTRATION, entry="/administration")
_PAGE: Final = 50
_MOST_MEMBERS: Final = 1000
_MOST_CHARACTERS: Final = 62  # with the two stars around it a pattern of the API


@pages.get("/administration")
async def go_to_own_account(view: page.View) -> responses.Response:
    """Everybody has an account to look after, or at."""
    return view.redirect(address(view.me.actor.account.name))


@pages.get("/administration/accounts")
async def show_accounts(view: page.View) -> responses.Response:
    """All of them, by name; only one's own for who is not the cloud operator."""
    return view.render("administration_accounts.html", **await _list(view, ""))


@pages.post("/administration/accounts/-/create")
async def create_account(view: page.View) -> responses.Response:
    """Make one, and go to its page."""
    try:
        made = await view.api.create_account(client.make(account.CreateAccountRequest, name=view.form.text("name")))
    except (errors.Invalid, errors.Conflict) as error:
        facts = await _list(view, view.form.text("name"))
        return view.refused("administration_accounts.html", error, **facts)
    return view.redirect(address(made.name), notice=view.gettext("The account is made. Now let people in."))


async def _list(view: page.View, typed: str) -> dict[str, Any]:
    wanted = view.query("name").lower()[:_MOST_CHARACTERS]
    asked = calls.list_accounts(name=f"*{wanted}*" if wanted else None, limit=_PAGE)
    found = await view.api.page(asked, view.query("after") or None)
    return {"accounts": found.accounts, "next": found.next, "wanted": wanted, "typed": typed}


@pages.get("/administration/accounts/{account}")
async def show_account(view: page.View) -> responses.Response:
    """One of them."""
    return view.render("administration_account.html", **await _facts(view, view.request.path_params["account"]))


async def _facts(view: page.View, reference: str) -> dict[str, Any]:
    quota = await view.api.get_quota(reference)
    members = [each async for each in view.api.list_members(reference, limit=_MOST_MEMBERS)]
    return {
        "account": quota.account,
        "quota": quota,
        "limits": _as_typed(quota.limits),
        "members": members,
        "publishing": await view.api.get_publishing(reference),
        "roles": list(model.Role),
        "counted": words.COUNTED,
        "part": plots.part,
    }


def _as_typed(limits: account.Limits) -> Mapping[str, str]:
    """Each limit as its field takes it; empty where there is none."""
    told = {name: getattr(limits, name) for name in words.COUNTED}
    return {
        name: "" if value is None else forms.exact_size(value) if words.COUNTED[name][1] else str(value)
        for name, value in told.items()
    }


async def _suspend(view: page.View, reference: str) -> str | None:
    await view.api.suspend_account(reference)
    return None


async def _resume(view: page.View, reference: str) -> str | None:
    await view.api.resume_account(reference)
    return None


async def _delete(view: page.View, reference: str) -> str | None:
    await view.api.delete_account(reference)
    return "/administration/accounts"


async def _set_quota(view: page.View, reference: str) -> str | None:
    form = view.form
    limits = {
        name: form.size(name) if is_size else form.number(name) for name, (_label, is_size) in words.COUNTED.items()
    }
    await view.api.edit_quota(reference, client.make(account.QuotaRequest, **limits))
    return None


async def _add_member(view: page.View, reference: str) -> str | None:
    request = client.make(account.AddMemberRequest, user=view.form.text("user").lower(), role=view.form.text("role"))
    await view.api.add_member(reference, request)
    return None


async def _set_role(view: page.View, reference: str) -> str | None:
    request = client.make(account.EditMemberRequest, role=view.form.text("role"))
    await view.api.edit_member(reference, view.form.text("user"), request)
    return None


async def _remove_member(view: page.View, reference: str) -> str | None:
    await view.api.remove_member(reference, view.form.text("user"))
    return None


async def _allow_publishing(view: page.View, reference: str) -> str | None:
    request = client.make(publishing.AllowRequest, may_publish=view.form.flag("may_publish"))
    await view.api.allow_publishing(reference, request)
    return None


async def _limit_publishers(view: page.View, reference: str) -> str | None:
    request = client.make(
        publishing.LimitRequest, is_limited=view.form.flag("is_limited"), publishers=view.form.words("publishers")
    )
    await view.api.limit_publishers(reference, request)
    return None


def address(reference: str) -> str:
    """Of an account's page."""
    return f"/administration/accounts/{urllib.parse.quote(reference, safe='')}"


_acts = acts.Acts(
    template="administration_account.html",
    facts=_facts,
    address=address,
    acts={
        "suspend": (_suspend, _("The account is suspended: nothing of it can be changed.")),
        "resume": (_resume, _("The account is active again.")),
        "delete": (_delete, _("The account is deleted.")),
        "quota": (_set_quota, _("The limits hold from now on.")),
        "add": (_add_member, _("The person is a member of the account.")),
        "role": (_set_role, _("The role holds from now on.")),
        "remove": (_remove_member, _("The person is not a member of the account any more.")),
        "publishing": (_allow_publishing, _("What the account may publish is changed.")),
        "publishers": (_limit_publishers, _("Whose templates the account takes is changed.")),
    },
)


@pages.post("/administration/accounts/{account}/-/{act}")
async def act(view: page.View) -> responses.Response:
    """Do something with one of them."""
    return await _acts.do(view, view.request.path_params["account"], view.request.path_params["act"])
