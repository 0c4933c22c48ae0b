"""Accounts as the faces show them."""

from __future__ import annotations

from dataclasses import dataclass

from estampe.model import access, account, api_key, quota


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
class QuotaUse:
    """What an account may have, and has."""

    account: account.Account
    limits: quota.Quota
    used: quota.Amount
