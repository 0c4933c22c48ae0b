"""Whether an ID token is to be believed (OpenID Connect Core 1.0, section 3.1.3.7)."""

from __future__ import annotations

import datetime
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import errors as jose_errors
from joserfc import jws, jwt

from estampe import errors
from estampe.oidc import key_set

# Signatures by private keys alone: with `none` or an HMAC, whoever has the public key could make a token.
ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
_LEEWAY_SECONDS: Final = 60  # between the two hosts' clocks
_MOST_AGE_SECONDS: Final = 600  # as long as an attempt may take: an older token is not the answer to it
_MOST_SUBJECT_CHARACTERS: Final = 255  # section 2
# Header fields that are not known are passed over (RFC 7515, section 4), critical ones are not.
_REGISTRY: Final = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validator:
    """Validates tokens that one provider issued for one client."""

    issuer: str
    client_id: str
    keys: key_set.KeySet
    now: Callable[[], datetime.datetime]

    def validate(self, text: str, *, nonce: str) -> Mapping[str, Any]:
        """The token's claims. Raises: errors.OidcAnswerRefused, errors.OidcUnavailable (its keys)."""
        claims = self._verified(text)
        self._check_times(claims)
        if not self._is_for_us(claims):
            raise _refused("its ID token is for another client")
        shown = claims.get("nonce")
        if not isinstance(shown, str) or not hmac.compare_digest(shown.encode(), nonce.encode()):
            raise _refused("its ID token answers another attempt")
        subject = claims.get("sub")
        if (
            not isinstance(subject, str)
            or not 0 < len(subject) <= _MOST_SUBJECT_CHARACTERS
            or not subject.isprintable()
        ):
            raise _refused("its ID token names no person")
        return claims

    def _verified(self, text: str) -> dict[str, Any]:
        """The claims of a token that one of the keys has signed."""
        for key in self.keys.find(_key_id(text)):
            try:
                return jwt.decode(text, key, algorithms=ALGORITHMS, registry=_REGISTRY).claims
            except (jose_errors.JoseError, ValueError, TypeError):
                continue
        raise _refused("its ID token has no valid signature")

    def _check_times(self, claims: dict[str, Any]) -> None:
        now = int(self.now().timestamp())
        registry = jwt.JWTClaimsRegistry(
            now=now, leeway=_LEEWAY_SECONDS, iss={"essential": True, "value": self.issuer}, sub={"essential": True},
            aud={"essential": True}, exp={"essential": True}, iat={"essential": True},
        )  # fmt: skip
        try:
            registry.validate(claims)
        except jose_errors.ExpiredTokenError as error:
            raise _refused("its ID token has expired; do both hosts' clocks go right?") from error
        except jose_errors.InvalidClaimError as error:
            raise _refused(f"the claim {error.claim} of its ID token is not as it must be") from error
        except jose_errors.JoseError as error:
            raise _refused("its ID token lacks a claim") from error
        if claims["iat"] < now - _LEEWAY_SECONDS - _MOST_AGE_SECONDS:
            raise _refused("its ID token is too old; do both hosts' clocks go right?")

    def _is_for_us(self, claims: Mapping[str, Any]) -> bool:
        """Steps 3 to 5: we are meant, and where others are, too, it was issued to us."""
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        party = claims.get("azp")
        if self.client_id not in audience or party not in {None, self.client_id}:
            return False
        return len(audience) == 1 or party is not None


def _key_id(text: str) -> str | None:
    """Of the token's header, which is not verified yet: it only says which key to try."""
    try:
        found = jws.extract_compact(text.encode(), registry=_REGISTRY).headers().get("kid")
    except (jose_errors.JoseError, ValueError, TypeError) as error:
        raise _refused("its ID token is none") from error
    return found if isinstance(found, str) else None


def _refused(problem: str) -> errors.OidcAnswerRefused:
    return errors.OidcAnswerRefused(problem=problem)
