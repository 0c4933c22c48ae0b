"""Passwords, hashed with argon2id; the only user of argon2."""

from __future__ import annotations

import base64

import argon2
from argon2 import exceptions


class Passwords:
    """Hashes and verifies. A hash says its own parameters: raising them leaves old hashes valid.

    The defaults are those of RFC 9106 for little memory (64 MiB, three passes): about 0.1 s of CPU. So callers bound how
    many run at once.
    """

    def __init__(self, *, passes: int = 3, memory_kib: int = 64 * 1024, lanes: int = 4) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes)
        # Well-formed, of no password: verifying against it costs what verifying costs.
        self._nobodys = f"$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${_base64(bytes(16))}${_base64(bytes(32))}"

    def hash(self, password: str) -> str:
        """As it is kept."""
        return self._hasher.hash(password)

    def verify(self, kept: str | None, password: str) -> bool:
        """Whether `kept` is its hash. None (nobody by that name, or no password) takes as long as a wrong one."""
        try:
            self._hasher.verify(kept or self._nobodys, password)
        except (exceptions.VerificationError, exceptions.InvalidHashError):
            return False
        return kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Whether it should be hashed anew, with these parameters."""
        return self._hasher.check_needs_rehash(kept)


def _base64(data: bytes) -> str:
    """As the reference implementation writes it: without padding."""
    return base64.b64encode(data).decode().rstrip("=")
