"""The host and its daemon, for the cloud operator: which version runs, and whether each part does its work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.client import calls
from estampe.model import operation as operations
from estampe.web import page
from estampe.web.languages import _
from estampe.web.sections import Section

pages = page.Pages(section=Section.ADMINISTRATION)
PARTS: Final[Mapping[str, str]] = {
    "database": _("Database"),
    "store": _("Store"),
    "libvirt": _("Hypervisor (libvirt)"),
    "engine": _("Engine of the operations"),
}
_UNFINISHED: Final = (operations.State.QUEUED, operations.State.RUNNING)
_MOST: Final = 20


@pages.get("/administration/host")
async def show_host(view: page.View) -> responses.Response:
    """Asked anew each time."""
    if not view.me.actor.is_cloud_operator:
        raise errors.CloudOperatorOnly
    version = await view.api.get_version()
    asked = calls.list_operations(states=_UNFINISHED, limit=_MOST)
    unfinished = (await view.api.page(asked, None)).operations
    return view.render(
        "administration_host.html", version=version, unfinished=unfinished, parts_of_it=PARTS, **await _parts(view)
    )


async def _parts(view: page.View) -> dict[str, Any]:
    """Those that do not do their work, and what each says."""
    try:
        await view.api.get_readiness()
    except errors.NotReady as error:
        return {"failed": str(error.facts.get("parts", "")).split(", "), "problems": str(error.facts["problems"])}
    return {"failed": [], "problems": ""}
