"""The authorisation matrix, generated from the API's own description: every route, every role, own / foreign / missing object.

What is expected comes from `access_table`. A route that is new is tried here by itself: it needs a rule to start at all, a body
below where it takes one, and an object below where its path names one.
"""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
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
from estampe.model import access, account, listing, operation, session, visibility

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


@dataclasses.dataclass(frozen=True)
class Things:
    """What a request names: one of each kind, all of one account (or of none)."""

    server: str
    template: str
    operation: str
    account: str
    member: str
    user: str
    key: str
    session: str
    pattern: str
    profile: str = "linux-server"
    receiver: str = "globex"  # with whom a template is shared


_BODIES: dict[str, Callable[[Things], dict[str, Any]]] = {
    "stop_server": lambda _: {},
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
# What the text after a route's prefix names.
_OBJECTS = {
    "servers": "server", "templates": "template", "operations": "operation", "users": "user", "api-keys": "key",
    "profiles": "profile", "sessions": "session",
}  # fmt: skip
_SHIPPED = {"get_profile"}  # the same for everybody: nothing of it is anybody's
_OF_OTHERS = {"hide_template", "unhide_template"}  # only what another account shares is hidden
_TRASHED = {"restore_template", "purge_template"}
_ENDS_AN_ACCOUNT = {"delete_account", "suspend_account"}  # which other tests here still need


class World:
    """Accounts acme and globex on one site, with people of each role in acme."""

    def __init__(self, site: site_under_test.Site) -> None:
        self.site, self.services = site, site.services
        self.api = app.create(site.services)
        self._numbers = itertools.count(1)
        self.acme, self.globex = (self.services.accounts.create(name) for name in ("acme", "globex"))
        self.services.sharing.allow_publishing(self.acme.id, may_publish=True)
        self.people = {role.value: self._person(role.value, self.acme, role) for role in account.Role}
        self.foreign = self.things(self.globex, self._person("gx", self.globex, account.Role.OWNER)[0])
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
        self.services.people.add_user(f"m-{name}", password=None, is_cloud_operator=False)
        self.services.people.add_user(f"new-{person.name}-{name}", password=None, is_cloud_operator=False)
        self.services.people.add_member(of.id, f"m-{name}", account.Role.VIEWER)
        key = self.services.keys.make(
            account_id=of.id, user_id=person.id, name=name, role=account.Role.VIEWER, is_cloud_operator=False,
            created_by="x", expires_at=None,
        )  # fmt: skip
        opened, _cookie = self.services.sessions.open(  # type: ignore[attr-defined]
            person, account_id=of.id, method=session.Method.PASSWORD, browser=session.Browser(address="192.0.2.1")
        )
        template = self._template(of, f"{name}-t")
        self._server(of, f"{name}-o")
        queued = self.services.captures.start(of.id, capture.CaptureRequest(server=f"{name}-o", is_sealed=False))
        return Things(
            server=self._server(of, name), template=template, operation=str(queued.id), account=of.name,
            member=f"m-{name}", user=person.name, key=str(key.api_key.id), pattern=self._rule(of, name),
            session=str(opened.id),
        )  # fmt: skip

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
        return dataclasses.replace(things, account=self.services.accounts.create(f"a-{uuid.uuid4().hex[:8]}").name)

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
        return str(ended.result["template_id"])  # type: ignore[index]

    def ask(
        self, role: str, name: str, things: Things, *, query: dict[str, Any] | None = None, **more_headers: str
    ) -> Any:
        """The answer to a request for these things."""
        method, path, route = _ROUTES[name]
        headers = {"x-request-id": "matrix"}  # else each answer has one of its own
        asked: Any = self.api
        if role == "cloud operator":
            asked, headers[gate.ACCOUNT_HEADER] = peer.come_from(self.api, 0), "acme"
        elif role != "nobody":
            headers["authorization"] = f"Bearer {self._key(role, is_spare=name == 'sign_out')}"
        body = _BODIES[name](things) if "requestBody" in route else None
        with testclient.TestClient(asked, raise_server_exceptions=False) as http:
            return http.request(
                method, _filled(path, things), json=body, headers={**headers, **more_headers}, params=query
            )

    def entries(self) -> int:
        with self.site.db.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(schema.audit_entries)).scalar_one()


def _filled(path: str, things: Things) -> str:
    kind = "member" if "/members/" in path else _OBJECTS.get(path.split("/")[2], "")
    of = things.receiver if "/shares/" in path else things.account
    filled = path.replace("{account}", of).replace("{reference}", getattr(things, kind, ""))
    return filled.replace("{pattern}", things.pattern)


def _names_an_object(name: str) -> bool:
    if name in _SHIPPED or name == "set_retention_rule":  # which makes what it names
        return False
    return "{" in _ROUTES[name][1] or name in {"start_capture", "plan_capture", "start_deployment", "plan_deployment"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, migrated: Any) -> Any:
    with tempfile.TemporaryDirectory(prefix="estampe-") as run:  # short: it will hold sockets
        made = site_under_test.Site(tmp_path_factory.mktemp("matrix"), migrated, run_directory=Path(run))
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
    expected, things = _gate_answer(name, role), world.foreign
    if role == "cloud operator" and name in _ENDS_AN_ACCOUNT:
        things = world.with_spare_account(things)
    foreign, missing = world.ask(role, name, things), world.ask(role, name, world.missing)
    if expected is None:
        assert _code(foreign) not in {"sign-in-needed", "cloud-operator-only", "role-denied"}
        return
    own = world.ask(role, name, dataclasses.replace(world.foreign, account="acme"))
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
        things = dataclasses.replace(things, template=world.share(world.globex, world.foreign_shared, "acme"))
    if name == "watch_operation":
        things = world.end(world.acme, things)
    if name == "add_member":
        things = dataclasses.replace(things, user=f"{things.user}-{things.server}")
    if name == "delete_user":
        things = dataclasses.replace(things, user=things.member)
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
    begins_nothing = {"plan_capture", "plan_deployment", "start_oidc_command"}  # which show what would be
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
    hidden = dataclasses.replace(things, operation=begun.json()["id"])
    for name in ("get_operation", "watch_operation", "cancel_operation"):
        assert world.ask("owner", name, hidden).status_code == 404
    listed = world.ask("owner", "list_operations", things, query={"limit": 1}).json()
    assert [each["kind"] for each in listed["operations"]] == ["capture"]


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
