"""API keys: `est_<id>_<secret>`.

    est_ 3f0c0c145a4e4d539d6f5a3c5b1c7e11 _ 9b1c...  (64 hexadecimal digits: 256 random bits)
         which key                           what proves it

Only SHA-256 of the secret is kept. A slow hash would protect nothing here, since 256 random bits cannot be guessed, and
would cost a tenth of a second of every request. The prefix lets scanners find keys in places where they should not be.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import uuid
from dataclasses import dataclass
from typing import Final

from estampe.model import account

SECRET_BYTES: Final = 32
_KEY: Final = re.compile(r"est_([0-9a-f]{32})_([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A row of the table of keys; nothing in it lets anybody in."""

    id: uuid.UUID
    account_id: uuid.UUID  # the one account it acts for; a cloud operator's may name others
    user_id: uuid.UUID | None  # whose it is: it may never more than that person; None: the account's own
    name: str
    role: account.Role
    is_cloud_operator: bool
    is_sign_in: bool  # made by signing in with a password
    created_by: str
    created_at: datetime.datetime
    expires_at: datetime.datetime | None
    revoked_at: datetime.datetime | None
    last_used_at: datetime.datetime | None  # to the minute: writing it each time would make every read a write

    def is_live(self, now: datetime.datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def render(key_id: uuid.UUID, secret: bytes) -> str:
    """The key as its holder has it."""
    return f"est_{key_id.hex}_{secret.hex()}"


def parse(text: str) -> tuple[uuid.UUID, bytes] | None:
    """Id and secret of what `render` made; None: it is no key."""
    match = _KEY.fullmatch(text)
    return None if match is None else (uuid.UUID(match[1]), bytes.fromhex(match[2]))


def digest(secret: bytes) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret).hexdigest()


def proves(secret: bytes, kept: str) -> bool:
    """Whether `secret` is the one of which `kept` is the digest; takes the same time for each wrong one."""
    return hmac.compare_digest(digest(secret), kept)
