"""Capturing a server: a guided form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.client import client
from estampe.model import configuration
from estampe.model import operation as operations
from estampe.schemas import capture
from estampe.web import forms, guided, page
from estampe.web.pages import operations as operations_page
from estampe.web.sections import Section

pages = page.Pages(section=Section.SERVERS)
_NAMES: Final = ("name", "note", "tags", "volumes", "keep", "remove", "stop_timeout_seconds")
_ADDRESS: Final = "/servers/{server}/-/capture"


async def _facts(view: page.View) -> dict[str, Any]:
    detail = await view.api.get_server(view.request.path_params["server"])
    recorded = detail.configuration
    has_tpm = recorded is not None and any(each.what == configuration.EMULATED_TPM for each in recorded.left_out)
    return {
        "detail": detail,
        "server": detail.summary,
        "volumes": [] if recorded is None else recorded.volumes,
        "has_tpm": has_tpm,
        "names": (*_NAMES, *(["is_vtpm_kept"] if has_tpm else [])),
    }


def _read(view: page.View, facts: Mapping[str, Any]) -> capture.CaptureRequest:
    form = view.form
    chosen = list(form.values("volumes"))
    if facts["volumes"] and not chosen:
        raise errors.InvalidRequest(field="volumes", problem="at least one must be chosen")
    is_all = {each.target for each in facts["volumes"]} <= set(chosen)
    timeout = form.number("stop_timeout_seconds")
    return client.make(
        capture.CaptureRequest,
        server=str(facts["server"].id),
        name=form.optional("name"),
        note=form.text("note"),
        tags=form.words("tags"),
        volumes=[] if is_all else chosen,
        is_forced=form.flag("is_forced"),
        is_sealed=form.flag("is_sealed"),
        is_vtpm_kept=form.flag("is_vtpm_kept"),
        keep=form.lines("keep"),
        remove=form.lines("remove"),
        **({} if timeout is None else {"stop_timeout_seconds": float(timeout)}),
    )


async def _foresee(view: page.View, request: capture.CaptureRequest) -> capture.CapturePlan:
    return await view.api.plan_capture(request)


async def _start(view: page.View, request: capture.CaptureRequest, key: str | None) -> str:
    begun = await view.api.start_capture(request, idempotency_key=key)
    return operations_page.address(str(begun.id))


_form: guided.Guided[capture.CaptureRequest] = guided.Guided(
    whole="capture.html", beside="parts/plan_capture.html", facts=_facts, read=_read, foresee=_foresee, start=_start
)


@pages.get(_ADDRESS)
async def show_form(view: page.View) -> responses.Response:
    """The form, as an earlier capture was asked for or with what suits the server."""
    facts = await _facts(view)
    asked = await guided.request_of(view, operations.Kind.CAPTURE)
    return await _form.show(view, _suggested(facts) if asked is None else _repeated(asked, facts), facts)


@pages.post(f"{_ADDRESS}/plan")
async def plan(view: page.View) -> responses.Response:
    """What the capture would do."""
    return await _form.show_plan(view)


@pages.post(_ADDRESS)
async def begin(view: page.View) -> responses.Response:
    """Begin the capture."""
    return await _form.begin(view)


def _suggested(facts: Mapping[str, Any]) -> forms.Form:
    """All volumes and sealed; the template is named after the server, so a server's captures are versions of one name."""
    return forms.filled(volumes=[each.target for each in facts["volumes"]], is_sealed=True)


def _repeated(asked: Mapping[str, Any], facts: Mapping[str, Any]) -> forms.Form:
    timeout = asked.get("stop_timeout_seconds")
    return forms.filled(
        name=asked.get("name"), note=asked.get("note"), tags=" ".join(asked.get("tags") or ()),
        keep="\n".join(asked.get("keep") or ()), remove="\n".join(asked.get("remove") or ()),
        volumes=list(asked.get("volumes") or [each.target for each in facts["volumes"]]),
        is_forced=bool(asked.get("is_forced")), is_vtpm_kept=bool(asked.get("is_vtpm_kept")), is_sealed=bool(asked.get("is_sealed", True)),
        stop_timeout_seconds=None if timeout is None else int(timeout),
    )  # fmt: skip
