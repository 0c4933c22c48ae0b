"""An OpenID provider for tests, over real HTTP on loopback. It signs, and it is as strict as a good one: it checks client,
secret, redirect URI and PKCE, and takes each code once. What it issues can be bent, for clients that must notice.

Signatures are made with `cryptography` alone, not by the library that verifies them.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import http.server
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib import parse

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

CLIENT_ID, CLIENT_SECRET = "estampe", "s3cret: with % and +"


def encode(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _number(value: int, octets: int) -> str:
    return encode(value.to_bytes(octets, "big"))


@dataclass
class Key:
    """A key pair with its id."""

    kid: str
    private: Any

    @property
    def algorithm(self) -> str:
        return "RS256" if isinstance(self.private, rsa.RSAPrivateKey) else "ES256"

    def sign(self, content: bytes) -> bytes:
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(content, padding.PKCS1v15(), hashes.SHA256())
        r, s = utils.decode_dss_signature(self.private.sign(content, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    @property
    def public(self) -> dict[str, str]:
        numbers = self.private.public_key().public_numbers()
        known = {"kid": self.kid, "use": "sig", "alg": self.algorithm}
        if isinstance(self.private, rsa.RSAPrivateKey):
            return {**known, "kty": "RSA", "n": _number(numbers.n, 256), "e": _number(numbers.e, 3)}
        return {**known, "kty": "EC", "crv": "P-256", "x": _number(numbers.x, 32), "y": _number(numbers.y, 32)}

    @property
    def pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


@functools.cache
def rsa_key(kid: str = "first") -> Key:
    return Key(kid, rsa.generate_private_key(65537, 2048))


@functools.cache
def ec_key(kid: str = "second") -> Key:
    return Key(kid, ec.generate_private_key(ec.SECP256R1()))


def token(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    content = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}"
    return f"{content}.{encode(sign(content.encode()))}"


@dataclass
class Grant:
    redirect_uri: str
    nonce: str
    challenge: str


@dataclass
class Provider:
    """What a test reads and bends."""

    redirect_uris: tuple[str, ...] = ("https://console.example/v1/oidc/callback",)
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "s-1", "preferred_username": "Alice"})
    key: Key = field(default_factory=rsa_key)
    published: list[dict[str, Any]] | None = None  # None: the key's public half
    metadata: dict[str, Any] = field(default_factory=dict)
    bend: Callable[[dict[str, Any]], None] | None = None  # changes the claims
    mint: Callable[[dict[str, Any]], str] | None = None  # makes the token in place of us
    token_answer: tuple[int, bytes] | None = None
    delay_seconds: float = 0.0
    fetched: list[str] = field(default_factory=list)
    now: Callable[[], float] = time.time
    grants: dict[str, Grant] = field(default_factory=dict)
    base: str = ""

    @property
    def issuer(self) -> str:
        return self.base

    def document(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer, "authorization_endpoint": f"{self.base}/authorize",
            "token_endpoint": f"{self.base}/token", "jwks_uri": f"{self.base}/jwks",
            "code_challenge_methods_supported": ["S256"], "authorization_response_iss_parameter_supported": True,
            "token_endpoint_auth_methods_supported": ["client_secret_basic"], **self.metadata,
        }  # fmt: skip

    def keys(self) -> dict[str, Any]:
        return {"keys": [self.key.public] if self.published is None else self.published}

    def authorize(self, query: dict[str, str]) -> tuple[int, str]:
        """Status, and where to; the person is asked nothing. What is wrong with the client is not sent to its URI."""
        uri = query.get("redirect_uri", "")
        if query.get("client_id") != CLIENT_ID or not self._is_registered(uri):
            return 400, "unknown client or redirect URI"
        wanted = {"response_type": "code", "code_challenge_method": "S256"}
        if (
            any(query.get(name) != value for name, value in wanted.items())
            or len(query.get("code_challenge", "")) != 43
        ):
            return 400, "no PKCE"
        if "openid" not in query["scope"].split() or not query["state"] or not query["nonce"]:
            return 400, "no OpenID"
        code = secrets.token_urlsafe(24)
        self.grants[code] = Grant(uri, query["nonce"], query["code_challenge"])
        return 302, f"{uri}?{parse.urlencode({'code': code, 'state': query['state'], 'iss': self.issuer})}"

    def _is_registered(self, uri: str) -> bool:
        """Exactly; for native applications whatever the port is (RFC 8252, section 7.3)."""
        parts = parse.urlsplit(uri)
        is_native = parts.scheme == "http" and parts.hostname == "127.0.0.1" and parts.path == "/callback"
        return uri in self.redirect_uris or is_native

    def redeem(self, form: dict[str, str], authorization: str) -> tuple[int, bytes]:
        if self.token_answer is not None:
            return self.token_answer
        secret = f"{parse.quote_plus(CLIENT_ID)}:{parse.quote_plus(CLIENT_SECRET)}"
        if authorization != f"Basic {base64.b64encode(secret.encode()).decode()}":
            return 401, b'{"error": "invalid_client"}'
        grant = self.grants.pop(form.get("code", ""), None)
        challenge = encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if grant is None or grant.redirect_uri != form.get("redirect_uri") or grant.challenge != challenge:
            return 400, b'{"error": "invalid_grant"}'
        return 200, json.dumps(
            {"access_token": "opaque", "token_type": "Bearer", "id_token": self.issue(grant)}
        ).encode()

    def issue(self, grant: Grant) -> str:
        at = int(self.now())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": at, "exp": at + 300, "nonce": grant.nonce, **self.person}
        if self.bend is not None:
            self.bend(claims)
        if self.mint is not None:
            return self.mint(claims)
        return token({"alg": self.key.algorithm, "kid": self.key.kid, "typ": "JWT"}, claims, self.key.sign)


class _Handler(http.server.BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.provider.fetched.append(path)
        time.sleep(self.provider.delay_seconds)
        if path == "/.well-known/openid-configuration":
            self._answer(200, json.dumps(self.provider.document()).encode())
        elif path == "/jwks":
            self._answer(200, json.dumps(self.provider.keys()).encode())
        elif path == "/authorize":
            status, target = self.provider.authorize(dict(parse.parse_qsl(query)))
            self._answer(status, target.encode(), {"location": target} if status == 302 else {})
        else:
            self._answer(404, b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.provider.fetched.append(self.path)
        self._answer(*self.provider.redeem(dict(parse.parse_qsl(body)), self.headers.get("authorization", "")))

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # of who gave up waiting
            self.send_response(status)
            for name, value in {
                "content-type": "application/json",
                "content-length": str(len(body)),
                **(headers or {}),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def running(**options: Any) -> Iterator[Provider]:
    """A provider that answers while this lasts."""
    provider = Provider(**options)
    handler = type("Handler", (_Handler,), {"provider": provider})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    provider.base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
