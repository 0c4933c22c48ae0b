"""A template's page: what is in it, who may use it, where it comes from, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.client import calls
from estampe.model import visibility
from estampe.schemas import audit, template
from estampe.web import layout, page
from estampe.web.sections import Section

pages = page.Pages(section=Section.CATALOGUE)
_VERSIONS: Final = 50
_ENTRIES: Final = 50


@pages.get("/templates/{reference:path}/-/usage")
async def show_usage(view: page.View) -> responses.Response:
    """What it takes of the store: counted on demand, since that reads every manifest. A page of its own without scripts."""
    reference = view.request.path_params["reference"]
    space = await view.api.get_template_usage(reference)
    return view.render("template_usage.html", space=space, reference=reference)


@pages.get("/templates/{reference:path}")
async def show_template(view: page.View) -> responses.Response:
    """All that is known of one template."""
    return view.render("template.html", **await facts(view, view.request.path_params["reference"]))


async def facts(view: page.View, reference: str) -> dict[str, Any]:
    """What the page shows; also for a form of it that the API refused."""
    detail = await view.api.get_template(reference)
    found = detail.template
    is_own = found.scope is visibility.Scope.MINE
    deployed = await view.api.list_servers_of_template(found.reference)
    return {
        "detail": detail,
        "template": found,
        "is_own": is_own,
        "volumes": [] if detail.manifest is None else layout.draw(detail.manifest),
        "elsewhere": [] if detail.manifest is None else layout.elsewhere(detail.manifest),
        "versions": await _versions(view, found),
        "shares": (await view.api.list_shares(found.reference)).shares if is_own else [],
        "deployed": deployed,
        "entries": await _entries(view, found) if is_own and view.may("owner") else None,
        "rights": list(visibility.Right),
    }


async def _versions(view: page.View, found: template.Template) -> Sequence[template.Template]:
    """Of the same name and publisher, the newest first. Names hold nothing that a pattern could mean otherwise."""
    asked = calls.list_templates(name=found.name, scopes=(found.scope,), limit=_VERSIONS)
    listed = (await view.api.page(asked, None)).templates
    return [each for each in listed if each.publisher == found.publisher]


async def _entries(view: page.View, found: template.Template) -> Sequence[audit.AuditEntry]:
    """What the audit log has of this version: by its name, alone or with what was done (`web@3 with acme`), and by its id."""
    account = view.me.actor.account.name
    named = await _audit(view, account, f"{found.name}@{found.version}*")
    own = re.compile(rf"{re.escape(found.name)}@{found.version}(?!\d)")
    by_name = [each for each in named if own.match(each.subject)]
    by_id = await _audit(view, account, f"{found.id}*")
    return sorted((*by_name, *by_id), key=lambda each: each.at, reverse=True)[:_ENTRIES]


async def _audit(view: page.View, account: str, subject: str) -> Sequence[audit.AuditEntry]:
    asked = calls.list_audit_entries(account_name=account, subject=subject, limit=_ENTRIES)
    try:
        return (await view.api.page(asked, None)).entries
    except errors.Invalid:  # a pattern longer than the log takes
        return ()
