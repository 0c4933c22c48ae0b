"""What a template is tuned for: a guided form, which shows what new servers would get before it is kept."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.client import client
from estampe.model import characteristics as model
from estampe.schemas import characteristics
from estampe.web import forms, guided, page, resources
from estampe.web.languages import _
from estampe.web.pages import template as template_page
from estampe.web.sections import Section

pages = page.Pages(section=Section.CATALOGUE)
_ADDRESS: Final = "/templates/{reference:path}/-/characteristics"
# Tuned settings that are one of a few words; of the others it is said how they are written.
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "bus": typing.get_args(model.Bus),
    "cache": typing.get_args(model.Cache),
    "io": typing.get_args(model.InputOutput),
    "discard": typing.get_args(model.Discard),
    "firmware": typing.get_args(model.Firmware),
    "network_model": typing.get_args(model.NetworkModel),
    "balloon": typing.get_args(model.Balloon),
    "rng": ("yes", "no"),
}
_QUEUES: Final = ("queues", "network_queues")
_RESOURCES: Final = ("least", "recommended")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What servers that are deployed without wishes would get."""

    cpus: int
    memory_bytes: int
    volume_sizes: Mapping[str, int]
    tuned: Mapping[str, Any]


async def _facts(view: page.View) -> dict[str, Any]:
    detail = await view.api.get_template(view.request.path_params["reference"])
    volumes = [] if detail.manifest is None else detail.manifest.volumes
    sizes = [f"{group}.volume_sizes.{each.target}" for group in _RESOURCES for each in volumes]
    plain = [f"{group}.{name}" for group in _RESOURCES for name in ("cpus", "memory_bytes")]
    return {
        "detail": detail,
        "template": detail.template,
        "volumes": volumes,
        "profiles": (await view.api.list_profiles()).profiles,
        "settings": list(characteristics.Tuned.model_fields),
        "choices": CHOICES,
        "queues": _QUEUES,
        "names": ("tuned_for", *plain, *sizes, *(f"tuned.{name}" for name in characteristics.Tuned.model_fields)),
    }


def _read(view: page.View, facts: Mapping[str, Any]) -> characteristics.CharacteristicsRequest:
    form = view.form
    return client.make(
        characteristics.CharacteristicsRequest,
        tuned_for=form.optional("tuned_for"),
        **{group: _read_resources(form, group, facts) for group in _RESOURCES},
        tuned={name: _read_setting(form, name) for name in facts["settings"]},
    )


def _read_resources(form: forms.Form, group: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    sizes = {each.target: form.size(f"{group}.volume_sizes.{each.target}") for each in facts["volumes"]}
    return {
        "cpus": form.number(f"{group}.cpus"),
        "memory_bytes": form.size(f"{group}.memory_bytes"),
        "volume_sizes": {target: size for target, size in sizes.items() if size is not None},
    }


def _read_setting(form: forms.Form, name: str) -> Any:
    text = form.optional(f"tuned.{name}")
    if text is None:
        return None
    if name == "rng":
        return text == "yes"
    if name == "io_threads":
        return form.number(f"tuned.{name}")
    return int(text) if name in _QUEUES and text.isascii() and text.isdigit() else text


async def _foresee(view: page.View, request: characteristics.CharacteristicsRequest) -> Outlook:
    """Checked by the model, as the API would; nothing is asked of the API: it has no plan of a change."""
    facts = await view.api.get_template(view.request.path_params["reference"])
    told = request.to_domain()
    volumes = {} if facts.manifest is None else {each.target: each.size_bytes for each in facts.manifest.volumes}
    told.check_volumes(volumes, owner=facts.template.reference)
    found = resources.otherwise(facts.manifest, told)
    return Outlook(
        cpus=found["cpus"],
        memory_bytes=found["memory_bytes"],
        volume_sizes={target: found[f"volume_sizes.{target}"] for target in volumes},
        tuned=request.tuned.model_dump(exclude_none=True),
    )


async def _keep(view: page.View, request: characteristics.CharacteristicsRequest, _key: str | None) -> str:
    reference = view.request.path_params["reference"]
    await view.api.replace_characteristics(reference, request, if_match=view.form.optional("etag"))
    return template_page.address(reference)


_form: guided.Guided[characteristics.CharacteristicsRequest] = guided.Guided(
    whole="template_characteristics.html", beside="parts/plan_characteristics.html", facts=_facts, read=_read,
    foresee=_foresee, start=_keep, said=_("The characteristics are changed."),
)  # fmt: skip


@pages.get(_ADDRESS)
async def show_form(view: page.View) -> responses.Response:
    """The form with what is said now; with a profile in the address, its settings in place of the present ones."""
    facts = await _facts(view)
    if facts["detail"].manifest is None:
        found = facts["template"]
        raise errors.TemplateStateForbids(
            template=found.reference, state=found.state.value, advice="it is not complete"
        )
    return await _form.show(view, _present(facts, _profile(view, facts)), facts)


@pages.post(f"{_ADDRESS}/plan")
async def plan(view: page.View) -> responses.Response:
    """What new servers would get."""
    return await _form.show_plan(view)


@pages.post(_ADDRESS)
async def keep(view: page.View) -> responses.Response:
    """Keep it in place of what was said."""
    return await _form.begin(view)


def _profile(view: page.View, facts: Mapping[str, Any]) -> characteristics.Tuned | None:
    wanted = view.query("profile")
    return next((each.tuned for each in facts["profiles"] if each.name == wanted), None)


def _present(facts: Mapping[str, Any], profile: characteristics.Tuned | None) -> forms.Form:
    traits: characteristics.Characteristics | None = facts["template"].characteristics
    tuned = profile or (None if traits is None else traits.tuned)
    fields: dict[str, object] = {"etag": facts["template"].etag}
    if traits is not None:
        fields["tuned_for"] = traits.tuned_for
        for group in _RESOURCES:
            for name, value in resources.by_field(getattr(traits, group)).items():
                fields[f"{group}.{name}"] = value if name == "cpus" else forms.exact_size(value)
    for name, value in (tuned.model_dump(exclude_none=True) if tuned is not None else {}).items():
        fields[f"tuned.{name}"] = ("yes" if value else "no") if isinstance(value, bool) else value
    return forms.filled(**fields)
