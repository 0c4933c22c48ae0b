"""A provider's public keys: kept, and asked for again when a token names one that is not among them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from joserfc import errors as jose_errors
from joserfc import jwk

from estampe import errors

_KINDS: Final = frozenset({"RSA", "EC", "OKP"})  # never `oct`: a shared secret proves nobody's signature
_LIFE_SECONDS: Final = 3600.0  # a key that was withdrawn is believed so long
# Tokens with made-up key ids would else make us ask the provider each time.
_LEAST_BETWEEN_SECONDS: Final = 30.0


class KeySet:
    """The keys as `fetch` brings them. Threads may share it."""

    def __init__(self, issuer: str, fetch: Callable[[], Mapping[str, Any]], clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: list[jwk.Key] = []
        self._fetched_at: float | None = None

    def find(self, kid: str | None) -> list[jwk.Key]:
        """Keys that may have signed: those of that id; all of them where the token names none.

        Raises: errors.OidcUnavailable.
        """
        with self._lock:
            age = None if self._fetched_at is None else self._clock() - self._fetched_at
            is_missing = not self._fitting(kid)
            if age is None or age >= _LIFE_SECONDS or (is_missing and age >= _LEAST_BETWEEN_SECONDS):
                self._renew()
            return self._fitting(kid)

    def _fitting(self, kid: str | None) -> list[jwk.Key]:
        return [key for key in self._keys if kid is None or key.kid == kid]

    def _renew(self) -> None:
        listed = self._fetch().get("keys")
        if not isinstance(listed, list):
            raise errors.OidcUnavailable(issuer=self._issuer, detail="its key set is none")
        self._keys = [key for each in listed if (key := _import(each)) is not None]
        self._fetched_at = self._clock()


def _import(described: Any) -> jwk.Key | None:
    """A key for signatures; None: something else, which RFC 7517, section 5, has us ignore."""
    if not isinstance(described, dict) or described.get("kty") not in _KINDS:
        return None
    if described.get("use", "sig") != "sig":
        return None
    try:
        return jwk.import_key({name: value for name, value in described.items() if name != "key_ops"})
    except (jose_errors.JoseError, ValueError, TypeError, KeyError):
        return None
