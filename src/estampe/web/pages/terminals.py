"""A server's screen and its serial console. The pages' scripts ask here for tickets, and open the API's WebSocket themselves."""

from __future__ import annotations

from starlette import responses

from estampe import errors
from estampe.client import client
from estampe.model import terminal
from estampe.schemas import problem
from estampe.schemas import terminal as schemas
from estampe.web import advice, page
from estampe.web.sections import Section

pages = page.Pages(section=Section.SERVERS)


@pages.get("/servers/{server}/screen")
async def show_screen(view: page.View) -> responses.Response:
    """The screen."""
    return await _show(view, terminal.Kind.SCREEN)


@pages.get("/servers/{server}/serial")
async def show_serial(view: page.View) -> responses.Response:
    """The serial console."""
    return await _show(view, terminal.Kind.SERIAL)


@pages.post("/servers/{server}/screen")
async def give_screen_ticket(view: page.View) -> responses.Response:
    """A ticket for the screen, to the page's script."""
    return await _give(view, terminal.Kind.SCREEN)


@pages.post("/servers/{server}/serial")
async def give_serial_ticket(view: page.View) -> responses.Response:
    """A ticket for the serial console."""
    return await _give(view, terminal.Kind.SERIAL)


async def _show(view: page.View, kind: terminal.Kind) -> responses.Response:
    detail = await view.api.get_server(view.request.path_params["server"])
    return view.render(
        "terminal.html",
        server=detail.summary,
        kind=kind.value,
        subprotocol=terminal.SUBPROTOCOL,
        endings={ending.name: ending.value for ending in terminal.Ending},
    )


async def _give(view: page.View, kind: terminal.Kind) -> responses.Response:
    """What is wrong is said in the reader's language: of a WebSocket that is refused, scripts learn nothing."""
    reference = view.request.path_params["server"]
    try:
        if kind is terminal.Kind.SCREEN:
            given = await view.api.create_screen_ticket(reference)
        else:
            request = client.make(schemas.SerialRequest, is_taken_over=view.form.flag("is_taken_over"))
            given = await view.api.create_serial_ticket(reference, request)
    except errors.NotSignedIn:
        raise
    except errors.EstampeError as error:
        told = advice.of(error, view.language)
        facts = {"title": told.title, "what_next": told.what_next, "detail": told.detail, "code": told.code}
        return view.data(facts, status=problem.status_of(type(error)))
    return view.data({"subprotocols": terminal.offered(given.ticket)})
