"""What is installed and set in a guest: a list that may be long, so a blob of the store and not a part of the manifest.

Never the content of a file, and no password hash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from estampe import units
from estampe.model import record

VERSION: Final = 1
MOST_BYTES: Final = 64 * units.MIB  # of an encoded one: the bounds below, with the longest names, come to 20 MiB
# A stranger's lists; Debian's whole archive has 65 000 packages, a server 300 to 3000. What is more is left out, and told.
MOST_PACKAGES: Final = 20_000
MOST_USERS: Final = 10_000
MOST_SERVICES: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed package, or a program that Windows lists."""

    name: str
    version: str
    architecture: str


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One account of /etc/passwd."""

    name: str
    uid: int
    shell: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Sorted lists, each name plain text."""

    packages: tuple[Package, ...]
    users: tuple[User, ...]
    services: tuple[str, ...]  # enabled: ssh.service, cron, ...
    files: Mapping[str, str]  # under /etc, after sealing: path -> SHA-256 of the content, or of a link's target
    cut: tuple[str, ...] = ()  # names of the lists that are not whole
    version: int = VERSION


def encode(inventory: Inventory) -> bytes:
    """Canonical JSON: equal inventories are equal bytes, so that the next capture of the same server adds nothing."""
    text = json.dumps(record.dump(inventory), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="replace")


def decode(data: bytes) -> Inventory:
    """What `encode` made, of this version or an earlier one; a later one may have more to say. Raises: ValueError."""
    return record.load(Inventory, json.loads(data))
