"""Servers: the list, one of them, and what is done with it."""

from __future__ import annotations

import urllib.parse
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.client import calls, client
from estampe.model import power
from estampe.schemas import server
from estampe.web import acts, page
from estampe.web.languages import _
from estampe.web.sections import Section

pages = page.Pages(section=Section.SERVERS, entry="/servers")
_MOST_CHARACTERS: Final = 62  # with the two stars around it a pattern of the API


@pages.get("/servers")
async def show_servers(view: page.View) -> responses.Response:
    """The account's servers, by name, narrowed as asked."""
    name = view.query("name")[:_MOST_CHARACTERS]
    state = view.query("state") if view.query("state") in set(power.PowerState) else ""
    states = (power.PowerState(state),) if state else ()
    asked = calls.list_servers(name=f"*{name}*" if name else None, power_states=states)
    found = await view.api.page(asked, view.query("after") or None)
    kept = urllib.parse.urlencode({key: value for key, value in (("name", name), ("state", state)) if value})
    return view.render(
        "servers.html", servers=found.servers, next=found.next, name=name, state=state, states=list(power.PowerState),
        here=f"/servers?{kept}" if kept else "/servers",
    )  # fmt: skip


@pages.get("/servers/{server}")
async def show_server(view: page.View) -> responses.Response:
    """All that is known of one server."""
    return view.render("server.html", **await _facts(view, view.request.path_params["server"]))


async def _facts(view: page.View, reference: str) -> dict[str, Any]:
    detail = await view.api.get_server(reference)
    busy = detail.summary.busy_operation
    return {
        "detail": detail,
        "server": detail.summary,
        "busy": None if busy is None else await _find_operation(view, str(busy)),
    }


async def _find_operation(view: page.View, reference: str) -> Any:
    """What keeps the server busy; None where it has ended meanwhile and is forgotten."""
    try:
        return await view.api.get_operation(reference)
    except errors.NotFound:
        return None


async def _start(view: page.View, reference: str) -> str | None:
    await view.api.start_server(reference)
    return None


async def _stop(view: page.View, reference: str) -> str | None:
    timeout = view.form.number("timeout_seconds")
    given = {} if timeout is None else {"timeout_seconds": float(timeout)}
    await view.api.stop_server(
        reference, client.make(server.StopRequest, is_forced=view.form.flag("is_forced"), **given)
    )
    return None


async def _delete(view: page.View, reference: str) -> str | None:
    await view.api.delete_server(
        reference, is_volumes_deleted=view.form.flag("is_volumes_deleted"), is_forced=view.form.flag("is_forced")
    )
    return "/servers"


async def _assign(view: page.View, reference: str) -> str | None:
    account = view.form.text("account")
    await view.api.assign_server(reference, client.make(server.AssignRequest, account=account))
    return None if account == view.me.actor.account.name else "/servers"


def _address(reference: str) -> str:
    return f"/servers/{urllib.parse.quote(reference, safe='@')}"


_acts = acts.Acts(
    template="server.html",
    facts=_facts,
    address=_address,
    acts={
        "start": (_start, _("The server runs.")),
        "stop": (_stop, _("The server is off.")),
        "delete": (_delete, _("The server is deleted.")),
        "assign": (_assign, _("The server belongs to the other account now.")),
    },
)


@pages.post("/servers/{server}/-/{act}")
async def act(view: page.View) -> responses.Response:
    """Do something with it."""
    return await _acts.do(view, view.request.path_params["server"], view.request.path_params["act"])
