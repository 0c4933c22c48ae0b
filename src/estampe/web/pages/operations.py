"""Operations: what runs and what ran; each is followed live on its page, which may be left and loaded again at will."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.client import calls
from estampe.model import operation as model
from estampe.schemas import operation
from estampe.web import advice, pace, page
from estampe.web.sections import Section

pages = page.Pages(section=Section.OPERATIONS, entry="/operations")
_PAGE: Final = 30
_MOST_CHARACTERS: Final = 62  # with the two stars around it a pattern of the API


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which operations the reader looks for, as the address says it."""

    kind: str
    state: str
    subject: str

    @classmethod
    def of(cls, view: page.View) -> Wish:
        """What the address cannot mean is passed over: it may be of another version."""
        return cls(
            kind=view.query("kind") if view.query("kind") in set(model.Kind) else "",
            state=view.query("state") if view.query("state") in set(model.State) else "",
            subject=view.query("subject")[:_MOST_CHARACTERS],
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether something may be left out."""
        return bool(self.kind or self.state or self.subject)

    def asked(self) -> dict[str, Any]:
        """As the API takes it."""
        return {
            "kind": model.Kind(self.kind) if self.kind else None,
            "states": (model.State(self.state),) if self.state else (),
            "subject": f"*{self.subject}*" if self.subject else None,
            "limit": _PAGE,
        }

    def address(self, **changes: str) -> str:
        """Of the same list, with something else."""
        kept = {"kind": self.kind, "state": self.state, "subject": self.subject}
        fields = {name: value for name, value in (kept | changes).items() if value}
        return f"/operations?{urllib.parse.urlencode(fields)}" if fields else "/operations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One operation of the list, with its pace."""

    seen: operation.Operation
    pace: pace.Pace


@pages.get("/operations")
async def show_operations(view: page.View) -> responses.Response:
    """The newest first; those that run move while the page is open."""
    wish = Wish.of(view)
    found = await view.api.page(calls.list_operations(**wish.asked()), view.query("after") or None)
    rows = [Row(seen=each, pace=pace.of(each, now=view.now)) for each in found.operations]
    running = [each.seen for each in rows if not each.seen.state.has_ended]
    kinds = [each for each in model.Kind if view.me.actor.is_cloud_operator or not each.is_store_wide]
    return view.render(
        "operations.html", wish=wish, rows=rows, running=running, kinds=kinds, states=list(model.State), next=found.next
    )


@pages.get("/operations/{operation}")
async def show_operation(view: page.View) -> responses.Response:
    """One of them. js/follow.js hears of each change from the API and asks for the part of this page that it touches."""
    return view.render("operation.html", **await facts(view))


@pages.post("/operations/{operation}/cancel")
async def cancel_operation(view: page.View) -> responses.Response:
    """Ask it to stop; that it did is told on its page."""
    reference = view.request.path_params["operation"]
    try:
        await view.api.cancel_operation(reference)
    except errors.OperationEnded as error:
        return view.refused("operation.html", error, **await facts(view))
    notice = view.gettext("The operation was asked to stop. What it did so far is being undone.")
    return view.redirect(address(reference), notice=notice)


def address(reference: str) -> str:
    """Of an operation's page."""
    return f"/operations/{reference}"


async def facts(view: page.View) -> dict[str, Any]:
    """What the page shows; also for a form of it that the API refused."""
    seen = await view.api.get_operation(view.request.path_params["operation"])
    failure = None if seen.error is None else errors.from_record(seen.error)
    return {
        "operation": seen,
        "pace": pace.of(seen, now=view.now),
        "failure": None
        if failure is None or isinstance(failure, errors.Cancelled)
        else advice.of(failure, view.language),
        "not_undone": _not_undone(seen),
        "again": _again(seen),
        "result": seen.result or {},
    }


def _not_undone(seen: operation.Operation) -> str | None:
    """What an operation that did not succeed could not take back."""
    facts = (seen.error or {}).get("facts")
    told = facts.get("not_undone") if isinstance(facts, dict) else None
    return str(told) if told else None


def _again(seen: operation.Operation) -> str | None:
    """Where the form stands that began it, filled in as it was; None where there is no such form."""
    asked = seen.request.get(seen.kind.value)
    if not isinstance(asked, dict):
        return None
    form = {
        model.Kind.CAPTURE: ("servers", "server", "capture"),
        model.Kind.DEPLOY: ("templates", "template", "deploy"),
    }.get(seen.kind)
    if form is None:
        return None
    section, field, action = form
    of = urllib.parse.quote(str(asked.get(field, "")), safe="@/")
    return f"/{section}/{of}/-/{action}?again={seen.id}" if of else None
