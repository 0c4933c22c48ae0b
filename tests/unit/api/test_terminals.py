"""A server's screen and serial console over HTTP: tickets, who gets in, and how what is open ends."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import threading
from collections.abc import Iterator
from typing import Any

import fastapi
import pytest
from starlette import testclient, websockets
from tests.unit.api import browsers, fakes, people

from estampe import errors
from estampe.api import app, gate, peer, relay, terminals, tickets
from estampe.model import access, account, power, terminal

SCREEN, SERIAL = terminal.Kind
GREETING = fakes.fake_terminals.GREETINGS
PATH = {SCREEN: "/v1/servers/web-01/screen", SERIAL: "/v1/servers/web-01/serial"}
BODY = {SCREEN: None, SERIAL: {}}


@pytest.fixture
def world() -> Iterator[fakes.World]:
    world = fakes.World()
    world.reset()
    acme = people.office().bundle.accounts.create("acme")
    for name, role in (("alice", account.Role.OWNER), ("otto", account.Role.OPERATOR), ("bob", account.Role.VIEWER)):
        people.office().bundle.people.add_user(name, password=browsers.PASSWORD, is_cloud_operator=False)
        people.office().bundle.people.add_member(acme.id, name, role)
    yield world
    world.terminals.close()


@pytest.fixture
def api(world: fakes.World) -> fastapi.FastAPI:
    made = app.create(world.services(), public_origin=browsers.ORIGIN)
    made.state.terminals.limits = relay.Limits(look_seconds=0.02, settle_seconds=0.1)
    return made


@pytest.fixture
def otto(api: fastapi.FastAPI) -> Iterator[browsers.Browser]:
    with _browser(api, "otto") as browser:
        yield browser


@contextlib.contextmanager
def _browser(api: Any, name: str) -> Iterator[browsers.Browser]:
    with browsers.Browser(api) as browser:
        browser.sign_in(name)
        yield browser


@contextlib.contextmanager
def _program(api: fastapi.FastAPI) -> Iterator[testclient.TestClient]:
    """With a key of the account's own."""
    bundle = people.office().bundle
    made = bundle.keys.make(
        account_id=bundle.accounts.resolve("acme").id, user_id=None, name="ci", role=account.Role.OPERATOR,
        is_cloud_operator=False, created_by="x", expires_at=None,
    )  # fmt: skip
    with testclient.TestClient(api, headers={"Authorization": f"Bearer {made.key}"}) as program:
        yield program


@pytest.fixture
def peered(api: fastapi.FastAPI) -> Iterator[testclient.TestClient]:
    """On the unix socket."""

    async def come(scope, receive, send) -> None:
        await peer.come_from(api, 0)(scope, receive, send)

    with testclient.TestClient(come, raise_server_exceptions=False) as client:
        yield client


def _ask(client: testclient.TestClient, kind: terminal.Kind = SCREEN, body: Any = None) -> Any:
    token = client.token() if isinstance(client, browsers.Browser) else ""
    return client.post(PATH[kind], json=BODY[kind] if body is None else body, headers={"X-CSRF-Token": token})


def _ticket(client: testclient.TestClient, kind: terminal.Kind = SCREEN, body: Any = None) -> str:
    answer = _ask(client, kind, body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["ticket"])


def _open(
    client: testclient.TestClient, ticket: str, kind: terminal.Kind = SCREEN, *, origin: str | None = browsers.ORIGIN, **headers: str
) -> testclient.WebSocketTestSession:  # fmt: skip
    told = headers if origin is None else {"Origin": origin, **headers}
    url = PATH[kind] if not isinstance(client, browsers.Browser) else browsers.ORIGIN.replace("http", "ws") + PATH[kind]
    return client.websocket_connect(url, subprotocols=terminal.offered(ticket), headers=told)


def _refusal(client: testclient.TestClient, ticket: str, kind: terminal.Kind = SCREEN, **more: Any) -> tuple[int, str]:
    with pytest.raises(testclient.WebSocketDenialResponse) as refused, _open(client, ticket, kind, **more):
        pass
    return refused.value.status_code, refused.value.json()["code"]


def _ending(session: testclient.WebSocketTestSession) -> tuple[int, str]:
    while True:
        try:
            session.receive_bytes()
        except websockets.WebSocketDisconnect as ended:
            return ended.code, ended.reason


def _entries() -> list[tuple[str, str, str, str | None]]:
    with people.office().db.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT action, actor, subject, code FROM audit_entries WHERE action LIKE '%screen%' OR action LIKE '%serial%' ORDER BY at"
        )
        return [tuple(row) for row in rows]


# --- what goes over it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", terminal.Kind)
def test_bytes_go_both_ways(otto: browsers.Browser, world: fakes.World, kind: terminal.Kind) -> None:
    with _open(otto, _ticket(otto, kind), kind) as session:
        assert session.accepted_subprotocol == terminal.SUBPROTOCOL
        assert session.receive_bytes() == GREETING[kind]
        guest = world.terminals.ends(kind)[0]
        session.send_bytes(b"hello\0")
        assert guest.recv(100) == b"hello\0"
        session.send_text("caf\u00e9")
        assert guest.recv(100) == "caf\u00e9".encode()
        guest.sendall(bytes(range(256)))
        assert session.receive_bytes() == bytes(range(256))
    assert world.terminals.ends(kind) == []


def test_much_goes_over_it_whole(otto: browsers.Browser, world: fakes.World) -> None:
    sent = bytes(range(256)) * 20_000
    with _open(otto, _ticket(otto)) as session:
        session.receive_bytes()
        guest = world.terminals.ends(SCREEN)[0]
        threading.Thread(target=guest.sendall, args=(sent,), daemon=True).start()
        got = b""
        while len(got) < len(sent):
            got += session.receive_bytes()
        assert got == sent


def test_opening_closing_and_refusals_are_in_the_audit_log(otto: browsers.Browser, api: fastapi.FastAPI) -> None:
    with _open(otto, _ticket(otto)):
        pass
    assert _refusal(otto, "a" * 43, SERIAL) == (403, "ticket-refused")
    assert _entries() == [
        ("open_screen", "otto", "web-01", None), ("close_screen", "otto", "web-01", None),
        ("open_serial_console", "otto", "web-01", "ticket-refused"),
    ]  # fmt: skip


def test_what_is_open_is_counted_for_the_metrics(otto: browsers.Browser, api: fastapi.FastAPI) -> None:
    def counted() -> list[str]:
        return re.findall(r"^estampe_open_terminals.* (.*)$", api.state.metrics.render().decode(), re.MULTILINE)

    assert counted() == ["0.0", "0.0"]  # there from the begin, for screens and for serial consoles
    with _open(otto, _ticket(otto)), _open(otto, _ticket(otto)), _open(otto, _ticket(otto, SERIAL), SERIAL):
        assert counted() == ["2.0", "1.0"]
    _refusal(otto, "a" * 43)
    assert counted() == ["0.0", "0.0"]


# --- tickets ----------------------------------------------------------------------------------------------------------------


def test_a_ticket_opens_once(otto: browsers.Browser) -> None:
    ticket = _ticket(otto)
    with _open(otto, ticket) as session:
        session.receive_bytes()
    assert _refusal(otto, ticket) == (403, "ticket-refused")


def test_a_ticket_is_for_its_kind_alone_and_is_used_up_by_the_attempt(otto: browsers.Browser) -> None:
    ticket = _ticket(otto)
    assert _refusal(otto, ticket, SERIAL) == (403, "ticket-refused")
    assert _refusal(otto, ticket) == (403, "ticket-refused")


def test_a_ticket_is_of_no_use_to_another_person(otto: browsers.Browser, api: fastapi.FastAPI) -> None:
    with _browser(api, "alice") as alice:
        assert _refusal(alice, _ticket(otto)) == (403, "ticket-refused")
    with _browser(api, "otto") as elsewhere:  # the same person, in another browser
        assert _refusal(elsewhere, _ticket(otto)) == (403, "ticket-refused")
    with browsers.Browser(api) as nobody:
        assert _refusal(nobody, _ticket(otto)) == (401, "sign-in-needed")


def test_a_ticket_is_for_its_server_alone(otto: browsers.Browser, world: fakes.World) -> None:
    ticket = _ticket(otto)
    world.servers["web-01"] = fakes.a_server(id=fakes.an_id(2))  # deleted, and another made by that name
    assert _refusal(otto, ticket) == (403, "ticket-refused")


def test_no_ticket_and_no_subprotocol_open_nothing(otto: browsers.Browser) -> None:
    for offered in (
        [],
        [terminal.SUBPROTOCOL],
        [f"estampe.ticket.{_ticket(otto)}"],
        [terminal.SUBPROTOCOL, "estampe.ticket."],
    ):
        url = browsers.ORIGIN.replace("http", "ws") + PATH[SCREEN]
        with (
            pytest.raises(testclient.WebSocketDenialResponse) as refused,
            otto.websocket_connect(url, subprotocols=offered, headers={"Origin": browsers.ORIGIN}),
        ):
            pass
        assert refused.value.json()["code"] == "ticket-refused"


def _actor(number: int = 1, **changes: Any) -> access.Actor:
    acme = account.Account(id=fakes.an_id(number), name=f"a{number}", state=account.State.ACTIVE, created_at=fakes.NOW)
    known = access.Actor(name="otto", account=acme, role=account.Role.OPERATOR, is_cloud_operator=False, address="x")
    return dataclasses.replace(known, **changes)


def _errand(**changes: Any) -> tickets.Errand:
    return dataclasses.replace(tickets.Errand(actor=_actor(), server_id=fakes.an_id(9), kind=SCREEN), **changes)


def _redeem(known: tickets.Tickets, ticket: str | None, errand: tickets.Errand) -> tickets.Errand:
    return known.redeem(ticket, actor=errand.actor, server_id=errand.server_id, kind=errand.kind)


@pytest.mark.parametrize(("seconds", "is_taken"), [(29.9, True), (30.0, False)])
def test_a_ticket_is_valid_for_half_a_minute(seconds: float, is_taken: bool) -> None:
    now = [100.0]
    known = tickets.Tickets(clock=lambda: now[0])
    ticket = known.issue(_errand())
    assert len(ticket) == 43  # 256 bits
    now[0] += seconds
    if is_taken:
        assert _redeem(known, ticket, _errand()) == _errand()
    else:
        with pytest.raises(errors.TicketRefused):
            _redeem(known, ticket, _errand())


@pytest.mark.parametrize(
    "other",
    [
        _errand(server_id=fakes.an_id(8)), _errand(kind=SERIAL), _errand(actor=_actor(2)), _errand(actor=_actor(name="uid 7")),
        _errand(actor=_actor(key_id=fakes.an_id(5))), _errand(actor=_actor(session_id=fakes.an_id(5))),
        _errand(actor=_actor(user_id=fakes.an_id(5))), _errand(actor=_actor(is_cloud_operator=True)),
    ],
)  # fmt: skip
def test_a_ticket_is_bound_to_person_key_session_account_server_and_kind(other: tickets.Errand) -> None:
    known = tickets.Tickets()
    with pytest.raises(errors.TicketRefused):
        _redeem(known, known.issue(_errand()), other)


def test_only_digests_are_kept_and_not_without_bound() -> None:
    known = tickets.Tickets()
    elsewhere = known.issue(_errand(actor=_actor(2)))
    issued = [known.issue(_errand()) for _ in range(200)]
    assert not any(ticket in repr(vars(known)) for ticket in issued)
    assert len(known._waiting) == 65
    assert _redeem(known, elsewhere, _errand(actor=_actor(2))).actor.account.name == "a2"
    assert _redeem(known, issued[-1], _errand()) == _errand()
    with pytest.raises(errors.TicketRefused):
        _redeem(known, issued[0], _errand())


def test_a_ticket_says_how_long_it_is_valid_and_never_what_is_wrong_later(
    otto: browsers.Browser, world: fakes.World
) -> None:
    told = _ask(otto, SERIAL).json()
    assert (told["kind"], told["expires_in_seconds"], sorted(told)) == (
        "serial", 30, ["expires_in_seconds", "kind", "ticket"]
    )  # fmt: skip
    world.servers["web-01"] = fakes.a_server(power_state=power.PowerState.SHUT_OFF)
    answer = _ask(otto)
    assert (answer.status_code, answer.json()["code"]) == (409, "server-state")
    assert "start it first" in answer.json()["detail"]


# --- who gets in --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", terminal.Kind)
def test_a_viewer_is_refused(api: fastapi.FastAPI, otto: browsers.Browser, kind: terminal.Kind) -> None:
    with _browser(api, "bob") as bob:
        assert (_ask(bob, kind).status_code, _ask(bob, kind).json()["code"]) == (403, "role-denied")
        assert _refusal(bob, _ticket(otto, kind), kind) == (403, "role-denied")


def test_a_suspended_account_opens_nothing(api: fastapi.FastAPI) -> None:
    with _program(api) as program:
        ticket = _ticket(program)
        bundle = people.office().bundle
        bundle.accounts.suspend(bundle.accounts.resolve("acme").id)
        assert _refusal(program, ticket, origin=None) == (403, "account-suspended")
        assert _ask(program).json()["code"] == "account-suspended"


@pytest.mark.parametrize("origin", ["https://evil.test", "null", browsers.ORIGIN + ":444", "http://estampe.test", None])
def test_a_page_of_another_site_opens_nothing(otto: browsers.Browser, origin: str | None) -> None:
    assert _refusal(otto, _ticket(otto), origin=origin) == (403, "cross-site-refused")


def test_a_browser_that_says_it_is_another_site_opens_nothing(otto: browsers.Browser) -> None:
    assert _refusal(otto, _ticket(otto), **{"Sec-Fetch-Site": "cross-site"}) == (403, "cross-site-refused")


def test_a_ticket_by_cookie_takes_the_token(otto: browsers.Browser) -> None:
    assert otto.post(PATH[SCREEN]).json()["code"] == "cross-site-refused"


def test_a_program_says_no_origin(peered: testclient.TestClient, world: fakes.World) -> None:
    with _open(peered, _ticket(peered, SERIAL), SERIAL, origin=None) as session:
        assert session.receive_bytes() == GREETING[SERIAL]
    assert _refusal(peered, _ticket(peered), origin="https://evil.test") == (403, "cross-site-refused")


@pytest.mark.parametrize("reference", ["nothing-so", "x" * 300, "a%0ab"])
def test_an_unknown_server_is_not_found(otto: browsers.Browser, reference: str) -> None:
    url = f"{browsers.ORIGIN.replace('http', 'ws')}/v1/servers/{reference}/screen"
    with (
        pytest.raises(testclient.WebSocketDenialResponse) as refused,
        otto.websocket_connect(url, subprotocols=terminal.offered(_ticket(otto)), headers={"Origin": browsers.ORIGIN}),
    ):
        pass
    assert (refused.value.status_code, refused.value.json()["code"]) == (404, "server-not-found")


def test_a_serial_console_in_use_is_taken_over_only_when_asked(otto: browsers.Browser) -> None:
    with _open(otto, _ticket(otto, SERIAL), SERIAL) as first:
        first.receive_bytes()
        assert _refusal(otto, _ticket(otto, SERIAL), SERIAL) == (409, "serial-console-in-use")
        with _open(otto, _ticket(otto, SERIAL, {"is_taken_over": True}), SERIAL) as other:
            assert other.receive_bytes() == GREETING[SERIAL]
            assert _ending(first)[0] == terminal.Ending.CLOSED


def test_an_account_has_so_many_open_and_no_more(otto: browsers.Browser, api: fastapi.FastAPI) -> None:
    with contextlib.ExitStack() as opened:
        for _ in range(terminals.MOST_OPEN):
            opened.enter_context(_open(otto, _ticket(otto)))
        assert _refusal(otto, _ticket(otto)) == (409, "too-many-terminals")
    with _open(otto, _ticket(otto)) as session:
        assert session.receive_bytes() == GREETING[SCREEN]


# --- how it ends ----------------------------------------------------------------------------------------------------------------


def _opened(otto: browsers.Browser) -> testclient.WebSocketTestSession:
    return _open(otto, _ticket(otto))


def test_it_ends_when_the_session_is_signed_out(otto: browsers.Browser) -> None:
    with _opened(otto) as session:
        assert otto.delete("/v1/session", headers={"X-CSRF-Token": otto.token()}).status_code == 204
        assert _ending(session) == (terminal.Ending.ACCESS_ENDED, terminal.Ending.ACCESS_ENDED.reason)


def test_it_ends_when_the_role_is_lost(otto: browsers.Browser) -> None:
    bundle = people.office().bundle
    with _opened(otto) as session:
        bundle.people.set_role(bundle.accounts.resolve("acme").id, "otto", account.Role.VIEWER)
        assert _ending(session)[0] == terminal.Ending.ACCESS_ENDED


def test_it_ends_when_the_key_is_revoked(api: fastapi.FastAPI) -> None:
    with _program(api) as program, _open(program, _ticket(program), origin=None) as session:
        assert session.receive_bytes() == GREETING[SCREEN]
        bundle = people.office().bundle
        owner = _actor(account=bundle.accounts.resolve("acme"), role=account.Role.OWNER)
        bundle.keys.revoke(owner, "ci")
        assert _ending(session)[0] == terminal.Ending.ACCESS_ENDED


def test_it_ends_when_the_server_is_stopped(otto: browsers.Browser, world: fakes.World) -> None:
    with _opened(otto) as session:
        world.servers["web-01"] = fakes.a_server(power_state=power.PowerState.SHUT_OFF)
        world.terminals.close()
        assert _ending(session) == (terminal.Ending.SERVER_OFF, "the server is off")


def test_it_ends_when_the_server_is_deleted_or_another_accounts(otto: browsers.Browser, world: fakes.World) -> None:
    with _opened(otto) as session:
        del world.servers["web-01"]
        assert _ending(session)[0] == terminal.Ending.SERVER_OFF


def test_it_ends_when_the_host_closes_it(otto: browsers.Browser, world: fakes.World) -> None:
    with _opened(otto) as session:
        world.terminals.close()
        assert _ending(session)[0] == terminal.Ending.CLOSED


def test_it_ends_when_nothing_goes_over_it(otto: browsers.Browser, api: fastapi.FastAPI) -> None:
    api.state.terminals.limits = relay.Limits(look_seconds=0.02, idle_seconds=0.05)
    with _opened(otto) as session:
        assert _ending(session)[0] == terminal.Ending.IDLE


# --- the gate -------------------------------------------------------------------------------------------------------------------


def test_a_websocket_without_a_rule_or_past_the_gate_keeps_the_application_from_starting() -> None:
    router = fastapi.APIRouter(route_class=gate.Route)

    @gate.socket(router, "/x")
    def open_nothing(websocket: fastapi.WebSocket) -> Any:
        raise AssertionError

    with pytest.raises(errors.EstampeError, match=r"without a rule in api.access_table: open_nothing"):
        gate.check(router.routes)
    stray = fastapi.APIRouter(route_class=gate.Route)

    @stray.websocket("/x")
    async def open_screen(websocket: fastapi.WebSocket) -> None:
        raise AssertionError

    with pytest.raises(errors.EstampeError, match=r"not behind the gate .*open_screen"):
        gate.check(stray.routes)
