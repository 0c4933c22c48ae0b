"""An OpenID provider as we meet it: the whole detour against a real one, and all that one may do wrong."""

from __future__ import annotations

import datetime
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib import parse

import httpx
import pytest
from tests.support import openid_provider

from estampe import errors
from estampe.model import oidc
from estampe.oidc import exchange, metadata, provider

BROWSER = httpx.Client()
REDIRECT = "https://console.example/v1/oidc/callback"


@dataclass
class Clock:
    """Seconds of both sides; a test moves them."""

    at: float = field(default_factory=time.time)

    def now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.at, datetime.UTC)


@dataclass
class Meeting:
    """A provider and its client."""

    there: openid_provider.Provider
    clock: Clock
    registration: provider.Registration
    here: provider.Provider = field(init=False)

    def __post_init__(self) -> None:
        self.renew()

    def renew(self, **changes: Any) -> None:
        self.registration = replace(self.registration, **changes)
        self.here = provider.Provider(self.registration, now=self.clock.now, clock=lambda: self.clock.at)

    def begin(self, **changes: Any) -> oidc.Attempt:
        attempt = oidc.Attempt.begin(
            redirect_uri=REDIRECT, next="/", account=None, is_for_command=False, now=self.clock.now()
        )
        return replace(attempt, **changes)

    def go(self, attempt: oidc.Attempt) -> dict[str, str]:
        """What the person comes back with."""
        answer = BROWSER.get(self.here.authorization_url(attempt))
        assert answer.status_code == 302, answer.text
        target, _, query = answer.headers["location"].partition("?")
        assert target == attempt.redirect_uri
        return dict(parse.parse_qsl(query))

    def sign_in(self, attempt: oidc.Attempt | None = None) -> oidc.Person:
        attempt = attempt or self.begin()
        return self.here.redeem(self.go(attempt)["code"], taken(attempt))


def taken(attempt: oidc.Attempt) -> oidc.Taken:
    return oidc.Taken(
        nonce=attempt.nonce, verifier=attempt.verifier, redirect_uri=attempt.redirect_uri, next="/", account=None
    )


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    clock = Clock()
    with openid_provider.running(now=lambda: clock.at) as there:
        registration = provider.Registration(
            issuer=there.issuer, client_id=openid_provider.CLIENT_ID, client_secret=openid_provider.CLIENT_SECRET,
            groups_claim="groups",
        )  # fmt: skip
        yield Meeting(there, clock, registration)


@pytest.mark.parametrize("key", [openid_provider.rsa_key, openid_provider.ec_key])
def test_a_person_comes_back_with_name_and_groups(meeting: Meeting, key: Callable[[], openid_provider.Key]) -> None:
    meeting.there.key = key()
    meeting.there.person["groups"] = ["staff", "admins", 7]
    assert meeting.sign_in() == oidc.Person(
        issuer=meeting.there.issuer, subject="s-1", name="alice", groups=frozenset({"staff", "admins"})
    )


def test_documents_and_keys_are_kept_for_an_hour(meeting: Meeting) -> None:
    for _nth in range(3):
        meeting.sign_in()
    kept = ("/.well-known/openid-configuration", "/jwks")
    assert [meeting.there.fetched.count(path) for path in kept] == [1, 1]
    meeting.clock.at += 3600
    meeting.sign_in()
    assert [meeting.there.fetched.count(path) for path in kept] == [2, 2]


def test_a_public_client_names_itself_and_has_no_secret(meeting: Meeting) -> None:
    meeting.renew(client_secret=None)
    with pytest.raises(errors.OidcAnswerRefused, match="no ID token"):
        meeting.sign_in()


# --- the code -------------------------------------------------------------------------------------------------------------


def test_a_code_is_worth_nothing_without_the_verifier_or_elsewhere_or_twice(meeting: Meeting) -> None:
    attempt, other = meeting.begin(), meeting.begin()
    for changed in (
        replace(attempt, verifier=other.verifier), replace(attempt, redirect_uri="https://console.example/other"),
    ):  # fmt: skip
        code = meeting.go(attempt)["code"]
        with pytest.raises(errors.OidcAnswerRefused):
            meeting.here.redeem(code, taken(changed))
    code = meeting.go(attempt)["code"]
    assert meeting.here.redeem(code, taken(attempt)).subject == "s-1"
    with pytest.raises(errors.OidcAnswerRefused):
        meeting.here.redeem(code, taken(attempt))


def test_the_provider_of_the_tests_takes_only_what_is_registered(meeting: Meeting) -> None:
    elsewhere = meeting.begin(redirect_uri=REDIRECT + "/")
    assert BROWSER.get(meeting.here.authorization_url(elsewhere)).status_code == 400


def test_an_answer_is_from_this_provider(meeting: Meeting) -> None:
    answer = oidc.Answer(state="s", binding="b", code="c", issuer=meeting.there.issuer)
    meeting.here.check_origin(answer)
    for issuer in ("https://elsewhere.example", None, meeting.there.issuer + "/"):
        with pytest.raises(errors.OidcAnswerRefused, match="provider"):
            meeting.here.check_origin(replace(answer, issuer=issuer))
    meeting.there.metadata["authorization_response_iss_parameter_supported"] = False
    meeting.renew()
    meeting.here.check_origin(replace(answer, issuer=None))
    with pytest.raises(errors.OidcAnswerRefused):
        meeting.here.check_origin(replace(answer, issuer="https://elsewhere.example"))


# --- ID tokens that must not be believed ------------------------------------------------------------------------------------


def _set(**claims: Any) -> Callable[[dict[str, Any]], None]:
    return lambda token: token.update(claims)


def _without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda token: token.pop(name)


def _moved(name: str, seconds: int) -> Callable[[dict[str, Any]], None]:
    def move(token: dict[str, Any]) -> None:
        token[name] += seconds

    return move


@pytest.mark.parametrize(
    ("bend", "problem"),
    [
        (_set(nonce="another"), "another attempt"),
        (_without("nonce"), "another attempt"),
        (_set(nonce=["x"]), "another attempt"),
        (_set(aud="another"), "another client"),
        (_set(aud=["another"]), "another client"),
        (_set(aud=[openid_provider.CLIENT_ID, "another"]), "another client"),
        (_set(aud=[openid_provider.CLIENT_ID, "another"], azp="another"), "another client"),
        (_set(azp="another"), "another client"),
        (_set(aud=[]), "claim"),
        (_set(aud=7), "claim aud"),
        (_without("aud"), "claim"),
        (_set(iss="https://elsewhere.example"), "claim iss"),
        (_without("iss"), "claim"),
        (_without("exp"), "claim"),
        (_moved("exp", -361), "expired"),
        (_set(exp="soon"), "claim exp"),
        (_set(exp=float("nan")), "claim exp"),
        (_without("iat"), "claim"),
        (_moved("iat", 120), "claim iat"),
        (_moved("iat", -661), "too old"),
        (_set(nbf=2**40), "claim nbf"),
        (_without("sub"), "claim"),
        (_set(sub=""), "claim sub"),
        (_set(sub="x" * 256), "no person"),
        (_set(sub="a\nb"), "no person"),
        (_set(sub=7), "claim sub"),
    ],
)
def test_a_token_that_is_not_the_answer_is_refused(
    meeting: Meeting, bend: Callable[[dict[str, Any]], None], problem: str
) -> None:
    meeting.there.bend = bend
    with pytest.raises(errors.OidcAnswerRefused, match=problem):
        meeting.sign_in()


def test_a_token_for_several_clients_counts_if_it_was_issued_to_us(meeting: Meeting) -> None:
    meeting.there.bend = _set(aud=["another", openid_provider.CLIENT_ID], azp=openid_provider.CLIENT_ID)
    assert meeting.sign_in().subject == "s-1"


def _unsigned(claims: dict[str, Any]) -> str:
    return openid_provider.token({"alg": "none"}, claims, lambda _: b"")


def _unsigned_with_key(claims: dict[str, Any]) -> str:
    return openid_provider.token({"alg": "none", "kid": "first"}, claims, lambda _: b"")


def _by_public_key(claims: dict[str, Any]) -> str:
    """HMAC, with what everybody may read as the secret."""
    secret = openid_provider.rsa_key().pem
    header = {"alg": "HS256", "kid": "first"}
    return openid_provider.token(header, claims, lambda content: hmac.digest(secret, content, "sha256"))


def _by_stranger(claims: dict[str, Any]) -> str:
    stranger = openid_provider.rsa_key("stranger")
    return openid_provider.token({"alg": "RS256", "kid": "first"}, claims, stranger.sign)


def _by_own_key(claims: dict[str, Any]) -> str:
    stranger = openid_provider.rsa_key("stranger")
    header = {"alg": "RS256", "jwk": stranger.public, "jku": "http://127.0.0.1:9/jwks"}
    return openid_provider.token(header, claims, stranger.sign)


def _critical(claims: dict[str, Any]) -> str:
    header = {"alg": "RS256", "kid": "first", "crit": ["exp"], "exp": 1}
    return openid_provider.token(header, claims, openid_provider.rsa_key().sign)


def _changed(claims: dict[str, Any]) -> str:
    header, _, signature = openid_provider.token(
        {"alg": "RS256", "kid": "first"}, claims, openid_provider.rsa_key().sign
    ).split(".")
    body = openid_provider.encode(json.dumps({**claims, "sub": "s-2"}).encode())
    return f"{header}.{body}.{signature}"


@pytest.mark.parametrize(
    "mint",
    [
        _unsigned, _unsigned_with_key, _by_public_key, _by_stranger, _by_own_key, _critical, _changed,
        lambda _: "", lambda _: "a.b", lambda _: "a.b.c", lambda _: "..", lambda _: "\u00e9.x.y",
        lambda _: "e30." * 2 + "e30", lambda _: openid_provider.encode(b"[1]") + ".e30.e30", lambda _: "x" * 70_000,
    ],
)  # fmt: skip
def test_a_token_that_the_provider_has_not_signed_is_refused(
    meeting: Meeting, mint: Callable[[dict[str, Any]], str]
) -> None:
    meeting.there.mint = mint
    with pytest.raises(errors.OidcAnswerRefused):
        meeting.sign_in()


def test_a_shared_secret_among_the_keys_signs_nothing(meeting: Meeting) -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    meeting.there.published = [{"kty": "oct", "kid": "first", "k": openid_provider.encode(secret)}]
    meeting.there.mint = lambda claims: openid_provider.token(
        {"alg": "HS256", "kid": "first"}, claims, lambda content: hmac.digest(secret, content, "sha256")
    )
    with pytest.raises(errors.OidcAnswerRefused):
        meeting.sign_in()


def test_a_key_for_encryption_signs_nothing(meeting: Meeting) -> None:
    meeting.there.published = [{**openid_provider.rsa_key().public, "use": "enc"}]
    with pytest.raises(errors.OidcAnswerRefused):
        meeting.sign_in()


def test_keys_that_are_not_understood_are_passed_over(meeting: Meeting) -> None:
    meeting.there.published = [
        {"kty": "AKP"}, "nonsense", {"kty": "EC", "kid": "x"}, {"kty": "RSA", "n": 5}, openid_provider.rsa_key().public
    ]  # fmt: skip
    assert meeting.sign_in().subject == "s-1"


def test_a_token_that_names_no_key_is_tried_with_each(meeting: Meeting) -> None:
    key = openid_provider.ec_key()
    meeting.there.published = [openid_provider.rsa_key().public, key.public]
    meeting.there.mint = lambda claims: openid_provider.token({"alg": "ES256"}, claims, key.sign)
    assert meeting.sign_in().subject == "s-1"


# --- keys that change -------------------------------------------------------------------------------------------------------


def test_a_new_key_is_fetched_when_a_token_names_it(meeting: Meeting) -> None:
    meeting.sign_in()
    meeting.there.key = openid_provider.ec_key("renewed")
    meeting.clock.at += 30
    assert meeting.sign_in().subject == "s-1"
    assert meeting.there.fetched.count("/jwks") == 2


def test_made_up_key_ids_do_not_make_us_ask_each_time(meeting: Meeting) -> None:
    meeting.sign_in()
    meeting.there.mint = lambda claims: openid_provider.token(
        {"alg": "RS256", "kid": "made-up"}, claims, openid_provider.rsa_key().sign
    )
    meeting.clock.at += 29
    for _nth in range(5):
        with pytest.raises(errors.OidcAnswerRefused):
            meeting.sign_in()
    assert meeting.there.fetched.count("/jwks") == 1
    meeting.clock.at += 1
    for _nth in range(5):
        with pytest.raises(errors.OidcAnswerRefused):
            meeting.sign_in()
    assert meeting.there.fetched.count("/jwks") == 2


def test_a_withdrawn_key_is_not_believed_after_an_hour(meeting: Meeting) -> None:
    meeting.sign_in()
    meeting.there.published = [openid_provider.ec_key().public]
    meeting.clock.at += 3600
    with pytest.raises(errors.OidcAnswerRefused, match="signature"):
        meeting.sign_in()


# --- names ------------------------------------------------------------------------------------------------------------------


def test_an_address_of_mail_is_a_name_only_where_it_is_verified(meeting: Meeting) -> None:
    meeting.renew(name_claim="email")
    meeting.there.person["email"] = "Alice@Example.org"
    assert meeting.sign_in().name is None
    meeting.there.person["email_verified"] = "true"
    assert meeting.sign_in().name is None
    meeting.there.person["email_verified"] = True
    assert meeting.sign_in().name == "alice@example.org"


@pytest.mark.parametrize("name", [None, 7, "", "x" * 129, ["alice"]])
def test_what_is_no_name_is_none(meeting: Meeting, name: Any) -> None:
    meeting.there.person["preferred_username"] = name
    assert meeting.sign_in().name is None


# --- a provider that does not work --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://elsewhere.example"}, {"token_endpoint": "http://idp.example/token"}, {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"}, {"code_challenge_methods_supported": ["plain"]},
    ],
)  # fmt: skip
def test_a_document_that_is_not_the_providers_or_not_safe_is_not_used(
    meeting: Meeting, changes: dict[str, Any]
) -> None:
    meeting.there.metadata = changes
    with pytest.raises(errors.OidcUnavailable):
        meeting.here.authorization_url(meeting.begin())


def test_a_failure_is_not_kept(meeting: Meeting) -> None:
    meeting.there.metadata = {"issuer": "https://elsewhere.example"}
    with pytest.raises(errors.OidcUnavailable):
        meeting.here.authorization_url(meeting.begin())
    meeting.there.metadata = {}
    assert meeting.sign_in().subject == "s-1"


@pytest.mark.parametrize(
    "answer", [(200, b"[]"), (200, b"{"), (200, b"[" * 100_000), (502, b"{}"), (200, b" " * 600_000)]
)
def test_an_answer_that_is_none_says_that_the_provider_does_not_work(
    meeting: Meeting, answer: tuple[int, bytes]
) -> None:
    meeting.there.token_answer = answer
    with pytest.raises(errors.OidcUnavailable) as caught:
        meeting.sign_in()
    assert "s3cret" not in str(caught.value)


def test_nobody_there_is_told_without_what_was_sent(meeting: Meeting) -> None:
    attempt = meeting.begin()
    meeting.here.authorization_url(attempt)
    meeting.here._known = (meeting.clock.at, replace(meeting.here._known[1], token_endpoint="http://127.0.0.1:9/token"))
    with pytest.raises(errors.OidcUnavailable) as caught:
        meeting.here.redeem("the-code", taken(attempt))
    assert "the-code" not in str(caught.value)
    assert attempt.verifier not in str(caught.value)


def test_an_answer_that_trickles_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def trickle() -> None:
            connection, _address = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{")
                while not ended.wait(0.02):
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        asking = exchange.Exchange(issuer="x", deadline_seconds=0.2)
        with pytest.raises(errors.OidcUnavailable, match=r"within 0\.2 s"):
            asking.get(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        ended.set()
        thread.join(10)


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://idp.example/realm", True), ("http://127.0.0.1:8080", True), ("http://[::1]/", True),
        ("http://localhost:1", True), ("http://idp.example", False), ("https://user@idp.example", False),
        ("https://idp.example/#x", False), ("ftp://127.0.0.1", False), ("https://", False), ("https://a:b", False),
    ],
)  # fmt: skip
def test_only_what_nobody_can_listen_to_is_safe(url: str, *, is_safe: bool) -> None:
    assert metadata.is_safe_url(url) is is_safe
