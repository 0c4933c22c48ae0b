"""Deploying a template: a guided form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.client import client
from estampe.model import operation as operations
from estampe.model import template as model
from estampe.schemas import characteristics, deploy, operation, template
from estampe.web import forms, guided, page
from estampe.web.sections import Section

pages = page.Pages(section=Section.CATALOGUE)
FORMATS: Final = ("raw", "qcow2")
_NAMES: Final = (
    "name", "count", "cpus", "memory_bytes", "hostname", "ssh_keys", "user_data", "pool", "volume_format",
    "interfaces.0.network", "interfaces.0.addresses", "interfaces.0.gateways", "interfaces.0.dns",
)  # fmt: skip
_ADDRESS: Final = "/templates/{reference:path}/-/deploy"
_DEPLOYABLE: Final = {model.State.ACTIVE, model.State.DEPRECATED}


async def _facts(view: page.View) -> dict[str, Any]:
    detail = await view.api.get_template(view.request.path_params["reference"])
    volumes = [] if detail.manifest is None else detail.manifest.volumes
    return {
        "template": detail.template,
        "volumes": volumes,
        "otherwise": _otherwise(detail),
        "formats": FORMATS,
        "names": (*_NAMES, *(f"volume_sizes.{each.target}" for each in volumes)),
    }


def _otherwise(detail: template.TemplateDetail) -> Mapping[str, int]:
    """What a field that is left empty comes to: what is recommended, else as captured, and never less than the least."""
    if detail.manifest is None:
        return {}
    recorded = detail.manifest.configuration
    found = {"cpus": recorded.cpus, "memory_bytes": recorded.memory_bytes}
    found |= {f"volume_sizes.{each.target}": each.size_bytes for each in detail.manifest.volumes}
    traits = detail.template.characteristics
    if traits is None:
        return found
    least, recommended = _by_field(traits.least), _by_field(traits.recommended)
    return {name: recommended.get(name) or max(value, least.get(name, 0)) for name, value in found.items()}


def _by_field(told: characteristics.Resources) -> Mapping[str, int]:
    named = {"cpus": told.cpus, "memory_bytes": told.memory_bytes}
    named |= {f"volume_sizes.{target}": size for target, size in told.volume_sizes.items()}
    return {name: value for name, value in named.items() if value is not None}


def _read(view: page.View, facts: Mapping[str, Any]) -> deploy.DeployRequest:
    form = view.form
    sizes = {each.target: form.size(f"volume_sizes.{each.target}") for each in facts["volumes"]}
    return client.make(
        deploy.DeployRequest,
        template=facts["template"].reference,
        name=form.text("name"),
        count=form.number("count") or 1,
        cpus=form.number("cpus"),
        memory_bytes=form.size("memory_bytes"),
        volume_sizes={target: size for target, size in sizes.items() if size is not None},
        pool=form.optional("pool"),
        volume_format=form.optional("volume_format"),
        interfaces=_interfaces(form),
        hostname=form.optional("hostname"),
        ssh_keys=form.lines("ssh_keys"),
        user_data=form.secret("user_data") or None,
        is_started=form.flag("is_started"),
        is_tuned=form.flag("is_tuned"),
    )


def _interfaces(form: forms.Form) -> list[dict[str, Any]]:
    """The first interface where anything is said of it; the others stay as the template has them."""
    network = form.optional("interfaces.0.network")
    lists = {name: form.words(f"interfaces.0.{name}") for name in ("addresses", "gateways", "dns")}
    return [{"network": network, **lists}] if network or any(lists.values()) else []


async def _foresee(view: page.View, request: deploy.DeployRequest) -> deploy.DeployPlan:
    return await view.api.plan_deployment(request)


async def _start(view: page.View, request: deploy.DeployRequest, key: str | None) -> operation.Operation:
    return await view.api.start_deployment(request, idempotency_key=key)


_form: guided.Guided[deploy.DeployRequest] = guided.Guided(
    whole="deploy.html", beside="parts/plan_deploy.html", facts=_facts, read=_read, foresee=_foresee, start=_start
)


@pages.get(_ADDRESS)
async def show_form(view: page.View) -> responses.Response:
    """The form, as an earlier deployment was asked for or with what suits the template."""
    facts = await _facts(view)
    if facts["template"].state not in _DEPLOYABLE:
        state = facts["template"].state.value
        raise errors.TemplateStateForbids(template=facts["template"].reference, state=state, advice="it must be active")
    asked = await guided.request_of(view, operations.Kind.DEPLOY)
    return await _form.show(view, _suggested(facts) if asked is None else _repeated(asked), facts)


@pages.post(f"{_ADDRESS}/plan")
async def plan(view: page.View) -> responses.Response:
    """What the deployment would do."""
    return await _form.show_plan(view)


@pages.post(_ADDRESS)
async def begin(view: page.View) -> responses.Response:
    """Begin the deployment."""
    return await _form.begin(view)


def _suggested(facts: Mapping[str, Any]) -> forms.Form:
    return forms.filled(name=f"{facts['template'].name}-new", count=1, is_started=True, is_tuned=True)


def _repeated(asked: Mapping[str, Any]) -> forms.Form:
    """All but user data, which the API does not give back: it may hold passwords."""
    sizes = {
        f"volume_sizes.{target}": forms.exact_size(size) for target, size in (asked.get("volume_sizes") or {}).items()
    }
    first: Mapping[str, Any] = next(iter(asked.get("interfaces") or ()), {})
    memory = asked.get("memory_bytes")
    return forms.filled(
        **{name: asked.get(name) for name in ("name", "count", "cpus", "pool", "volume_format", "hostname")},
        **{name: bool(asked.get(name, True)) for name in ("is_started", "is_tuned")},
        **{f"interfaces.0.{name}": " ".join(first.get(name) or ()) for name in ("addresses", "gateways", "dns")},
        **{"interfaces.0.network": first.get("network")},
        memory_bytes=None if memory is None else forms.exact_size(memory),
        ssh_keys="\n".join(asked.get("ssh_keys") or ()),
        **sizes,
    )
