"""Signing in and out."""

from __future__ import annotations

import urllib.parse
from typing import Any

from starlette import responses

from estampe import errors
from estampe.client import client
from estampe.schemas import api_key
from estampe.web import page

pages = page.Pages()


@pages.get(page.SIGN_IN, is_open=True)
async def show_sign_in(view: page.View) -> responses.Response:
    """The form; who is signed in already goes on."""
    goal = page.own_path(view.query("next"))
    if view.current is not None and view.current.session is not None:
        return view.redirect(goal)
    return view.render("sign_in.html", **await _facts(view, goal))


@pages.post(page.SIGN_IN, is_open=True, needs_token=False)
async def sign_in(view: page.View) -> responses.Response:
    """Name and password; and the account, for who belongs to several. Also of a page that is older than a session by now."""
    goal = page.own_path(view.form.text("next"))
    try:
        request = client.make(
            api_key.SignInRequest, name=view.form.text("name").lower(), password=view.form.secret("password"),
            account=view.form.optional("account"),
        )  # fmt: skip
        await view.api.create_session(request)
    except errors.AccountAmbiguous as error:
        accounts = str(error.facts["known"]).split(", ")
        return view.refused("sign_in.html", error, **await _facts(view, goal), accounts=accounts)
    except errors.InvalidRequest:  # a name that cannot be one: no more is said than of a wrong one
        return view.refused("sign_in.html", errors.SignInRefused(), **await _facts(view, goal))
    except (errors.SignInRefused, errors.SignInLocked, errors.AccountNotFound) as error:
        return view.refused("sign_in.html", error, **await _facts(view, goal))
    return view.redirect(goal)


@pages.post("/sign-out")
async def sign_out(view: page.View) -> responses.Response:
    """Ends the session, here and at the daemon."""
    await view.api.end_session()
    return view.redirect(page.SIGN_IN, notice=view.gettext("You are signed out."))


async def _facts(view: page.View, goal: str) -> dict[str, Any]:
    ways = await view.api.get_sign_in_ways()
    return {
        "goal": goal,
        "name": view.form.text("name"),
        "openid": f"/v1/oidc/start?{urllib.parse.urlencode({'next': goal})}" if ways.has_oidc else None,
    }
