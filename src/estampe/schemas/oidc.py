"""Signing in at an OpenID provider."""

from __future__ import annotations

from typing import Annotated

import pydantic

from estampe.schemas import account as accounts
from estampe.schemas import wire

# Ours are 43 characters of base64url; what cannot be one ends here.
_Secret = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9_-]{43,128}$")]
_Code = Annotated[str, pydantic.StringConstraints(pattern=r"^[ -~]{1,4096}$")]  # RFC 6749, appendix A.11
_Error = Annotated[str, pydantic.StringConstraints(pattern=r"^[ -~]{1,256}$")]  # appendix A.7
_Issuer = Annotated[str, pydantic.StringConstraints(pattern=r"^[!-~]{1,2048}$")]
Subject = Annotated[
    str, pydantic.StringConstraints(pattern=r"^[!-~]([ -~]{0,253}[!-~])?$")
]  # OpenID Connect Core, section 2


class StartQuery(wire.Query):
    """Where to go afterwards, and the account to act for, where the person is a member of several."""

    next: str = pydantic.Field("/", max_length=1024, description="a path on this host")
    account: accounts.Reference | None = pydantic.Field(None, description="name or id")


class CallbackQuery(pydantic.BaseModel):
    """What the provider has to say. Providers add fields of their own: those are passed over."""

    model_config = pydantic.ConfigDict(frozen=True)

    state: _Secret
    code: _Code | None = None
    error: _Error | None = None
    iss: _Issuer | None = None


class CommandRequest(wire.Request):
    """A command that wants somebody signed in: where it listens on 127.0.0.1, and a secret that it shows again later."""

    port: Annotated[int, pydantic.Field(ge=1, le=65535)]
    binding: _Secret
    account: accounts.Reference | None = None


class Departure(wire.Answer):
    """The address to open in a browser, and the `state` that the answer will bear."""

    url: str
    state: str


class RedeemRequest(wire.Request):
    """The provider's answer as it came to the command, and the secret that it began with."""

    state: _Secret
    binding: _Secret
    code: _Code | None = None
    error: _Error | None = None
    issuer: _Issuer | None = None


class LinkRequest(wire.Request):
    """Who the user is at the OpenID provider: the claim `sub` of the person's ID tokens."""

    subject: Subject
