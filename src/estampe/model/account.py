"""Accounts: who owns templates, servers and operations."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

# The one account of an installation that has not made others; a fixed version-4 UUID, so that manifests written before
# accounts exist name the same owner everywhere.
DEFAULT_ACCOUNT_ID: Final = uuid.UUID("e57a3be0-0000-4000-8000-000000000001")
DEFAULT_ACCOUNT_NAME: Final = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An owner."""

    id: uuid.UUID
    name: str
