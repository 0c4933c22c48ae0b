"""How often one may fail to sign in: per name, and per address, over a window of time.

    failure ──▶ count + 1 ──▶ at the limit: locked until now + lock ──▶ counts from zero again

Attempts are counted **before** the password is looked at, and taken back when it was right: guesses that arrive at once
cannot overtake the count.
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
# A name: 960 guesses a day at most, against passwords of 12 characters and more. An address: several people may sit
# behind one, and each mistypes now and then.
NAME_POLICY: Final = Policy(limit=10, window=_QUARTER, lock=_QUARTER)
ADDRESS_POLICY: Final = Policy(limit=30, window=_QUARTER, lock=_QUARTER)
LONGEST_WINDOW: Final = max(NAME_POLICY.window, ADDRESS_POLICY.window)


def policy_of(key: str) -> Policy:
    """By what is counted."""
    return NAME_POLICY if key.startswith("name:") else ADDRESS_POLICY


def keys(name: str, address: str) -> tuple[str, str]:
    """What an attempt is counted under. One IPv6 customer has a whole /64: it counts as one address."""
    return f"name:{name}", f"address:{_network(address)}"


def _network(address: str) -> str:
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
