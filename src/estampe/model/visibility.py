"""Who else may see a template: nobody, accounts that it is shared with, or everybody; and by which name they call it."""

from __future__ import annotations

import datetime
import enum
import uuid
from dataclasses import dataclass

from estampe.model import account


class Visibility(enum.StrEnum):
    """Who may see a template besides its owner. A public one is public, whoever it is shared with as well."""

    PRIVATE = "private"
    SHARED = "shared"
    PUBLIC = "public"


class Scope(enum.StrEnum):
    """Why an account sees a template, the nearest reason first: its own, shared with it, or public."""

    MINE = "mine"
    SHARED = "shared"
    PUBLIC = "public"


class Right(enum.StrEnum):
    """What others may do with a template. It binds what Estampe does for them, not what runs inside their servers."""

    DEPLOY = "deploy"
    EXPORT = "deploy-and-export"

    def joined(self, other: Right | None) -> Right:
        """The greater of the two: who has a template by two ways may what either allows."""
        return Right.EXPORT if Right.EXPORT in {self, other} else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What whoever shares or publishes a template says of it; `note` is for those who then see it."""

    right: Right = Right.DEPLOY
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Since when a template is public, and on which terms."""

    at: datetime.datetime
    by: str  # who published it, in words; for its owner only
    terms: Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A template shared with one account."""

    template_id: uuid.UUID
    account_id: uuid.UUID
    account: str
    terms: Terms
    expires_at: datetime.datetime | None  # from then on it is as if it had never been shared
    at: datetime.datetime
    by: str  # who shared it, in words; for its owner only

    def is_in_force(self, at: datetime.datetime) -> bool:
        """Whether it still holds then."""
        return self.expires_at is None or at < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """What an account may publish, and whose templates it takes."""

    may_publish: bool  # the cloud operator says so
    is_limited: bool  # only the templates of `publishers` are seen, shared or public; else everybody's
    publishers: tuple[str, ...]  # by name; kept, and without effect, while it is not limited


def publisher_name(account_id: uuid.UUID, name: str) -> str:
    """How an account is called before the names of its templates."""
    return account.CLOUD if account_id == account.DEFAULT_ACCOUNT_ID else name
