"""The authorisation matrix, generated from the API's own description: every route, every role, own / foreign / missing object.

What is expected comes from `access_table`. A route that is new is tried here by itself: it needs a rule to start at all, a body
below where it takes one, and an object below where its path names one.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fastapi
import pytest
import site_under_test
import sqlalchemy as sa
from starlette import testclient

from estampe import errors
from estampe.api import access_table, app, gate, peer, services
from estampe.capture import request as capture
from estampe.db import schema
from estampe.model import account, operation

_PASSWORD = "correct horse battery"
_ROLES = ("nobody", "viewer", "operator", "owner", "cloud operator")


def _described() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """operation id -> (method, path, description) of every route."""
    nobody = services.Services(**dict.fromkeys(services.Services.__dataclass_fields__))  # type: ignore[arg-type]
    paths = app.create(nobody).openapi()["paths"]
    return {
        route["operationId"]: (method.upper(), path, route)
        for path, methods in paths.items()
        for method, route in methods.items()
    }


_ROUTES = _described()


@dataclass(frozen=True)
class Things:
    """What a request names: one of each kind, all of one account (or of none)."""

    server: str
    template: str
    operation: str
    account: str
    member: str
    user: str
    key: str


_BODIES: dict[str, Callable[[Things], dict[str, Any]]] = {
    "stop_server": lambda _: {},
    "assign_server": lambda things: {"account": things.account},
    "start_capture": lambda things: {"server": things.server},
    "plan_capture": lambda things: {"server": things.server},
    "start_deployment": lambda things: {"template": things.template, "name": f"n-{uuid.uuid4().hex[:8]}"},
    "plan_deployment": lambda things: {"template": things.template, "name": "planned"},
    "edit_template": lambda _: {"note": "changed"},
    "start_check": lambda _: {},
    "start_sweep": lambda _: {"is_dry_run": True},
    "sign_in": lambda things: {"name": things.user, "password": "not the password"},
    "create_account": lambda _: {"name": f"a-{uuid.uuid4().hex[:8]}"},
    "edit_quota": lambda _: {"servers": 1000},
    "add_member": lambda things: {"user": f"new-{things.user}", "role": "viewer"},
    "edit_member": lambda _: {"role": "operator"},
    "create_user": lambda _: {"name": f"u-{uuid.uuid4().hex[:8]}"},
    "set_password": lambda _: {"password": _PASSWORD, "current": _PASSWORD},
    "create_api_key": lambda _: {"name": "ci", "role": "viewer"},
}
# What the text after a route's prefix names.
_OBJECTS = {
    "servers": "server", "templates": "template", "operations": "operation", "users": "user", "api-keys": "key",
}  # fmt: skip


class World:
    """Accounts acme and globex on one site, with people of each role in acme."""

    def __init__(self, site: site_under_test.Site) -> None:
        self.site, self.services = site, site.services
        self.api = app.create(site.services)
        self._numbers = itertools.count(1)
        self.acme, self.globex = (self.services.accounts.create(name) for name in ("acme", "globex"))
        self.people = {role.value: self._person(role.value, self.acme, role) for role in account.Role}
        self.foreign = self.things(self.globex, self._person("gx", self.globex, account.Role.OWNER)[0])
        self.missing = Things(
            server="n" * len(self.foreign.server), template=str(uuid.uuid4()), operation=str(uuid.uuid4()),
            account="nobody", member="n" * len(self.foreign.member), user="n" * len(self.foreign.user),
            key=str(uuid.uuid4()),
        )  # fmt: skip

    def _person(self, name: str, of: account.Account, role: account.Role) -> tuple[account.User, str]:
        user = self.services.people.add_user(name, password=_PASSWORD, is_cloud_operator=False)
        self.services.people.add_member(of.id, name, role)
        made = self.services.keys.make(
            account_id=of.id, user_id=user.id, name="matrix", role=role, is_cloud_operator=False, created_by=name,
            expires_at=None,
        )  # fmt: skip
        return user, made.key

    def _key(self, role: str, *, is_spare: bool) -> str:
        """The person's key; one that signing out may use up where that is asked for."""
        user, key = self.people[role]
        if not is_spare:
            return key
        return self.services.keys.make(
            account_id=self.acme.id, user_id=user.id, name="spare", role=account.Role(role), is_cloud_operator=False,
            created_by="x", expires_at=None,
        ).key  # fmt: skip

    def things(self, of: account.Account, person: account.User) -> Things:
        """Fresh ones, for one request to change or remove."""
        name = f"thing-{next(self._numbers):03d}"
        self.services.people.add_user(f"m-{name}", password=None, is_cloud_operator=False)
        self.services.people.add_user(f"new-{person.name}-{name}", password=None, is_cloud_operator=False)
        self.services.people.add_member(of.id, f"m-{name}", account.Role.VIEWER)
        key = self.services.keys.make(
            account_id=of.id, user_id=person.id, name=name, role=account.Role.VIEWER, is_cloud_operator=False,
            created_by="x", expires_at=None,
        )  # fmt: skip
        template = self._template(of, f"{name}-t")
        self._server(of, f"{name}-o")
        queued = self.services.captures.start(of.id, capture.CaptureRequest(server=f"{name}-o", is_sealed=False))
        return Things(
            server=self._server(of, name), template=template, operation=str(queued.id), account=of.name,
            member=f"m-{name}", user=person.name, key=str(key.api_key.id),
        )  # fmt: skip

    def _server(self, of: account.Account, name: str) -> str:
        self.site.add_server(name)
        self.services.servers.assign(name, of.id)
        return name

    def _template(self, of: account.Account, name: str) -> str:
        self._server(of, name)
        started = self.services.captures.start(of.id, capture.CaptureRequest(server=name, is_sealed=False))
        self.site.run()
        ended = self.services.operations.get(of.id, str(started.id))
        assert ended.state is operation.State.SUCCEEDED
        return str(ended.result["template_id"])  # type: ignore[index]

    def ask(self, role: str, name: str, things: Things) -> Any:
        """The answer to a request for these things."""
        method, path, route = _ROUTES[name]
        headers = {}
        asked: Any = self.api
        if role == "cloud operator":
            asked, headers = peer.come_from(self.api, 0), {gate.ACCOUNT_HEADER: "acme"}
        elif role != "nobody":
            headers = {"authorization": f"Bearer {self._key(role, is_spare=name == 'sign_out')}"}
        body = _BODIES[name](things) if "requestBody" in route else None
        with testclient.TestClient(asked, raise_server_exceptions=False) as http:
            return http.request(method, _filled(path, things), json=body, headers=headers)

    def entries(self) -> int:
        with self.site.db.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(schema.audit_entries)).scalar_one()


def _filled(path: str, things: Things) -> str:
    kind = "member" if "/members/" in path else _OBJECTS.get(path.split("/")[2], "")
    return path.replace("{account}", things.account).replace("{reference}", getattr(things, kind, ""))


def _names_an_object(name: str) -> bool:
    return "{" in _ROUTES[name][1] or name in {"start_capture", "plan_capture", "start_deployment", "plan_deployment"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, migrated: Any) -> Any:
    made = site_under_test.Site(tmp_path_factory.mktemp("matrix"), migrated)
    yield World(made)
    made.close()


def _code(answer: Any) -> str | None:
    return answer.json()["code"] if answer.status_code >= 400 else None


def _gate_answer(name: str, role: str) -> tuple[int, str] | None:
    """What the table says; None: the gate lets the request pass."""
    rule = access_table.RULES[name]
    if rule.is_open or role == "cloud operator":
        return None
    if role == "nobody":
        return 401, "sign-in-needed"
    if rule.is_operator_only:
        return 403, "cloud-operator-only"
    return None if account.Role(role).covers(rule.least) else (403, "role-denied")


@pytest.mark.parametrize("role", _ROLES)
@pytest.mark.parametrize("name", _ROUTES)
def test_who_may_not_is_refused_whatever_is_asked_for(world: World, name: str, role: str) -> None:
    expected = _gate_answer(name, role)
    foreign, missing = world.ask(role, name, world.foreign), world.ask(role, name, world.missing)
    if expected is None:
        assert _code(foreign) not in {"sign-in-needed", "cloud-operator-only", "role-denied"}
        return
    own = world.ask(role, name, Things(**{**vars(world.foreign), "account": "acme"}))
    assert [(each.status_code, _code(each)) for each in (own, foreign, missing)] == [expected] * 3
    assert own.content == foreign.content == missing.content
    assert own.headers == foreign.headers == missing.headers


@pytest.mark.parametrize("role", ["viewer", "operator", "owner"])
@pytest.mark.parametrize("name", [name for name in _ROUTES if _names_an_object(name)])
def test_what_is_foreign_answers_as_what_is_missing(world: World, name: str, role: str) -> None:
    foreign, missing = world.ask(role, name, world.foreign), world.ask(role, name, world.missing)
    assert foreign.status_code == missing.status_code
    assert foreign.status_code in {403, 404}
    assert foreign.headers == missing.headers
    told = [_without(each.text, things) for each, things in ((foreign, world.foreign), (missing, world.missing))]
    assert told[0] == told[1]


def _without(text: str, things: Things) -> str:
    for value in vars(things).values():
        text = text.replace(value, "<reference>")
    return text


# Who comes by the socket is not signed in, and cannot sign out.
_ALLOWED = [
    (name, role)
    for name, role in itertools.product(access_table.RULES, _ROLES[1:])
    if _gate_answer(name, role) is None and not access_table.RULES[name].is_open
    if (name, role) != ("sign_out", "cloud operator")
]


@pytest.mark.parametrize(("name", "role"), _ALLOWED)
def test_who_may_gets_what_is_its_own(world: World, name: str, role: str) -> None:
    things = world.things(world.acme, world.people[role if role in world.people else "owner"][0])
    if role == "cloud operator" and name in {"delete_account", "suspend_account"}:
        things = Things(**{**vars(things), "account": world.services.accounts.create(f"a-{uuid.uuid4().hex[:8]}").name})
    if name == "add_member":
        things = Things(**{**vars(things), "user": f"{things.user}-{things.server}"})
    if name == "delete_user":
        things = Things(**{**vars(things), "user": things.member})
    answer = world.ask(role, name, things)
    assert answer.status_code < 400, answer.text


@pytest.mark.parametrize("name", [name for name, rule in access_table.RULES.items() if not rule.is_open])
def test_a_change_is_audited_once_and_nothing_else_is(world: World, name: str) -> None:
    before = world.entries()
    for things in (world.foreign, world.missing):
        world.ask("viewer", name, things)
    assert world.entries() - before == (2 if access_table.RULES[name].is_change else 0)
    world.ask("nobody", name, world.missing)
    assert world.entries() - before == (2 if access_table.RULES[name].is_change else 0)


# --- the table and the routes --------------------------------------------------------------------------------------------


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    assert set(_ROUTES) == set(access_table.RULES)


def test_whatever_is_not_read_is_a_change() -> None:
    plans = {"plan_capture", "plan_deployment"}
    changing = {name for name, (method, _path, _route) in _ROUTES.items() if method != "GET"} - plans
    assert {name for name, rule in access_table.RULES.items() if rule.is_change} == changing


def test_an_object_in_a_path_is_known_to_the_matrix() -> None:
    for name, (_method, path, route) in _ROUTES.items():
        assert "{reference}" not in path or "/members/" in path or path.split("/")[2] in _OBJECTS, name
        assert "requestBody" not in route or name in _BODIES, name


def _router(**options: Any) -> fastapi.APIRouter:
    router = fastapi.APIRouter(**options)

    @router.get("/backdoor")
    def open_backdoor() -> None:
        """A route that nobody thought of."""

    return router


def test_a_route_without_a_rule_keeps_the_application_from_starting() -> None:
    with pytest.raises(errors.EstampeError, match=r"without a rule.*open_backdoor"):
        gate.check(_router(route_class=gate.Route).routes)


def test_a_route_that_goes_round_the_gate_keeps_the_application_from_starting() -> None:
    with pytest.raises(errors.EstampeError, match=r"not behind the gate.*open_backdoor"):
        gate.check(_router().routes)
