"""For which account a person works, and in which browsers."""

from __future__ import annotations

from typing import Any

from starlette import responses

from estampe import errors
from estampe.client import calls, client
from estampe.schemas import account, session
from estampe.web import page

pages = page.Pages()
_PAGE = 50


@pages.get("/account")
async def show_account(view: page.View) -> responses.Response:
    """Who is signed in, the accounts to choose from, and the person's sessions."""
    return view.render("account.html", **await _facts(view))


async def _facts(view: page.View) -> dict[str, Any]:
    actor = view.me.actor
    listed = await view.api.list_memberships()
    accounts = [(each.account, each.role) for each in listed.memberships]
    if actor.is_cloud_operator:
        found = await view.api.page(calls.list_accounts(name=view.query("name") or None, limit=_PAGE), None)
        accounts = [(each, actor.role) for each in found.accounts]
    own = await view.api.page(calls.list_sessions(user=actor.name, limit=_PAGE), None)
    return {"accounts": accounts, "sessions": own.sessions}


@pages.post("/account/switch")
async def switch_account(view: page.View) -> responses.Response:
    """Another account from now on; the first page, since this one's things are not the other's."""
    request = client.make(session.SwitchRequest, account=view.form.text("account"))
    switched = await view.api.switch_account(request)
    name = switched.actor.account.name
    return view.redirect("/", notice=view.gettext("You work for account %(account)s now.", account=name))


@pages.post("/account/sessions/end")
async def end_session(view: page.View) -> responses.Response:
    """Sign another browser of one's own out."""
    await view.api.revoke_session(view.form.text("session"))
    return view.redirect("/account", notice=view.gettext("The other browser is signed out."))


@pages.post("/account/password")
async def set_password(view: page.View) -> responses.Response:
    """One's own. What was signed in with the old one is signed out, this browser too."""
    new = view.form.secret("password")
    try:
        if new != view.form.secret("repeated"):
            raise errors.InvalidRequest(field="password", problem="was typed differently the second time")
        request = client.make(account.PasswordRequest, password=new, current=view.form.secret("current") or None)
        await view.api.set_password(view.me.actor.name, request)
    except (errors.Invalid, errors.SignInRefused, errors.SignInLocked) as error:
        return view.refused("account.html", error, **await _facts(view))
    return view.redirect("/account", notice=view.gettext("Your password is changed."))
