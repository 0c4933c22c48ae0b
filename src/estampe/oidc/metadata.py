"""What a provider says of itself (OpenID Connect Discovery 1.0, section 3), as far as we use it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib import parse

from estampe import errors

_PATH: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """A provider's places and ways."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    takes_basic: bool  # the client's secret in a header, as is usual; else in the form
    names_issuer: bool  # in each answer (RFC 9207): one that does not is not the provider's


def document_url(issuer: str) -> str:
    """Where the document is (section 4)."""
    return issuer.rstrip("/") + _PATH


def read(document: Mapping[str, Any], issuer: str) -> Metadata:
    """What the document says. Raises: errors.OidcUnavailable where it is another issuer's, or lacks what we need."""
    if document.get("issuer") != issuer:  # section 4.3: exactly; else one provider could speak for another
        raise errors.OidcUnavailable(issuer=issuer, detail="its discovery document names another issuer")
    methods = document.get("code_challenge_methods_supported")
    if isinstance(methods, list) and "S256" not in methods:
        raise errors.OidcUnavailable(issuer=issuer, detail="it does not support PKCE with S256")
    ways = document.get("token_endpoint_auth_methods_supported")
    return Metadata(
        authorization_endpoint=_url(document, "authorization_endpoint", issuer),
        token_endpoint=_url(document, "token_endpoint", issuer),
        jwks_uri=_url(document, "jwks_uri", issuer),
        takes_basic=not isinstance(ways, list) or "client_secret_basic" in ways,
        names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def is_safe_url(url: str) -> bool:
    """Whether nobody between here and there can read or change what is sent: HTTPS, or this host itself."""
    try:
        parts = parse.urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url(document: Mapping[str, Any], name: str, issuer: str) -> str:
    found = document.get(name)
    if not isinstance(found, str) or not is_safe_url(found):
        raise errors.OidcUnavailable(issuer=issuer, detail=f"its discovery document has no usable {name}")
    return found
