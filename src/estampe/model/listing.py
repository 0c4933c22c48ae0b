"""Lists in pages: what is asked for, and one page of it.

A page ends with a cursor, which says behind which item the next one begins: by the values that the list is sorted by, not
by a count, so that pages neither repeat nor skip anything because something came or went in between. Callers hand it back
as it is.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import enum
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from estampe import errors
from estampe.model import account, audit, operation, power, session, template, visibility

_Item = TypeVar("_Item")
DEFAULT_LIMIT: Final = 50
MAX_CURSOR_CHARACTERS: Final = 512


class TemplateSort(enum.StrEnum):
    """Orders of templates; `-` is descending. Within a name, the newest version comes first."""

    NAME = "name"
    NAME_DESCENDING = "-name"
    CREATED = "created"
    CREATED_DESCENDING = "-created"
    SIZE = "size"
    SIZE_DESCENDING = "-size"


class OperationSort(enum.StrEnum):
    """Orders of operations."""

    CREATED = "created"
    CREATED_DESCENDING = "-created"


class AccountSort(enum.StrEnum):
    """Orders of accounts."""

    NAME = "name"
    NAME_DESCENDING = "-name"
    CREATED = "created"
    CREATED_DESCENDING = "-created"


class NameSort(enum.StrEnum):
    """Orders of users and members."""

    NAME = "name"
    NAME_DESCENDING = "-name"


class ApiKeySort(enum.StrEnum):
    """Orders of API keys."""

    CREATED = "created"
    CREATED_DESCENDING = "-created"
    NAME = "name"
    NAME_DESCENDING = "-name"


class SessionSort(enum.StrEnum):
    """Orders of browsers' sessions."""

    CREATED = "created"
    CREATED_DESCENDING = "-created"
    USER = "user"
    USER_DESCENDING = "-user"


class AuditSort(enum.StrEnum):
    """Orders of the audit log."""

    AT = "at"
    AT_DESCENDING = "-at"


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateQuery:
    """Which templates; a filter that is None or empty takes all. In a glob `*` is any run of characters, `?` any one."""

    name_glob: str | None = None
    tag: str | None = None
    states: tuple[template.State, ...] = ()
    is_sealed: bool | None = None
    guest_glob: str | None = None  # of the guest's product, letter case aside
    is_trashed: bool = False  # those in the trash; without it and without `states`, those that are not
    scopes: tuple[visibility.Scope, ...] = (visibility.Scope.MINE,)
    is_hidden: bool = False  # of others' templates those that the account has hidden; without it, those that it has not
    sort: TemplateSort = TemplateSort.NAME
    limit: int = DEFAULT_LIMIT
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationQuery:
    """Which operations; a filter that is None or empty takes all."""

    states: tuple[operation.State, ...] = ()
    kind: operation.Kind | None = None
    hidden_kinds: tuple[operation.Kind, ...] = ()  # never these, whatever `kind` is
    subject_glob: str | None = None
    since: datetime.datetime | None = None  # created then or later
    sort: OperationSort = OperationSort.CREATED_DESCENDING
    limit: int = DEFAULT_LIMIT
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerQuery:
    """Which servers, by name; a filter that is None or empty takes all."""

    name_glob: str | None = None
    power_states: tuple[power.PowerState, ...] = ()
    limit: int = DEFAULT_LIMIT
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountQuery:
    """Which accounts; a filter that is None or empty takes all."""

    only_id: uuid.UUID | None = None
    name_glob: str | None = None
    states: tuple[account.State, ...] = ()
    sort: AccountSort = AccountSort.NAME
    limit: int = DEFAULT_LIMIT
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserQuery:
    """Which users; a filter that is None takes all."""

    name_glob: str | None = None
    is_cloud_operator: bool | None = None
    sort: NameSort = NameSort.NAME
    limit: int = DEFAULT_LIMIT
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberQuery:
    """Which members of an account, by the user's name; a filter that is None or empty takes all."""

    name_glob: str | None = None
    roles: tuple[account.Role, ...] = ()
    sort: NameSort = NameSort.NAME
    limit: int = DEFAULT_LIMIT
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyQuery:
    """Which API keys; a filter that is None takes all."""

    name_glob: str | None = None
    is_live: bool | None = None  # neither revoked nor expired
    sort: ApiKeySort = ApiKeySort.CREATED_DESCENDING
    limit: int = DEFAULT_LIMIT
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionQuery:
    """Which sessions; a filter that is None takes all."""

    user_glob: str | None = None
    method: session.Method | None = None
    sort: SessionSort = SessionSort.CREATED_DESCENDING
    limit: int = DEFAULT_LIMIT
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which entries of the audit log; a filter that is None takes all."""

    account_id: uuid.UUID | None = None
    actor: str | None = None  # a person stands also for keys of theirs
    action: str | None = None
    subject_glob: str | None = None
    outcome: audit.Outcome | None = None
    since: datetime.datetime | None = None  # then or later
    until: datetime.datetime | None = None  # before then
    sort: AuditSort = AuditSort.AT_DESCENDING
    limit: int = DEFAULT_LIMIT
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[_Item]):
    """Some items of a list in its order; `next` is the cursor of the page behind it, None on the last."""

    items: Sequence[_Item]
    next: str | None = None


def cursor(sort: str, *position: Any) -> str:
    """The cursor behind the item with these values of the sort's keys."""
    text = json.dumps([sort, *position], ensure_ascii=True, separators=(",", ":"), default=_plain)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime.datetime) else str(value)


def position(text: str, sort: str, length: int) -> list[Any]:
    """The `length` values that `cursor` was given for `sort`. Raises: errors.InvalidRequest."""
    try:
        found = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise bad_cursor() from error
    if not isinstance(found, list) or len(found) != length + 1 or found[0] != sort:
        raise bad_cursor()
    return found[1:]


def bad_cursor() -> errors.InvalidRequest:
    """The error for a cursor that no page of such a list ended with."""
    return errors.InvalidRequest(
        field="after", problem="must be `next` of a page that was asked for with the same sort"
    )
