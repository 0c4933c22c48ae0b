"""Accounts as the faces show them."""

from __future__ import annotations

from dataclasses import dataclass

from estampe.model import access, api_key, quota, session
from estampe.model import account as accounts  # a field has the module's name


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that was just made. `key` is shown this once and cannot be had again."""

    api_key: api_key.ApiKey
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Who signed in, and the key that stands for it from now on."""

    actor: access.Actor
    new: NewKey


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSession:
    """Who signed in with a browser, and the cookie that stands for it from now on."""

    actor: access.Actor
    session: session.Session
    cookie: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """An account that a person may act for, and in which role."""

    account: accounts.Account
    role: accounts.Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """Where a browser or a person goes to sign in, and what who began must show when it goes on."""

    url: str
    state: str
    binding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A browser that is back from the OpenID provider, signed in, and where it wanted to go."""

    opened: OpenedSession
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaUse:
    """What an account may have, and has."""

    account: accounts.Account
    limits: quota.Quota
    used: quota.Amount
