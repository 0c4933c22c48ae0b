"""Who asks, and what a route asks of them. The routes' own table is `api.access_table`."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.model import account as accounts

UNIX: Final = "unix"  # the address of whoever comes by the unix socket


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who asks, and for which account. `name` is for the audit log: `uid 0`, `alice`, `key 1a2b3c4d (ci)`."""

    name: str
    account: accounts.Account
    role: accounts.Role  # in that account; the cloud operator is an owner everywhere
    is_cloud_operator: bool
    address: str
    user_id: uuid.UUID | None = None  # the person, where it is one
    key_id: uuid.UUID | None = None  # the API key that was shown, where one was

    @property
    def account_id(self) -> uuid.UUID:
        """The account acted for."""
        return self.account.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request shows of who sends it. A face that knows another way to sign in adds a field here."""

    peer_uid: int | None = None  # at the other end of the unix socket (SO_PEERCRED); None: not that way
    bearer: str | None = None  # an API key; wins over the peer
    account: str | None = None  # name or id of the account to act for; None: the key's own, or the default one
    address: str = UNIX


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a route asks of who calls it."""

    least: accounts.Role = accounts.Role.VIEWER
    is_operator_only: bool = False  # the cloud operator's alone
    is_open: bool = False  # needs nobody to be signed in
    is_change: bool = False  # goes to the audit log, and is refused where the account is suspended ...
    is_always_allowed: bool = False  # ... but for this: giving up access


def check(rule: Rule, actor: Actor) -> None:
    """Raises: errors.CloudOperatorOnly, errors.RoleDenied, errors.AccountSuspended.

    Looks at the actor alone, never at the thing that is asked for: so what is refused here tells nothing of it.
    """
    if rule.is_open or actor.is_cloud_operator:
        return
    if rule.is_operator_only:
        raise errors.CloudOperatorOnly
    if not actor.role.covers(rule.least):
        raise errors.RoleDenied(needed=rule.least.value, role=actor.role.value, account=actor.account.name)
    if rule.is_change and not rule.is_always_allowed and actor.account.state is accounts.State.SUSPENDED:
        raise errors.AccountSuspended(account=actor.account.name)
