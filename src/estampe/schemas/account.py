"""Accounts, quotas, members and users."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated

import pydantic

from estampe.model import account, listing
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


class AccountQuery(wire.Query):
    """Which accounts to list, and in what order."""

    name: wire.Glob | None = None
    state: Annotated[list[account.State], pydantic.Field(max_length=2, description="may be repeated")] = pydantic.Field(
        default_factory=list
    )
    sort: Annotated[listing.AccountSort, pydantic.Field(description="`-` is descending")] = listing.AccountSort.NAME
    limit: wire.Limit = listing.DEFAULT_LIMIT
    after: wire.Cursor | None = None

    def to_domain(self, *, only_id: uuid.UUID | None) -> listing.AccountQuery:
        """As the service takes it; `only_id` is the one that the caller may see, None where it is all."""
        return listing.AccountQuery(
            only_id=only_id,
            name_glob=self.name,
            states=tuple(self.state),
            sort=self.sort,
            limit=self.limit,
            after=self.after,
        )


class AccountList(wire.Answer):
    """One page: all for the cloud operator, for others their own. `next` goes back as `after`, null on the last."""

    accounts: list[Account]
    next: str | None


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


class MemberQuery(wire.Query):
    """Which members to list, and in what order."""

    name: wire.Glob | None = None
    role: Annotated[list[account.Role], pydantic.Field(max_length=3, description="may be repeated")] = pydantic.Field(
        default_factory=list
    )
    sort: Annotated[listing.NameSort, pydantic.Field(description="`-` is descending")] = listing.NameSort.NAME
    limit: wire.Limit = listing.DEFAULT_LIMIT
    after: wire.Cursor | None = None

    def to_domain(self) -> listing.MemberQuery:
        """As the service takes it."""
        return listing.MemberQuery(
            name_glob=self.name, roles=tuple(self.role), sort=self.sort, limit=self.limit, after=self.after
        )


class MemberList(wire.Answer):
    """One page of the account's members; `next` goes back as `after` for the page behind it, null on the last."""

    members: list[Member]
    next: str | None


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


class UserQuery(wire.Query):
    """Which users to list, and in what order."""

    name: wire.Glob | None = None
    is_cloud_operator: bool | None = None
    sort: Annotated[listing.NameSort, pydantic.Field(description="`-` is descending")] = listing.NameSort.NAME
    limit: wire.Limit = listing.DEFAULT_LIMIT
    after: wire.Cursor | None = None

    def to_domain(self) -> listing.UserQuery:
        """As the service takes it."""
        return listing.UserQuery(
            name_glob=self.name,
            is_cloud_operator=self.is_cloud_operator,
            sort=self.sort,
            limit=self.limit,
            after=self.after,
        )


class UserList(wire.Answer):
    """One page of users; `next` goes back as `after` for the page behind it, null on the last."""

    users: list[User]
    next: str | None
