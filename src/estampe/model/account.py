"""Accounts: who owns templates, servers and operations; and the people who act for them."""

from __future__ import annotations

import datetime
import enum
import re
import uuid
from dataclasses import dataclass
from typing import Final

from estampe import errors

# The one account of an installation that has not made others; a fixed version-4 UUID, so that manifests written before
# accounts exist name the same owner everywhere. Servers that nobody was assigned belong to it.
DEFAULT_ACCOUNT_ID: Final = uuid.UUID("e57a3be0-0000-4000-8000-000000000001")
DEFAULT_ACCOUNT_NAME: Final = "default"

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NAME_RULE: Final = "1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit"
_USER_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9._@+-]{0,126}[a-z0-9])?")
_USER_NAME_RULE: Final = "1 to 128 of a-z, 0-9, '.', '_', '@', '+' and '-', beginning and ending with a letter or digit"
LEAST_PASSWORD_CHARACTERS: Final = 12
MOST_PASSWORD_CHARACTERS: Final = 1024


class State(enum.StrEnum):
    """A suspended account can be looked at, and nothing of it changed; its servers are left as they are."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class Role(enum.StrEnum):
    """What a member may do in an account; each role includes those before it."""

    VIEWER = "viewer"  # look
    OPERATOR = "operator"  # capture, deploy, edit, delete
    OWNER = "owner"  # members, everybody's API keys, the audit log

    @property
    def rank(self) -> int:
        """Higher may more."""
        return list(Role).index(self)

    def covers(self, needed: Role) -> bool:
        """Whether it is at least `needed`."""
        return self.rank >= needed.rank

    def at_most(self, other: Role) -> Role:
        """The lesser of the two."""
        return min(self, other, key=lambda role: role.rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An owner (elsewhere: tenant, project)."""

    id: uuid.UUID
    name: str
    state: State
    created_at: datetime.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person who may sign in. One without a password cannot, by password."""

    id: uuid.UUID
    name: str
    is_cloud_operator: bool
    has_password: bool
    created_at: datetime.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A user's role in an account."""

    account_id: uuid.UUID
    user_id: uuid.UUID
    user: str
    role: Role


def check_name(name: str) -> str:
    """`name` itself, fit to name an account. Raises: errors.InvalidName."""
    if not _NAME.fullmatch(name):
        raise errors.InvalidName(name=name, what="account", rule=_NAME_RULE)
    return name


def check_user_name(name: str) -> str:
    """`name` itself, fit to name a user. Raises: errors.InvalidName."""
    if not _USER_NAME.fullmatch(name):
        raise errors.InvalidName(name=name, what="user", rule=_USER_NAME_RULE)
    return name


def check_password(password: str, *, user: str) -> str:
    """`password` itself where it can be one. Length is what counts (NIST SP 800-63B, 5.1.1); its content is never told.

    Raises: errors.InvalidRequest.
    """
    if not LEAST_PASSWORD_CHARACTERS <= len(password) <= MOST_PASSWORD_CHARACTERS:
        problem = f"must have {LEAST_PASSWORD_CHARACTERS} to {MOST_PASSWORD_CHARACTERS} characters"
        raise errors.InvalidRequest(field="password", problem=problem)
    if user in password.lower() and len(password) < 2 * LEAST_PASSWORD_CHARACTERS:
        raise errors.InvalidRequest(field="password", problem="must not hold the user's name")
    if len(set(password)) < 4:
        raise errors.InvalidRequest(field="password", problem="must have more than three different characters")
    return password
