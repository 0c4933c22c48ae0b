"""Sessions of browsers: a cookie stands for a person who signed in.

    cookie      9f2c...  (64 hexadecimal digits: 256 random bits; only SHA-256 of it is kept)
    CSRF token  HMAC-SHA256 of a fixed text with the cookie's bits as the key: told to our own pages, never kept

The token is bound to its session without being stored, and whoever learns it does not learn the cookie. A session ends by
idleness, by age, by signing out, and whenever another one is opened in its place: the text of a session is never taken over
from who signs in.
"""

from __future__ import annotations

import datetime
import enum
import hashlib
import hmac
import re
import uuid
from dataclasses import dataclass
from typing import Final

SECRET_BYTES: Final = 32
_COOKIE: Final = re.compile(r"[0-9a-f]{64}")
_CSRF_TEXT: Final = b"estampe CSRF token, version 1"
MOST_AGENT_CHARACTERS: Final = 256


class Method(enum.StrEnum):
    """How the person signed in."""

    PASSWORD = "password"  # noqa: S105 - a word
    OIDC = "oidc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """Who asks for a session: from where, with which program, and which session it shows so far."""

    address: str
    agent: str = ""
    shown: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A row of the table of sessions; nothing in it lets anybody in."""

    id: uuid.UUID
    account_id: uuid.UUID  # the one account it acts for; a cloud operator's may name others
    user_id: uuid.UUID
    user: str
    method: Method
    address: str  # where the person signed in from
    agent: str  # the browser, as it calls itself
    created_at: datetime.datetime
    last_seen_at: datetime.datetime  # to the minute: writing it each time would make every read a write
    expires_at: datetime.datetime  # however much it is used

    def is_live(self, now: datetime.datetime, *, idle: datetime.timedelta) -> bool:
        """Whether it is neither too old nor unused for `idle`."""
        return now < self.expires_at and now - self.last_seen_at < idle


def render(secret: bytes) -> str:
    """The cookie's value."""
    return secret.hex()


def parse(text: str) -> bytes | None:
    """The secret of what `render` made; None: it is no session."""
    return bytes.fromhex(text) if _COOKIE.fullmatch(text) else None


def digest(secret: bytes) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret).hexdigest()


def csrf_token(secret: bytes) -> str:
    """What a page must send back with each change."""
    return hmac.new(secret, _CSRF_TEXT, hashlib.sha256).hexdigest()


def proves(token: str, secret: bytes) -> bool:
    """Whether `token` is this session's; takes the same time for each wrong one."""
    return hmac.compare_digest(token.encode(), csrf_token(secret).encode())
