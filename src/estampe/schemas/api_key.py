"""API keys, signing in, and who one is."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated

import pydantic

from estampe.model import account as model
from estampe.schemas import account as accounts
from estampe.schemas import wire

KeyName = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9 ._@+-]{0,62}[A-Za-z0-9])?$")]


class CreateApiKeyRequest(wire.Request):
    """A key to make. Without a role it has its maker's; without a time it does not expire."""

    name: KeyName
    role: wire.Role | None = None
    expires_at: wire.Time | None = None
    is_cloud_operator: bool = False


class ApiKey(wire.Answer):
    """A key in a list. The key itself is not kept."""

    id: uuid.UUID
    name: str
    role: model.Role
    is_cloud_operator: bool
    is_sign_in: bool
    created_by: str
    created_at: datetime.datetime
    expires_at: datetime.datetime | None
    revoked_at: datetime.datetime | None
    last_used_at: datetime.datetime | None


class ApiKeyList(wire.Answer):
    """Keys, the newest first: all of the account for its owners, for others their own."""

    api_keys: list[ApiKey]


class NewApiKey(wire.Answer):
    """A key that was just made. `key` is shown this once."""

    api_key: ApiKey
    key: str


class SignInRequest(wire.Request):
    """A name and a password; and the account to act for, where the person is a member of several."""

    name: accounts.UserName
    password: accounts.Password
    account: accounts.Reference | None = None


class Identity(wire.Answer):
    """Who asks, and for which account."""

    name: str
    account: accounts.Account
    role: model.Role
    is_cloud_operator: bool
    address: str


class SignedIn(wire.Answer):
    """Who signed in, and the key that stands for it until it expires."""

    actor: Identity
    new: NewApiKey
