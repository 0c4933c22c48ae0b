"""The audit log: what was changed or was to be changed, by whom, from where, and what came of it."""

from __future__ import annotations

import datetime
import urllib.parse
from collections.abc import Mapping
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.client import calls
from estampe.model import audit as model
from estampe.schemas import audit
from estampe.web import page, words
from estampe.web.sections import Section

pages = page.Pages(section=Section.ADMINISTRATION)
_PAGE: Final = 50
_MOST_CHARACTERS: Final = 62  # with the two stars around it a pattern of the API
_FIELDS: Final = ("account", "actor", "action", "subject", "outcome", "since", "until")
_DAY: Final = datetime.timedelta(days=1)


@pages.get("/administration/audit")
async def show_audit(view: page.View) -> responses.Response:
    """The newest first, narrowed as asked; the cloud operator sees all accounts."""
    wish = {name: view.query(name)[:_MOST_CHARACTERS] for name in _FIELDS}
    try:
        found = await view.api.page(calls.list_audit_entries(**_asked(view, wish)), view.query("after") or None)
    except errors.Invalid as error:
        return view.refused("administration_audit.html", error, **_facts(wish, audit.AuditList(entries=[], next=None)))
    return view.render("administration_audit.html", **_facts(wish, found))


def _facts(wish: Mapping[str, str], found: audit.AuditList) -> dict[str, Any]:
    kept = {name: value for name, value in wish.items() if value}
    return {
        "wish": wish, "entries": found.entries, "next": found.next, "outcomes": list(model.Outcome),
        "actions": words.ACTIONS, "is_narrowed": bool(kept), "kept": urllib.parse.urlencode(kept),
    }  # fmt: skip


def _asked(view: page.View, wish: Mapping[str, str]) -> dict[str, Any]:
    """As the API takes it. Raises: errors.InvalidRequest."""
    is_everybodys = view.me.actor.is_cloud_operator
    outcome, until = wish["outcome"], _day("until", wish["until"])
    return {
        "account_name": (wish["account"] or None) if is_everybodys else view.me.actor.account.name,
        "actor": wish["actor"] or None,
        "action": wish["action"] or None,
        "subject": f"*{wish['subject']}*" if wish["subject"] else None,
        "outcome": model.Outcome(outcome) if outcome in set(model.Outcome) else None,
        "since": _day("since", wish["since"]),
        "until": None if until is None else until + _DAY,
        "limit": _PAGE,
    }


def _day(field: str, text: str) -> datetime.datetime | None:
    """Its beginning, in UTC. Raises: errors.InvalidRequest."""
    try:
        day = datetime.date.fromisoformat(text) if text else None
    except ValueError as error:
        raise errors.InvalidRequest(field=field, problem="must be a day, as 2026-12-31") from error
    return None if day is None else datetime.datetime.combine(day, datetime.time(), datetime.UTC)
