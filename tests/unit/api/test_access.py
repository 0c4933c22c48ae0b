"""The authorisation matrix, generated from the API's own description: every route, every role, own / foreign / missing object.

What is expected comes from `access_table`. A route that is new is tried here by itself: it needs a rule to start at all, a body
below where it takes one, and an object below where its path names one.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import re
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest
import site_under_test
import sqlalchemy as sa
from starlette import testclient

from estampe import errors
from estampe.api import access_table, app, gate, peer, services
from estampe.capture import request as capture
from estampe.db import schema
from estampe.model import access, account, inventory, listing, operation, session, terminal, visibility

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


# What the description cannot hold: OpenAPI knows no WebSockets.
_SOCKETS = {
    "open_screen": ("WEBSOCKET", "/v1/servers/{reference}/screen", {}),
    "open_serial_console": ("WEBSOCKET", "/v1/servers/{reference}/serial", {}),
}
_ROUTES = _described() | _SOCKETS


class Things:
    """What a request names: one of each kind, all of one account (or of none). What is a function is made once it is named."""

    server: str
    template: str
    operation: str
    account: str
    member: str
    user: str
    key: str
    session: str
    pattern: str
    profile: str
    receiver: str  # with whom a template is shared

    def __init__(self, **named: str | Callable[[], str]) -> None:
        self._named = {"profile": "linux-server", "receiver": "globex", **named}

    def __getattr__(self, kind: str) -> str:
        """Called where there is no such attribute yet."""
        if kind.startswith("_") or kind not in self._named:
            raise AttributeError(kind)
        named = self._named[kind]
        made = named if isinstance(named, str) else named()
        setattr(self, kind, made)
        return made

    def but(self, **named: str) -> Things:
        """The same ones, but for these."""
        return Things(**{**self._named, **self.named(), **named})

    def made(self) -> Things:
        """The same ones, each of them there."""
        return Things(**{kind: getattr(self, kind) for kind in self._named})

    def named(self) -> dict[str, str]:
        """What was named so far."""
        return {kind: value for kind, value in vars(self).items() if kind != "_named"}


_BODIES: dict[str, Callable[[Things], dict[str, Any]]] = {
    "stop_server": lambda _: {},
    "create_serial_ticket": lambda _: {},
    "assign_server": lambda things: {"account": things.account},
    "start_capture": lambda things: {"server": things.server},
    "plan_capture": lambda things: {"server": things.server},
    "start_deployment": lambda things: {"template": things.template, "name": f"n-{uuid.uuid4().hex[:8]}"},
    "plan_deployment": lambda things: {"template": things.template, "name": "planned"},
    "edit_template": lambda _: {"note": "changed"},
    "replace_characteristics": lambda _: {"tuned_for": "builds"},
    "change_characteristics": lambda _: {"tuned_for": "builds"},
    "deprecate_template": lambda _: {},
    "share_template": lambda _: {},
    "publish_template": lambda _: {"is_unsealed_accepted": True},
    "allow_publishing": lambda _: {"may_publish": True},
    "limit_publishers": lambda _: {"is_limited": False},
    "set_retention_rule": lambda _: {"keep_last": 5},
    "apply_retention_rules": lambda _: {"is_dry_run": True},
    "start_check": lambda _: {},
    "start_sweep": lambda _: {"is_dry_run": True},
    "sign_in": lambda things: {"name": things.user, "password": "not the password"},
    "switch_account": lambda _: {"account": "acme"},
    "create_session": lambda things: {"name": things.user, "password": "not the password"},
    "start_oidc_command": lambda _: {"port": 50000, "binding": "b" * 43},
    "finish_oidc_command": lambda _: {"state": "s" * 43, "binding": "b" * 43, "code": "c"},
    "link_user": lambda _: {"subject": uuid.uuid4().hex},
    "create_account": lambda _: {"name": f"a-{uuid.uuid4().hex[:8]}"},
    "edit_quota": lambda _: {"servers": 1000},
    "add_member": lambda things: {"user": f"new-{things.user}", "role": "viewer"},
    "edit_member": lambda _: {"role": "operator"},
    "create_user": lambda _: {"name": f"u-{uuid.uuid4().hex[:8]}"},
    "set_password": lambda _: {"password": _PASSWORD, "current": _PASSWORD},
    "create_api_key": lambda _: {"name": "ci", "role": "viewer"},
}
_QUERIES: dict[str, Callable[[Things], dict[str, Any]]] = {
    "compare_templates": lambda things: {"to": things.template.replace("%2F", "/")}
}
_INVENTORY = inventory.encode(inventory.Inventory(packages=(), users=(), services=(), files={"/etc/v": "00"}))
# What the text after a route's prefix names.
_OBJECTS = {
    "servers": "server", "templates": "template", "operations": "operation", "users": "user", "api-keys": "key",
    "profiles": "profile", "sessions": "session",
}  # fmt: skip
_SHIPPED = {"get_profile"}  # the same for everybody: nothing of it is anybody's
_OF_OTHERS = {"hide_template", "unhide_template"}  # only what another account shares is hidden
_TERMINALS = {"create_screen_ticket", "create_serial_ticket", *_SOCKETS}
_TRASHED = {"restore_template", "purge_template"}
_ENDS_AN_ACCOUNT = {"delete_account", "suspend_account"}  # which other tests here still need


class World:
    """Accounts acme and globex on one site, with people of each role in acme."""

    def __init__(self, site: site_under_test.Site, closing: contextlib.ExitStack) -> None:
        self.site, self.services = site, site.services
        self.api = app.create(site.services)
        self.by_tcp, self.by_socket = (
            closing.enter_context(testclient.TestClient(asked, raise_server_exceptions=False))
            for asked in (self.api, peer.come_from(self.api, 0))
        )
        self._numbers = itertools.count(1)
        self.acme, self.globex = (self.services.accounts.create(name) for name in ("acme", "globex"))
        self.services.sharing.allow_publishing(self.acme.id, may_publish=True)
        self.people = {role.value: self._person(role.value, self.acme, role) for role in account.Role}
        self.foreign = self.things(self.globex, self._person("gx", self.globex, account.Role.OWNER)[0]).made()
        self.foreign_shared = self._template(self.globex, "globex-shared")
        self.missing = Things(
            server="n" * len(self.foreign.server), template=str(uuid.uuid4()), operation=str(uuid.uuid4()),
            account="nobody", member="n" * len(self.foreign.member), user="n" * len(self.foreign.user),
            key=str(uuid.uuid4()), session=str(uuid.uuid4()), pattern="n" * len(self.foreign.pattern), profile="nothing-so",
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
        return Things(
            server=lambda: self._server(of, name), template=lambda: self._template(of, f"{name}-t"),
            operation=lambda: self._queued(of, f"{name}-o"), account=of.name, member=lambda: self._member(of, f"m-{name}"),
            user=person.name, key=lambda: self._other_key(of, person, name), pattern=lambda: self._rule(of, name),
            session=lambda: self._session(of, person),
        )  # fmt: skip

    def _member(self, of: account.Account, name: str) -> str:
        self.services.people.add_user(name, password=None, is_cloud_operator=False)
        self.services.people.add_member(of.id, name, account.Role.VIEWER)
        return name

    def _other_key(self, of: account.Account, person: account.User, name: str) -> str:
        made = self.services.keys.make(
            account_id=of.id, user_id=person.id, name=name, role=account.Role.VIEWER, is_cloud_operator=False,
            created_by="x", expires_at=None,
        )  # fmt: skip
        return str(made.api_key.id)

    def _session(self, of: account.Account, person: account.User) -> str:
        opened, _cookie = self.services.sessions.open(  # type: ignore[attr-defined]
            person, account_id=of.id, method=session.Method.PASSWORD, browser=session.Browser(address="192.0.2.1")
        )
        return str(opened.id)

    def _queued(self, of: account.Account, name: str) -> str:
        self._server(of, name)
        return str(self.services.captures.start(of.id, capture.CaptureRequest(server=name, is_sealed=False)).id)

    def _rule(self, of: account.Account, pattern: str) -> str:
        self.services.retention.set(of.id, pattern, keep_last=1, keep_days=None)
        return pattern

    def trash(self, of: account.Account, things: Things) -> Things:
        self.services.life.delete(of.id, things.template, by="x")
        return things

    def share(
        self, of: account.Account, template: str, receiver: str, *, expires_at: datetime.datetime | None = None
    ) -> str:
        """Let another account see a template."""
        self.services.sharing.share(
            self.owner(of), template, receiver, visibility.Terms(note="seen"), expires_at=expires_at
        )
        return template

    def owner(self, of: account.Account) -> access.Actor:
        """Somebody who may all in that account."""
        return access.Actor(name="x", account=of, role=account.Role.OWNER, is_cloud_operator=False, address="test")

    def with_spare_account(self, things: Things) -> Things:
        """In place of theirs, an account that nothing else uses."""
        return things.but(account=self.services.accounts.create(f"a-{uuid.uuid4().hex[:8]}").name)

    def end(self, of: account.Account, things: Things) -> Things:
        """Its operation ends, and so does a stream of it."""
        self.services.operations.cancel(of.id, things.operation)
        return things

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
        template = str(ended.result["template_id"])  # type: ignore[index]
        self.site.give_inventory(uuid.UUID(template), _INVENTORY)
        return template

    def ask(
        self,
        role: str,
        name: str,
        things: Things,
        *,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        **more_headers: str,
    ) -> Any:
        """The answer to a request for these things."""
        method, path, route = _ROUTES[name]
        headers = {"x-request-id": "matrix"}  # else each answer has one of its own
        asked = self.by_tcp
        if role == "cloud operator":
            asked, headers[gate.ACCOUNT_HEADER] = self.by_socket, "acme"
        elif role != "nobody":
            headers["authorization"] = f"Bearer {self._key(role, is_spare=name == 'sign_out')}"
        if body is None and "requestBody" in route:
            body = _BODIES[name](things)
        asked.cookies.clear()
        if method == "WEBSOCKET":
            return _opened(asked, _filled(path, things), {**headers, **more_headers})
        return asked.request(
            method,
            _filled(path, things),
            json=body,
            headers={**headers, **more_headers},
            params=query or _QUERIES.get(name, lambda _: None)(things),
        )

    def sit_down(self, things: Things) -> Things:
        """At a server that is on, and has a screen and a serial console."""
        name = f"{things.server}-on"
        self.site.host.start(self.site.host.add_server(name, has_terminals=True))
        self.services.servers.assign(name, self.acme.id)
        return things.but(server=name)

    def entries(self) -> int:
        with self.site.db.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(schema.audit_entries)).scalar_one()


def _opened(http: testclient.TestClient, path: str, headers: dict[str, str]) -> Any:
    """The answer to opening a WebSocket, with a ticket where the same person is given one."""
    given = http.post(path, json={} if path.endswith("/serial") else None, headers=headers)
    offered = terminal.offered(given.json().get("ticket", "none"))
    try:
        with http.websocket_connect(path, subprotocols=offered, headers=headers) as session:
            assert session.receive_bytes()
    except testclient.WebSocketDenialResponse as refused:
        return refused
    return httpx.Response(101)


def _filled(path: str, things: Things) -> str:
    kinds = {
        "account": "receiver" if "/shares/" in path else "account",
        "reference": "member" if "/members/" in path else _OBJECTS.get(path.split("/")[2], ""),
        "pattern": "pattern",
    }
    return re.sub(r"{(\w+)}", lambda found: getattr(things, kinds[found[1]]), path)


def _names_an_object(name: str) -> bool:
    if name in _SHIPPED or name == "set_retention_rule":  # which makes what it names
        return False
    return "{" in _ROUTES[name][1] or name in {"start_capture", "plan_capture", "start_deployment", "plan_deployment"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, migrated: Any) -> Any:
    with tempfile.TemporaryDirectory(prefix="estampe-") as run, contextlib.ExitStack() as closing:  # short: for sockets
        made = site_under_test.Site(tmp_path_factory.mktemp("matrix"), migrated, run_directory=Path(run))
        closing.callback(made.close)
        yield World(made, closing)


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
    expected, things = _gate_answer(name, role), world.foreign
    if role == "cloud operator" and name in _ENDS_AN_ACCOUNT:
        things = world.with_spare_account(things)
    foreign, missing = world.ask(role, name, things), world.ask(role, name, world.missing)
    if expected is None:
        assert _code(foreign) not in {"sign-in-needed", "cloud-operator-only", "role-denied"}
        return
    own = world.ask(role, name, world.foreign.but(account="acme"))
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
    for value in sorted(things.named().values(), key=len, reverse=True):  # one may be part of another
        text = text.replace(value, "<reference>")
    return text


# Who comes by the socket is not signed in, and cannot sign out; a session ends itself in test_sessions.
_ALLOWED = [
    (name, role)
    for name, role in itertools.product(access_table.RULES, _ROLES[1:])
    if _gate_answer(name, role) is None and not access_table.RULES[name].is_open
    if (name, role) != ("sign_out", "cloud operator")
    and name not in {"end_session", "switch_account", "link_user"}  # no provider
]


@pytest.mark.parametrize(("name", "role"), _ALLOWED)
def test_who_may_gets_what_is_its_own(world: World, name: str, role: str) -> None:
    things = world.things(world.acme, world.people[role if role in world.people else "owner"][0])
    if role == "cloud operator" and name in _ENDS_AN_ACCOUNT:
        things = world.with_spare_account(things)
    if name in _TRASHED:
        things = world.trash(world.acme, things)
    if name == "unshare_template":
        world.share(world.acme, things.template, "globex")
    if name in _OF_OTHERS:
        things = things.but(template=world.share(world.globex, world.foreign_shared, "acme"))
    if name in _TERMINALS:
        things = world.sit_down(things)
    if name == "watch_operation":
        things = world.end(world.acme, things)
    if name == "add_member":
        things = things.but(user=things.server)
        world.services.people.add_user(f"new-{things.user}", password=None, is_cloud_operator=False)
    if name == "delete_user":
        things = things.but(user=things.member)
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
    # They show what would be, or lead to what is audited itself.
    begins_nothing = {
        "plan_capture", "plan_deployment", "start_oidc_command", "create_screen_ticket", "create_serial_ticket",
    }  # fmt: skip
    changing = {name for name, (method, _path, _route) in _ROUTES.items() if method != "GET"} - begins_nothing
    changing.add("finish_oidc")  # a browser is sent there
    assert {name for name, rule in access_table.RULES.items() if rule.is_change} == changing


def test_an_object_in_a_path_is_known_to_the_matrix() -> None:
    for name, (_method, path, route) in _ROUTES.items():
        assert "{reference}" not in path or "/members/" in path or path.split("/")[2] in _OBJECTS, name
        assert "{" not in path.replace("{account}", "").replace("{reference}", "").replace("{pattern}", ""), name
        assert "requestBody" not in route or name in _BODIES, name


# --- what else may tell -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["viewer", "owner"])
@pytest.mark.parametrize("name", [name for name, (_m, _p, route) in _ROUTES.items() if "If-Match" in str(route)])
def test_an_etag_is_not_compared_for_who_may_not_see_it(world: World, name: str, role: str) -> None:
    for if_match in ('"no-such-tag"', "*", "ill-formed"):
        foreign, missing = (
            world.ask(role, name, things, **{"If-Match": if_match}) for things in (world.foreign, world.missing)
        )
        assert (foreign.status_code, _code(foreign)) == (missing.status_code, _code(missing))
        assert foreign.status_code in {400, 403, 404}


def test_the_key_of_another_account_is_another_key(world: World) -> None:
    """What acme was answered, globex is not, though key, path and body are the same; and each its own again."""
    key = {"Idempotency-Key": "the-same"}
    asked = [capture.CaptureRequest(server=f"same-{of.name}", is_sealed=False) for of in (world.acme, world.globex)]
    answers = []
    for of, request in zip((world.acme, world.globex), asked, strict=True):
        world.site.add_server(request.server)
        world.services.servers.assign(request.server, of.id)
        with testclient.TestClient(peer.come_from(world.api, 0)) as http:
            headers = {**key, gate.ACCOUNT_HEADER: of.name}
            body = {"server": request.server, "is_sealed": False}
            first, again = (http.post("/v1/captures", json=body, headers=headers) for _ in range(2))
        assert (first.status_code, again.status_code, again.headers["Idempotency-Replayed"]) == (202, 202, "true")
        assert first.json()["id"] == again.json()["id"]
        answers.append(first.json()["id"])
    assert len(set(answers)) == 2
    told = world.services.audit.list(listing.AuditQuery(account_id=world.globex.id, action="start_capture", limit=2))
    assert [entry.subject for entry in told.items] == ["same-globex (repeated)", "same-globex"]


def test_who_may_not_begin_it_does_not_get_the_answer_of_who_did(world: World) -> None:
    things = world.things(world.acme, world.people["owner"][0])
    headers = {"Idempotency-Key": "an-owners"}
    assert world.ask("owner", "start_capture", things, **headers).status_code == 202
    refused = world.ask("viewer", "start_capture", things, **headers)
    assert (refused.status_code, _code(refused)) == (403, "role-denied")
    world.services.accounts.suspend(world.acme.id)
    refused = world.ask("owner", "start_capture", things, **headers)
    world.services.accounts.resume(world.acme.id)
    assert (refused.status_code, _code(refused)) == (403, "account-suspended")


def test_a_store_wide_operation_is_hidden_from_members_in_lists_too(world: World) -> None:
    """A page has as many as were asked for, not fewer for those that are left out."""
    things = world.things(world.acme, world.people["owner"][0])
    begun = world.ask("cloud operator", "start_check", things)
    assert begun.status_code == 202
    hidden = things.but(operation=begun.json()["id"])
    for name in ("get_operation", "watch_operation", "cancel_operation"):
        assert world.ask("owner", name, hidden).status_code == 404
    listed = world.ask("owner", "list_operations", things, query={"limit": 1}).json()
    assert [each["kind"] for each in listed["operations"]] == ["capture"]


_SECRET = "hunter2"
_WISHES: dict[str, Any] = {
    "password_hash": f"$6${_SECRET}$x", "users": [{"name": "ana", "password_hash": f"$6${_SECRET}$y"}],
    "commands": [f"set-password {_SECRET}"], "admin_password": f"A{_SECRET}!", "user_data": f"#cloud-config\npassword: {_SECRET}",
}  # fmt: skip
_REFUSED: list[dict[str, Any]] = [
    {"password_hash": _SECRET}, {"password_hash": [_SECRET]}, {"users": [{"name": "ana", "password_hash": _SECRET}]},
    {"commands": [f"{_SECRET}\n"]}, {"admin_password": [_SECRET]}, {"user_data": f"#cloud-config\n- {_SECRET}"},
]  # fmt: skip


def test_what_a_deploy_is_given_in_confidence_is_in_no_answer_log_or_audit_entry(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    things = world.things(world.acme, world.people["owner"][0])
    body = _BODIES["start_deployment"](things)
    told = [
        world.ask("operator", name, things, body=body | wishes).text
        for name in ("plan_deployment", "start_deployment")
        for wishes in (_WISHES, *_REFUSED)
    ]
    begun = next(json.loads(each) for each in told if '"change_token"' in each)
    world.site.run()
    begun_things = things.but(operation=begun["id"])
    ended = world.ask("viewer", "get_operation", begun_things)
    assert ended.json()["state"] == "succeeded", ended.text
    told += [ended.text, world.ask("viewer", "watch_operation", begun_things).text]
    told += [world.ask("viewer", name, things).text for name in ("list_operations", "list_servers")]
    entries = world.services.audit.list(listing.AuditQuery(account_id=world.acme.id, limit=50)).items
    assert any(entry.action == "start_deployment" for entry in entries)
    told += [repr(entry) for entry in entries] + [record.getMessage() + str(vars(record)) for record in caplog.records]
    assert [each for each in told if _SECRET in each] == []


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
