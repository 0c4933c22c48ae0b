"""One OpenID provider, and what we are to it: where people go to sign in, and who they are when they come back."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib import parse

from estampe import errors
from estampe.model import oidc
from estampe.oidc import exchange, id_token, key_set, metadata

_METADATA_SECONDS: Final = 3600.0
_MOST_NAME_CHARACTERS: Final = 128
_MOST_GROUPS: Final = 1000
_MOST_TOKEN_CHARACTERS: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What the provider's operator and ours have agreed on."""

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)  # None: a public client, whom PKCE alone protects
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    name_claim: str = "preferred_username"
    groups_claim: str | None = None


class Provider:
    """Threads may share it. Nothing is asked of the provider before somebody wants to sign in."""

    def __init__(
        self, registration: Registration, *, certificates: str | None = None,
        now: Callable[[], datetime.datetime], clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._registration = registration
        self._exchange = exchange.Exchange(issuer=registration.issuer, certificates=certificates, clock=clock)
        self._clock = clock
        self._lock = threading.Lock()
        self._known: tuple[float, metadata.Metadata] | None = None
        keys = key_set.KeySet(registration.issuer, self._fetch_keys, clock)
        self._validator = id_token.Validator(
            issuer=registration.issuer, client_id=registration.client_id, keys=keys, now=now
        )

    @property
    def issuer(self) -> str:
        """Its name."""
        return self._registration.issuer

    def authorization_url(self, attempt: oidc.Attempt) -> str:
        """Where to send the person. Raises: errors.OidcUnavailable."""
        endpoint = self._metadata().authorization_endpoint
        query = {
            "response_type": "code", "client_id": self._registration.client_id, "redirect_uri": attempt.redirect_uri,
            "scope": " ".join(self._registration.scopes), "state": attempt.state, "nonce": attempt.nonce,
            "code_challenge": attempt.challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{parse.urlencode(query)}"

    def check_origin(self, answer: oidc.Answer) -> None:
        """Whether the answer is this provider's, as far as it says so (RFC 9207). Raises: errors.OidcAnswerRefused.

        A code that another provider has issued must not be sent to this one, nor this one's to another.
        """
        if answer.issuer is None:
            if self._metadata().names_issuer:
                raise errors.OidcAnswerRefused(problem="the answer does not say which provider it is from")
        elif answer.issuer != self.issuer:
            raise errors.OidcAnswerRefused(problem="the answer is from another provider")

    def redeem(self, code: str, taken: oidc.Taken) -> oidc.Person:
        """Who the person is that the code was given for. Raises: errors.OidcAnswerRefused, errors.OidcUnavailable."""
        token = self._token(code, taken)
        return self._person(self._validator.validate(token, nonce=taken.nonce))

    def _token(self, code: str, taken: oidc.Taken) -> str:
        known, ours = self._metadata(), self._registration
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": taken.redirect_uri,
            "code_verifier": taken.verifier,
        }  # fmt: skip
        basic = None
        if ours.client_secret is not None and known.takes_basic:
            # RFC 6749, section 2.3.1: each is form-encoded first.
            basic = parse.quote_plus(ours.client_id), parse.quote_plus(ours.client_secret)
        else:
            form["client_id"] = ours.client_id
            if ours.client_secret is not None:
                form["client_secret"] = ours.client_secret
        status, answer = self._exchange.post(known.token_endpoint, form, basic=basic)
        if status >= 500:
            raise errors.OidcUnavailable(issuer=self.issuer, detail=f"{known.token_endpoint} answered {status}")
        token = answer.get("id_token")
        if status != 200 or not isinstance(token, str) or len(token) > _MOST_TOKEN_CHARACTERS:
            raise errors.OidcAnswerRefused(problem="the provider gave no ID token for the code")
        return token

    def _person(self, claims: Mapping[str, Any]) -> oidc.Person:
        ours = self._registration
        return oidc.Person(
            issuer=self.issuer, subject=claims["sub"], name=_name(claims, ours.name_claim),
            groups=frozenset() if ours.groups_claim is None else _groups(claims.get(ours.groups_claim)),
        )  # fmt: skip

    def _metadata(self) -> metadata.Metadata:
        with self._lock:
            if self._known is None or self._clock() - self._known[0] >= _METADATA_SECONDS:
                document = self._exchange.get(metadata.document_url(self.issuer))
                self._known = (self._clock(), metadata.read(document, self.issuer))
            return self._known[1]

    def _fetch_keys(self) -> Mapping[str, Any]:
        return self._exchange.get(self._metadata().jwks_uri)


def _name(claims: Mapping[str, Any], claim: str) -> str | None:
    """The name in small letters. An address of mail counts only once the provider has verified it: else anybody's could be claimed."""
    found = claims.get(claim)
    if not isinstance(found, str) or not 0 < len(found) <= _MOST_NAME_CHARACTERS:
        return None
    if claim == "email" and claims.get("email_verified") is not True:
        return None
    return found.lower()


def _groups(found: Any) -> frozenset[str]:
    listed = found if isinstance(found, list) else [found]
    return frozenset(each for each in listed[:_MOST_GROUPS] if isinstance(each, str))
