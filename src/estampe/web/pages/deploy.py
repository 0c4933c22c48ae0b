"""Deploying a template: a guided form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.client import client
from estampe.model import final, visibility
from estampe.model import operation as operations
from estampe.model import template as model
from estampe.schemas import deploy
from estampe.web import forms, guided, layout, page, resources
from estampe.web.pages import operations as operations_page
from estampe.web.sections import Section

pages = page.Pages(section=Section.CATALOGUE)
FORMATS: Final = ("raw", "qcow2")
SEEDS: Final = tuple(each.value for each in final.SeedFormat)
KINDS: Final = ("ext4", "xfs", "btrfs", "vfat", "ntfs", "swap")  # of file systems that a new volume may get
_NAMES: Final = (
    "name", "count", "cpus", "memory_bytes", "hostname", "fqdn", "search", "ssh_keys",
    "users", "timezone", "commands", "user_data", "seed_format", "pool", "volume_format", "grown", "left_out", "new_volumes",
)  # fmt: skip
_OF_INTERFACE: Final = ("network", "addresses", "gateways", "dns", "routes", "mac")
_OF_VOLUME: Final = ("name", "size_bytes", "kind", "mount_point")
_OF_USER: Final = ("name", "groups", "ssh_keys", "password_hash", "shell")
_ROWS: Final = 2  # for what may be there several times: new volumes, users
_MOST_INTERFACES: Final = 4
_WINDOWS: Final = "windows"
_ADDRESS: Final = "/templates/{reference:path}/-/deploy"
_DEPLOYABLE: Final = {model.State.ACTIVE, model.State.DEPRECATED}


async def _facts(view: page.View) -> dict[str, Any]:
    detail = await view.api.get_template(view.request.path_params["reference"])
    manifest = detail.manifest
    volumes = [] if manifest is None else manifest.volumes
    recorded = 1 if manifest is None else len(manifest.configuration.interfaces)
    interfaces = range(min(_MOST_INTERFACES, max(1, recorded)))
    rows = range(_ROWS)
    is_windows = manifest is not None and manifest.guest is not None and manifest.guest.kind == _WINDOWS
    is_own = detail.template.scope is visibility.Scope.MINE
    has_vtpm = manifest is not None and manifest.has_vtpm and is_own
    return {
        "template": detail.template,
        "volumes": volumes,
        "interfaces": interfaces,
        "rows": rows,
        "otherwise": resources.otherwise(manifest, detail.template.characteristics),
        "growable": {} if manifest is None else layout.growable(layout.draw(manifest)),
        "is_windows": is_windows,
        "has_vtpm": has_vtpm,
        "formats": FORMATS,
        "seeds": SEEDS,
        "kinds": KINDS,
        "names": (
            *_NAMES, *(f"volume_sizes.{each.target}" for each in volumes),
            *(f"interfaces.{nth}.{name}" for nth in interfaces for name in _OF_INTERFACE),
            *(f"new_volumes.{nth}.{name}" for nth in rows for name in _OF_VOLUME),
            *(f"users.{nth}.{name}" for nth in rows for name in _OF_USER if name != "password_hash" or not is_windows),
            "admin_password" if is_windows else "password_hash", *(["vtpm"] if has_vtpm else []),
        ),
    }  # fmt: skip


def _read(view: page.View, facts: Mapping[str, Any]) -> deploy.DeployRequest:
    kept = {
        "users": {nth: _user(view.form, nth) for nth in _filled_rows(view.form, "users", facts["rows"])},
        "new_volumes": {
            nth: _new_volume(view.form, nth) for nth in _filled_rows(view.form, "new_volumes", facts["rows"])
        },
    }
    try:
        return _request(view.form, facts, **{group: list(rows.values()) for group, rows in kept.items()})
    except errors.InvalidRequest as error:
        raise errors.InvalidRequest(**{**error.facts, "field": _row_of(str(error.facts["field"]), kept)}) from error


def _filled_rows(form: forms.Form, group: str, rows: Iterable[int]) -> list[int]:
    """Those in which anything is said."""
    names = {"users": (*_OF_USER, "is_administrator"), "new_volumes": _OF_VOLUME}[group]
    return [nth for nth in rows if any(form.secret(f"{group}.{nth}.{name}").strip() for name in names)]


def _row_of(field: str, kept: Mapping[str, Mapping[int, Any]]) -> str:
    """The form's name of a request's field: rows that are left empty are not in the request."""
    group, _dot, rest = field.partition(".")
    number, dot, name = rest.partition(".")
    rows = list(kept.get(group, ()))
    return f"{group}.{rows[int(number)]}{dot}{name}" if number.isdigit() and int(number) < len(rows) else field


def _request(
    form: forms.Form, facts: Mapping[str, Any], *, users: Sequence[Any], new_volumes: Sequence[Any]
) -> deploy.DeployRequest:
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
        interfaces=_interfaces(form, facts["interfaces"]),
        hostname=form.optional("hostname"),
        fqdn=form.optional("fqdn"),
        search=form.words("search"),
        ssh_keys=form.lines("ssh_keys"),
        password_hash=form.optional("password_hash"),
        admin_password=form.secret("admin_password") or None,
        users=users,
        timezone=form.optional("timezone"),
        commands=form.lines("commands"),
        user_data=form.secret("user_data") or None,
        seed_format=form.optional("seed_format"),
        is_started=form.flag("is_started"),
        is_tuned=form.flag("is_tuned"),
        grown=list(form.values("grown")) if form.flag("is_grown") else [],
        is_grown=form.flag("is_grown"),
        is_shrunk=form.flag("is_shrunk"),
        is_renewed=form.flag("is_renewed"),
        vtpm=form.optional("vtpm"),
        left_out=list(form.values("left_out")),
        new_volumes=new_volumes,
    )


def _interfaces(form: forms.Form, shown: Iterable[int]) -> list[dict[str, Any]]:
    """All that are shown where anything is said of one: networks that are named say how many there are."""
    told = [_interface(form, f"interfaces.{nth}.") for nth in shown]
    return told if any(any(each.values()) for each in told) else []


def _interface(form: forms.Form, prefix: str) -> dict[str, Any]:
    return {
        "network": form.optional(f"{prefix}network"),
        "mac": form.optional(f"{prefix}mac"),
        **{name: form.words(f"{prefix}{name}") for name in ("addresses", "gateways", "dns")},
        "routes": [_route(line, f"{prefix}routes") for line in form.lines(f"{prefix}routes")],
        **{name: form.flag(f"{prefix}{name}") for name in ("is_dhcp4", "is_dhcp6")},
    }


def _route(line: str, field: str) -> dict[str, str]:
    """Of `198.51.100.0/24 192.0.2.254`. Raises: errors.InvalidRequest."""
    words = line.replace(",", " ").split()
    if len(words) != 2:
        raise errors.InvalidRequest(field=field, problem=f"{line!r} is not a network and a gateway")
    return {"destination": words[0], "gateway": words[1]}


def _new_volume(form: forms.Form, nth: int) -> dict[str, Any]:
    prefix = f"new_volumes.{nth}."
    size_bytes = form.size(f"{prefix}size_bytes")
    told = {name: form.optional(f"{prefix}{name}") for name in ("kind", "mount_point")}
    # What is missing is told by the request's own shape.
    return {"name": form.text(f"{prefix}name"), **told, **({} if size_bytes is None else {"size_bytes": size_bytes})}


def _user(form: forms.Form, nth: int) -> dict[str, Any]:
    prefix = f"users.{nth}."
    return {
        "name": form.text(f"{prefix}name"),
        "groups": form.words(f"{prefix}groups"),
        "ssh_keys": form.lines(f"{prefix}ssh_keys"),
        "password_hash": form.optional(f"{prefix}password_hash"),
        "shell": form.optional(f"{prefix}shell"),
        "is_administrator": form.flag(f"{prefix}is_administrator"),
    }


async def _foresee(view: page.View, request: deploy.DeployRequest) -> deploy.DeployPlan:
    return await view.api.plan_deployment(request)


async def _start(view: page.View, request: deploy.DeployRequest, key: str | None) -> str:
    begun = await view.api.start_deployment(request, idempotency_key=key)
    return operations_page.address(str(begun.id))


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
    return forms.filled(name=f"{facts['template'].name}-new", count=1, is_started=True, is_tuned=True, is_grown=True)


def _repeated(asked: Mapping[str, Any]) -> forms.Form:
    """All but users, passwords, commands and user data, which the API does not give back: they may hold secrets."""
    sizes = {
        f"volume_sizes.{target}": forms.exact_size(size) for target, size in (asked.get("volume_sizes") or {}).items()
    }
    memory = asked.get("memory_bytes")
    plain = ("name", "count", "cpus", "pool", "volume_format", "hostname", "fqdn", "timezone", "seed_format", "vtpm")
    return forms.filled(
        **{name: asked.get(name) for name in plain},
        **{name: bool(asked.get(name, True)) for name in ("is_started", "is_tuned", "is_grown")},
        **{name: list(asked.get(name) or ()) for name in ("grown", "left_out")},
        **{key: value for nth, each in enumerate(asked.get("interfaces") or ()) for key, value in _again(nth, each)},
        **{key: value for nth, each in enumerate(asked.get("new_volumes") or ()) for key, value in _volume(nth, each)},
        **{name: bool(asked.get(name)) for name in ("is_shrunk", "is_renewed")},
        search=" ".join(asked.get("search") or ()),
        memory_bytes=None if memory is None else forms.exact_size(memory),
        ssh_keys="\n".join(asked.get("ssh_keys") or ()),
        **sizes,
    )


def _again(nth: int, asked: Mapping[str, Any]) -> Iterable[tuple[str, object]]:
    """The fields of one interface."""
    prefix = f"interfaces.{nth}."
    yield from ((f"{prefix}{name}", asked.get(name)) for name in ("network", "mac", "is_dhcp4", "is_dhcp6"))
    yield from ((f"{prefix}{name}", " ".join(asked.get(name) or ())) for name in ("addresses", "gateways", "dns"))
    routes = [f"{each.get('destination')} {each.get('gateway')}" for each in asked.get("routes") or ()]
    yield f"{prefix}routes", "\n".join(routes)


def _volume(nth: int, asked: Mapping[str, Any]) -> Iterable[tuple[str, object]]:
    """The fields of one new volume."""
    size = asked.get("size_bytes")
    told = {**asked, "size_bytes": None if size is None else forms.exact_size(size)}
    yield from ((f"new_volumes.{nth}.{name}", told.get(name)) for name in _OF_VOLUME)
