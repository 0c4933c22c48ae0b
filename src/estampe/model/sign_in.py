"""How often one may fail to sign in, over a window of time.

    failure ──▶ count + 1 ──▶ at the limit: locked until now + lock ──▶ counts from zero again

    password  a name from one address   10   guessing from one place
              a name, all addresses     30   guessing from many places; not for places the person has signed in from
              an address, all names     30   trying many names
    OpenID    a person                  10   whom the provider knows and we refuse
              an address                30   answers that belong to no attempt, or are not the provider's
              beginnings, an address    60   each leaves a row

Attempts are counted **before** the password is looked at, and taken back when it was right: guesses that arrive at once
cannot overtake the count.

A lock must not become a weapon. From one address nobody can lock a name for others; who guesses from several locks it for
strangers only: places from which the person signed in during the last 30 days have counts of their own. The methods do
not share counts either, and API keys and open sessions are never locked.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`limit` failures within the window lock for `lock`."""

    limit: int
    window: datetime.timedelta
    lock: datetime.timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The failures of one name or address."""

    key: str
    failures: int
    since: datetime.datetime
    locked_until: datetime.datetime | None


_QUARTER: Final = datetime.timedelta(minutes=15)
PLACE_LIFE: Final = datetime.timedelta(days=30)
# A name: 2880 guesses a day at most, against passwords of 12 characters and more. An address: several people may sit
# behind one, and each mistypes now and then.
_POLICIES: Final = {
    "pair": Policy(limit=10, window=_QUARTER, lock=_QUARTER),
    "name": Policy(limit=30, window=_QUARTER, lock=_QUARTER),
    "address": Policy(limit=30, window=_QUARTER, lock=_QUARTER),
    "person": Policy(limit=10, window=_QUARTER, lock=_QUARTER),
    "answers": Policy(limit=30, window=_QUARTER, lock=_QUARTER),
    "begun": Policy(limit=60, window=_QUARTER, lock=_QUARTER),
}
LONGEST_WINDOW: Final = max(policy.window for policy in _POLICIES.values())


def policy_of(key: str) -> Policy:
    """By what is counted."""
    return _POLICIES[key.partition(":")[0]]


def password_keys(name: str, address: str, *, is_known_place: bool) -> tuple[str, ...]:
    """What an attempt by password is counted under."""
    place = network(address)
    own = (f"pair:{name}@{place}", f"address:{place}")
    return own if is_known_place else (*own, f"name:{name}")


def answer_keys(address: str) -> tuple[str, ...]:
    """What a provider's answer is counted under, before it is known whose it is."""
    return (f"answers:{network(address)}",)


def person_keys(issuer: str, subject: str) -> tuple[str, ...]:
    """What a person whom a provider knows is counted under: nobody else can come by that name."""
    return (f"person:{subject}@{issuer}",)


def begin_keys(address: str) -> tuple[str, ...]:
    """What the beginning of a detour to a provider is counted under."""
    return (f"begun:{network(address)}",)


def network(address: str) -> str:
    """The place that an address stands for. One IPv6 customer has a whole /64: it counts as one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def locked_seconds(count: Count | None, now: datetime.datetime) -> int:
    """How long still, rounded up; 0: not locked."""
    if count is None or count.locked_until is None or count.locked_until <= now:
        return 0
    return int((count.locked_until - now).total_seconds()) + 1


def counted(count: Count | None, key: str, now: datetime.datetime) -> Count:
    """With one more attempt."""
    policy = policy_of(key)
    if count is None or now - count.since >= policy.window or count.locked_until is not None:
        count = Count(key=key, failures=0, since=now, locked_until=None)
    failures = count.failures + 1
    return replace(count, failures=failures, locked_until=now + policy.lock if failures >= policy.limit else None)


def taken_back(count: Count) -> Count:
    """With one attempt less: it was right."""
    return replace(count, failures=max(0, count.failures - 1), locked_until=None)
