"""Servers as Estampe keeps them: an owner and an origin for a libvirt domain."""

from __future__ import annotations

import datetime
import re
import uuid
from dataclasses import dataclass
from typing import Final

from estampe import errors

_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_HOSTNAME: Final = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A row of the servers table; the domain itself is libvirt's."""

    id: uuid.UUID
    owner_id: uuid.UUID
    domain_uuid: uuid.UUID
    name: str
    template_id: uuid.UUID | None  # the template it was deployed from
    created_at: datetime.datetime
    cpus: int = 0  # this and the next two: what quotas count; as of the last look at the host
    memory_bytes: int = 0
    volume_bytes: int | None = None  # None: not looked at yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a server has, for quotas."""

    server_id: uuid.UUID
    cpus: int
    memory_bytes: int
    volume_bytes: int | None


def check_name(name: str) -> str:
    """`name` itself, fit to name a domain. Raises: errors.InvalidName."""
    if not _NAME.fullmatch(name):
        rule = "1 to 63 of letters, digits, '.', '_' and '-', beginning and ending with a letter or digit"
        raise errors.InvalidName(name=name, what="server", rule=rule)
    return name


def check_hostname(name: str) -> str:
    """`name` itself, fit to be a host name (RFC 1123). Raises: errors.InvalidName."""
    if not _HOSTNAME.fullmatch(name):
        rule = "labels of 1 to 63 letters, digits and '-', joined by '.', at most 253 in all"
        raise errors.InvalidName(name=name, what="host", rule=rule)
    return name
