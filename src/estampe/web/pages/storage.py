"""Storage: what the account has of its quota, what its templates added over time, and for the cloud operator the whole store."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.client import calls, client
from estampe.model import listing
from estampe.model import operation as operations
from estampe.schemas import operation, store, template
from estampe.web import page, plots, words
from estampe.web.languages import _
from estampe.web.sections import Section

pages = page.Pages(section=Section.STORAGE, entry="/storage")
_LARGEST: Final = 10
_MOST_TEMPLATES: Final = 2000  # a plot of more tells no more, and a page should not ask for ever
# The share of the chunks that a check reads: by what the form calls it.
SAMPLES: Final[Mapping[str, tuple[float, str]]] = {
    "all": (1.0, _("All of it")),
    "tenth": (0.1, _("A tenth, by chance")),
    "hundredth": (0.01, _("A hundredth, by chance")),
}


@pages.get("/storage")
async def show_storage(view: page.View) -> responses.Response:
    """The account's own; the whole store comes afterwards, since counting it reads every manifest."""
    return view.render("storage.html", **await _facts(view))


@pages.get("/storage/whole")
async def show_whole_store(view: page.View) -> responses.Response:
    """What the store holds for all accounts. A page of its own without scripts."""
    usage = await view.api.get_usage()
    largest = sorted(usage.templates, key=lambda each: each.unique_bytes, reverse=True)[:_LARGEST]
    return view.render("storage_whole.html", usage=usage, largest=largest, part=plots.part)


@pages.post("/storage/check")
async def start_check(view: page.View) -> responses.Response:
    """Begin to verify the store, and go where that is followed."""
    share, _label = SAMPLES.get(view.form.text("sample"), SAMPLES["all"])
    request = client.make(store.CheckRequest, sample=share)
    begun = await view.api.start_check(request, idempotency_key=view.form.optional("key"))
    return view.redirect(f"/operations/{begun.id}")


@pages.post("/storage/sweep")
async def start_sweep(view: page.View) -> responses.Response:
    """Begin to remove what no template needs, or only tell what that would be."""
    request = client.make(store.SweepRequest, is_dry_run=view.form.flag("is_dry_run"))
    try:
        begun = await view.api.start_sweep(request, idempotency_key=view.form.optional("key"))
    except errors.StoreBusy as error:
        return view.refused("storage.html", error, **await _facts(view))
    return view.redirect(f"/operations/{begun.id}")


async def _facts(view: page.View) -> dict[str, Any]:
    is_operator = view.me.actor.is_cloud_operator
    quota = await view.api.get_quota(view.me.actor.account.name)
    own = await _own_templates(view)
    return {
        "quota": quota,
        "count": len(own),
        "growth": _growth(view, own),
        "largest": sorted(own, key=lambda each: each.data_bytes or 0, reverse=True)[:_LARGEST],
        "last_check": await _last(view, operations.Kind.CHECK) if is_operator else None,
        "last_sweep": await _last(view, operations.Kind.SWEEP) if is_operator else None,
        "samples": SAMPLES,
        "counted": words.COUNTED,
        "keys": (
            str(uuid.uuid4()),
            str(uuid.uuid4()),
            str(uuid.uuid4()),
        ),  # one for each form: sent twice, it begins once
        "part": plots.part,
    }


async def _own_templates(view: page.View) -> Sequence[template.Template]:
    found = view.api.list_templates(sort=listing.TemplateSort.CREATED, limit=_MOST_TEMPLATES)
    return [each async for each in found]


def _growth(view: page.View, own: Sequence[template.Template]) -> plots.Curve | None:
    """What the templates of today added to the store when they were captured, one after the other."""
    added = [(each.created_at, each.new_bytes) for each in own if each.new_bytes is not None]
    return plots.curve(plots.accumulate(added), end=view.now)


async def _last(view: page.View, kind: operations.Kind) -> operation.Operation | None:
    """The newest of that kind that has ended well."""
    asked = calls.list_operations(kind=kind, states=(operations.State.SUCCEEDED,), limit=1)
    return next(iter((await view.api.page(asked, None)).operations), None)
