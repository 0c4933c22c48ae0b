"""Sessions of browsers."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated

import pydantic

from estampe.model import account as roles
from estampe.model import listing
from estampe.model import session as model
from estampe.schemas import account as accounts
from estampe.schemas import api_key, wire


class Session(wire.Answer):
    """A browser in which somebody is signed in. What lets it in is not kept."""

    id: uuid.UUID
    user: str
    method: model.Method
    address: str
    agent: str
    created_at: datetime.datetime
    last_seen_at: datetime.datetime
    expires_at: datetime.datetime


class SessionQuery(wire.Query):
    """Which sessions to list, and in what order."""

    user: wire.Glob | None = None
    method: model.Method | None = None
    sort: Annotated[listing.SessionSort, pydantic.Field(description="`-` is descending")] = (
        listing.SessionSort.CREATED_DESCENDING
    )
    limit: wire.Limit = listing.DEFAULT_LIMIT
    after: wire.Cursor | None = None

    def to_domain(self) -> listing.SessionQuery:
        """As the service takes it."""
        return listing.SessionQuery(
            user_glob=self.user, method=self.method, sort=self.sort, limit=self.limit, after=self.after
        )


class SessionList(wire.Answer):
    """One page: all live sessions of the account for its owners, for others their own. `next` goes back as `after`."""

    sessions: list[Session]
    next: str | None


class SwitchRequest(wire.Request):
    """The account to act for from now on: its name or id."""

    account: accounts.Reference


class Membership(wire.Answer):
    """An account that a person may act for, and in which role."""

    account: accounts.Account
    role: roles.Role


class MembershipList(wire.Answer):
    """All accounts that the person who asks is a member of, by name."""

    memberships: list[Membership]


class SignInWays(wire.Answer):
    """How a browser can sign in here: always with a password, at an OpenID provider where one is set up."""

    has_oidc: bool


class CurrentSession(wire.Answer):
    """Who asks. `session` and `csrf_token` only where a session says so, not an API key or the unix socket."""

    actor: api_key.Identity
    session: Session | None
    csrf_token: str | None
