"""Signing in at an OpenID provider (OpenID Connect Core 1.0, authorisation code flow with PKCE): what both ends of the detour know.

begin ──▶ Attempt kept here ──▶ person at the provider ──▶ code, state ──▶ Attempt taken, once ──▶ ID token ──▶ Person
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.model import account as accounts

_RANDOM_BYTES: Final = 32  # 43 characters: the least that RFC 7636, section 4.1, allows a verifier
# Long enough to find a second factor, short enough that what is left open does not lie about.
LIFE: Final = datetime.timedelta(minutes=10)
_MOST_NEXT_CHARACTERS: Final = 1024
_NEXT: Final = re.compile(r"/[!#-\[\]-~]*")  # printable ASCII without space, quote and backslash


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A detour to the provider that somebody is on. It can be taken up again once, and by who began it alone."""

    state: str  # names the attempt; only its digest is kept
    binding: str  # held by the browser (in a cookie) or the command that began; only its digest is kept
    nonce: str
    verifier: str
    redirect_uri: str
    next: str
    account: str | None
    is_for_command: bool
    expires_at: datetime.datetime

    @classmethod
    def begin(
        cls, *, redirect_uri: str, next: str, account: str | None, is_for_command: bool, now: datetime.datetime,
        binding: str | None = None, draw: Callable[[int], bytes] = secrets.token_bytes,
    ) -> Attempt:  # fmt: skip
        """A new one, all of whose secrets are drawn anew; `binding` only where its holder has drawn it."""
        state, drawn, nonce, verifier = (_encode(draw(_RANDOM_BYTES)) for _nth in range(4))
        return cls(
            state=state, binding=binding or drawn, nonce=nonce, verifier=verifier, redirect_uri=redirect_uri,
            next=check_next(next), account=account, is_for_command=is_for_command, expires_at=now + LIFE,
        )  # fmt: skip

    @property
    def challenge(self) -> str:
        """The verifier's S256 challenge (RFC 7636, section 4.2)."""
        return _encode(hashlib.sha256(self.verifier.encode()).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What is known of an attempt when its answer comes."""

    nonce: str
    verifier: str
    redirect_uri: str
    next: str
    account: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the provider sent the person back with."""

    state: str
    binding: str
    code: str | None = None
    error: str | None = None
    issuer: str | None = None  # RFC 9207: which provider says so


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who the provider says it is. `subject` stays the same for ever; `name` is what the provider shows."""

    issuer: str
    subject: str
    name: str | None
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRole:
    """A group at the provider gives its people a role in an account."""

    group: str
    account: str
    role: accounts.Role


def wanted_roles(mapping: Sequence[GroupRole], groups: frozenset[str]) -> dict[str, accounts.Role | None]:
    """For each account that the mapping names, the highest role that one of `groups` gives there; None: no role."""
    wanted: dict[str, accounts.Role | None] = {each.account: None for each in mapping}
    for each in mapping:
        best = wanted[each.account]
        if each.group in groups and (best is None or each.role.covers(best)):
            wanted[each.account] = each.role
    return wanted


def check_next(text: str) -> str:
    """`text` itself where it is a path on this host; nothing that a browser could read as another host passes.

    Raises: errors.InvalidRequest.
    """
    # Browsers take a backslash for a slash and drop tabs and line ends: `/\evil`, `/<tab>/evil` (WHATWG URL, 4.4).
    if len(text) > _MOST_NEXT_CHARACTERS or text.startswith("//") or not _NEXT.fullmatch(text):
        raise errors.InvalidRequest(field="next", problem="must be a path on this host, as /templates")
    return text


def digest(secret: str) -> str:
    """What is kept of a state or a binding."""
    return hashlib.sha256(secret.encode()).hexdigest()


def proves(secret: str, kept: str) -> bool:
    """Whether `secret` is the one of which `kept` is the digest; takes the same time for each wrong one."""
    return hmac.compare_digest(digest(secret), kept)


def _encode(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
