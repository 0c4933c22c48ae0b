"""`estampe login --oidc`, `estampe session` and `estampe user link`, against a real server and a listener of ours."""

from __future__ import annotations

import dataclasses
import json
import re
import socket
import threading
import time
from typing import Any, Self

import httpx
import pytest
from tests.unit.api import fakes, people
from tests.unit.cli import conftest

from estampe import errors
from estampe.cli import exits, oidc_answer
from estampe.model import account, oidc, session


@pytest.fixture
def alice(world: fakes.World) -> people.Office:
    office = people.office()
    acme = office.bundle.accounts.create("acme")
    office.bundle.people.add_user("alice", password=None, is_cloud_operator=False)
    office.bundle.people.add_member(acme.id, "alice", account.Role.OPERATOR)
    return office


class Person:
    """Sits at a browser: comes back from the provider as soon as a command has begun."""

    def __init__(self, office: people.Office, port: int, **fields: str) -> None:
        self._office, self._port, self._fields = office, port, fields
        self.answers: list[int] = []
        self._thread = threading.Thread(target=self._come_back, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(30)

    def _come_back(self) -> None:
        ends_at = time.monotonic() + 20
        while not self._office.provider.began and time.monotonic() < ends_at:
            time.sleep(0.01)
        began = self._office.provider.began[-1]
        for path, state in (("/favicon.ico", ""), ("/callback", "another"), ("/callback", began.state)):
            query = {"state": state, "code": "the-code", **self._fields}
            self.answers.append(httpx.get(f"http://127.0.0.1:{self._port}{path}", params=query).status_code)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_one_signs_in_at_the_provider_and_is_signed_in_from_then_on(
    run: conftest.CommandLine, alice: people.Office
) -> None:
    port = _free_port()
    with Person(alice, port) as person:
        done = run("login", "--oidc", "--port", str(port), "--account", "acme")
    assert done.exit_code == 0, done.output
    assert person.answers == [404, 404, 200]
    assert re.search(r"https://idp\.test/authorize\?state=", done.stderr)
    assert "operator" in done.stdout
    assert alice.provider.began[-1].redirect_uri == f"http://127.0.0.1:{port}/callback"
    assert "alice" in run("whoami").stdout
    assert run("logout").exit_code == 0


def test_the_document_of_a_sign_in_is_all_of_the_output(run: conftest.CommandLine, alice: people.Office) -> None:
    port = _free_port()
    with Person(alice, port):
        done = run("login", "--oidc", "--port", str(port), "--output", "json")
    assert json.loads(done.stdout)["name"] == "alice"


def test_a_refusal_is_told_and_keeps_nothing(run: conftest.CommandLine, alice: people.Office) -> None:
    port = _free_port()
    alice.provider.person = dataclasses.replace(alice.provider.person, name="stranger", subject="s-2")
    with Person(alice, port):
        done = run("login", "--oidc", "--port", str(port))
    assert done.exit_code == exits.code_of(errors.OidcPersonUnknown(name="", subject=""))
    assert "s-2" in done.stderr
    assert not (run.home / "estampe" / "config.toml").exists()


def test_a_name_and_the_provider_do_not_go_together(run: conftest.CommandLine) -> None:
    for arguments in (("login",), ("login", "alice", "--oidc")):
        done = run(*arguments)
        assert done.exit_code == exits.code_of(errors.InvalidRequest(field="", problem=""))
        assert "--oidc" in done.stderr


def test_a_port_that_is_taken_is_told(run: conftest.CommandLine, alice: people.Office) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("login", "--oidc", "--port", str(taken.getsockname()[1]))
    assert "socket-in-use" in done.stderr or "cannot listen" in done.stderr
    assert alice.provider.began == []


def test_waiting_ends_at_its_deadline_whatever_else_comes() -> None:
    with oidc_answer.listening(0) as listener:
        silent = socket.create_connection(("127.0.0.1", listener.port))
        silent.close()
        with pytest.raises(errors.DeadlineExceeded):
            listener.wait("state", seconds=0.2)


def _session(office: people.Office) -> session.Session:
    acme = office.bundle.accounts.resolve("acme")
    user = office.bundle.people.rows.get("alice")
    opened, _cookie = office.bundle.sessions.open(
        user, account_id=acme.id, method=session.Method.OIDC,
        browser=session.Browser(address="192.0.2.7", agent="Firefox \x1b[31m"),
    )  # fmt: skip
    return opened


def test_sessions_are_listed_and_revoked(run: conftest.CommandLine, alice: people.Office) -> None:
    opened = _session(alice)
    short = str(opened.id)[:8]
    listed = run("--account", "acme", "session", "list", "--user", "al*", "--by", "oidc")
    assert listed.exit_code == 0, listed.output
    for words in (short, "alice", "oidc", "192.0.2.7", "Firefox"):
        assert words in listed.stdout
    document: Any = json.loads(run("--account", "acme", "session", "list", "--output", "json").stdout)
    assert [each["id"] for each in document["sessions"]] == [str(opened.id)]
    assert run("session", "revoke", short).exit_code != 0  # another account's
    revoked = run("--account", "acme", "session", "revoke", short)
    assert f"revoked session {short} of alice" in revoked.stdout
    again = _session(alice)
    document = json.loads(run("--account", "acme", "session", "revoke", str(again.id), "--output", "json").stdout)
    assert document["id"] == str(again.id)


def test_users_are_linked_and_unlinked(run: conftest.CommandLine, alice: people.Office) -> None:
    assert "linked alice" in run("user", "link", "alice", "--subject", "s-9").stdout
    person = oidc.Person(issuer=people.Provider.issuer, subject="s-9", name=None)
    found = alice.bundle.oidc.identities.admit(person, new_id=None, at=people.NOW)
    assert found is not None
    assert found.name == "alice"
    assert "unlinked alice" in run("user", "unlink", "alice").stdout
    assert alice.bundle.oidc.identities.admit(person, new_id=None, at=people.NOW) is None
    linked = json.loads(run("user", "link", "alice", "--subject", "s-9", "--output", "json").stdout)
    assert linked == {"linked": "alice", "subject": "s-9"}
    assert json.loads(run("user", "unlink", "alice", "--output", "json").stdout) == {"unlinked": "alice"}
    assert "--subject" in run("user", "link", "alice", "--subject", " ").stderr
