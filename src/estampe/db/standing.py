"""For whom it speaks what a request carries, an API key or a session: the account and the person, as they are by now."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from estampe.db import schema
from estampe.model import account as accounts

_accounts = schema.accounts
_users = schema.users
_members = schema.memberships


def joined(carried: sa.Table) -> sa.Select[Any]:
    """The rows of that table, each with its account, its person where there is one, and the person's role in the account."""
    is_member = sa.and_(_members.c.user_id == carried.c.user_id, _members.c.account_id == carried.c.account_id)
    return (
        sa.select(
            carried,
            _accounts.c.name.label("account_name"),
            _accounts.c.state.label("account_state"),
            _accounts.c.created_at.label("account_created_at"),
            _users.c.name.label("user"),
            _users.c.is_cloud_operator.label("is_user_operator"),
            _members.c.role.label("user_role"),
        )
        .join(_accounts, _accounts.c.id == carried.c.account_id)
        .outerjoin(_users, _users.c.id == carried.c.user_id)
        .outerjoin(_members, is_member)
    )


def account(row: Any) -> accounts.Account:
    """Of a row of `joined`."""
    return accounts.Account(
        id=row.account_id, name=row.account_name, state=accounts.State(row.account_state),
        created_at=row.account_created_at,
    )  # fmt: skip


def role(row: Any) -> accounts.Role | None:
    """Of a row of `joined`; None: no person, or no member of the account."""
    return None if row.user_role is None else accounts.Role(row.user_role)
