"""Accounts, quotas, members and users."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated

import pydantic

from estampe.model import account
from estampe.schemas import wire

# ASCII patterns: what cannot be a name ends here, and every database can be asked for what is left.
Reference = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9-]{1,63}$")]
UserName = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9]([a-z0-9._@+-]{0,126}[a-z0-9])?$")]
AccountName = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Password = Annotated[
    str, pydantic.StringConstraints(min_length=1, max_length=account.MOST_PASSWORD_CHARACTERS),
    pydantic.AfterValidator(wire.check_encodable),
]  # fmt: skip
Count = Annotated[int, pydantic.Field(ge=0, le=1_000_000)]
Limit = Annotated[int, pydantic.Field(ge=0, le=wire.MAX_BYTES)]


class CreateAccountRequest(wire.Request):
    """The new account's name."""

    name: AccountName


class Account(wire.Answer):
    """An account."""

    id: uuid.UUID
    name: str
    state: account.State
    created_at: datetime.datetime


class AccountList(wire.Answer):
    """Accounts, by name: all for the cloud operator, for others their own."""

    accounts: list[Account]


class QuotaRequest(wire.Request):
    """Limits to change: what is missing stays, null lifts the limit. `stored_bytes` are those its captures added."""

    templates: Count | None = None
    stored_bytes: Limit | None = None
    servers: Count | None = None
    cpus: Count | None = None
    memory_bytes: Limit | None = None
    volume_bytes: Limit | None = None

    def as_sent(self) -> str:
        """Only what was named: null lifts a limit."""
        return self.model_dump_json(exclude_unset=True)

    def changes(self) -> dict[str, int | None]:
        """Those that were named."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Limits(wire.Answer):
    """The most that an account may have; null: no limit."""

    templates: int | None
    stored_bytes: int | None
    servers: int | None
    cpus: int | None
    memory_bytes: int | None
    volume_bytes: int | None


class Amount(wire.Answer):
    """What an account has, with what its running operations will add."""

    templates: int
    stored_bytes: int
    servers: int
    cpus: int
    memory_bytes: int
    volume_bytes: int


class Quota(wire.Answer):
    """An account's limits, and what it uses of them."""

    account: Account
    limits: Limits
    used: Amount


class AddMemberRequest(wire.Request):
    """Who becomes a member, and with which role."""

    user: UserName
    role: wire.Role


class EditMemberRequest(wire.Request):
    """The member's role from now on."""

    role: wire.Role


class Member(wire.Answer):
    """A user's role in an account."""

    user: str
    role: account.Role


class MemberList(wire.Answer):
    """The account's members, by name."""

    members: list[Member]


class CreateUserRequest(wire.Request):
    """A person who may sign in; without a password not by one."""

    name: UserName
    password: Password | None = None
    is_cloud_operator: bool = False


class PasswordRequest(wire.Request):
    """A new password; `current` is the one until now, which only the cloud operator need not know."""

    password: Password
    current: Password | None = None


class User(wire.Answer):
    """A person."""

    id: uuid.UUID
    name: str
    is_cloud_operator: bool
    has_password: bool
    created_at: datetime.datetime


class UserList(wire.Answer):
    """All users, by name."""

    users: list[User]
