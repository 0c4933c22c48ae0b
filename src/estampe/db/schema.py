"""The tables, in SQL that SQLite and PostgreSQL both speak.

    accounts ──< servers
       ├───────< templates ──< template_tags
       ├───────< operations ─< operation_locks, operation_reservations
       ├───────< memberships >── users
       ├───────< api_keys >── users (or nobody)
       └─────── quotas           sign_in_failures and audit_entries stand alone

Changing a table here asks for a migration in `migrations/versions`; a test compares the two. `templates.server_id` and
`servers.template_id` are facts about the past, not references: what they name may be gone; so is all of `audit_entries`.
"""

from __future__ import annotations

import datetime
from typing import Final

import sqlalchemy as sa


class UtcDateTime(sa.types.TypeDecorator[datetime.datetime]):
    """An aware time, kept in UTC and given back aware: SQLite itself keeps no zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: sa.Dialect) -> datetime.datetime | None:
        """To UTC; the zone is dropped where the database would not keep it."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive time {value}")
        value = value.astimezone(datetime.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime.datetime | None, dialect: sa.Dialect) -> datetime.datetime | None:
        """Aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=datetime.UTC) if dialect.name == "sqlite" else value.astimezone(datetime.UTC)


# Constraints have names from the start: SQLite can only change a table by a copy, and the copy drops what has no name.
metadata: Final = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

accounts: Final = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("state", sa.Text, nullable=False, server_default="active"),
    # Always set. SQLite adds no column that may not be null without a constant default, and copying this table, as
    # Alembic would, breaks every reference to it.
    sa.Column("created_at", UtcDateTime, nullable=True),
)

servers: Final = sa.Table(
    "servers",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("owner_id", sa.Uuid, sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("domain_uuid", sa.Uuid, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("template_id", sa.Uuid, nullable=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("cpus", sa.Integer, nullable=False, server_default="0"),
    sa.Column("memory_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("volume_bytes", sa.BigInteger, nullable=True),
)

templates: Final = sa.Table(
    "templates",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("owner_id", sa.Uuid, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("server_id", sa.Uuid, nullable=True),
    sa.Column("server_name", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("logical_bytes", sa.BigInteger, nullable=True),
    sa.Column("data_bytes", sa.BigInteger, nullable=True),
    sa.Column("new_bytes", sa.BigInteger, nullable=True),
    sa.Column("is_sealed", sa.Boolean, nullable=True),
    sa.Column("guest_product", sa.Text, nullable=True),
    sa.UniqueConstraint("owner_id", "name", "version"),
)

template_tags: Final = sa.Table(
    "template_tags",
    metadata,
    sa.Column("template_id", sa.Uuid, sa.ForeignKey("templates.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag", sa.Text, primary_key=True, index=True),
    sa.Column("position", sa.Integer, nullable=False),
)

operations: Final = sa.Table(
    "operations",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("owner_id", sa.Uuid, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("phase", sa.Text, nullable=False),
    sa.Column("done_bytes", sa.BigInteger, nullable=False),
    sa.Column("total_bytes", sa.BigInteger, nullable=True),
    sa.Column("phase_started_at", UtcDateTime, nullable=True),
    sa.Column("is_cancel_requested", sa.Boolean, nullable=False),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
    sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=True),
    sa.Column("ended_at", UtcDateTime, nullable=True),
    sa.Index(None, "owner_id", "created_at"),
)

operation_locks: Final = sa.Table(
    "operation_locks",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column(
        "operation_id", sa.Uuid, sa.ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True, index=True
    ),
    sa.Column("is_exclusive", sa.Boolean, nullable=False),
)

# What an unfinished operation will add to what its account has: counted with it, as the locks go with it.
operation_reservations: Final = sa.Table(
    "operation_reservations",
    metadata,
    sa.Column("operation_id", sa.Uuid, sa.ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("account_id", sa.Uuid, sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("templates", sa.Integer, nullable=False),
    sa.Column("stored_bytes", sa.BigInteger, nullable=False),
    sa.Column("servers", sa.Integer, nullable=False),
    sa.Column("cpus", sa.Integer, nullable=False),
    sa.Column("memory_bytes", sa.BigInteger, nullable=False),
    sa.Column("volume_bytes", sa.BigInteger, nullable=False),
)

quotas: Final = sa.Table(
    "quotas",
    metadata,
    sa.Column("account_id", sa.Uuid, sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("templates", sa.Integer, nullable=True),
    sa.Column("stored_bytes", sa.BigInteger, nullable=True),
    sa.Column("servers", sa.Integer, nullable=True),
    sa.Column("cpus", sa.Integer, nullable=True),
    sa.Column("memory_bytes", sa.BigInteger, nullable=True),
    sa.Column("volume_bytes", sa.BigInteger, nullable=True),
)

users: Final = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("password_hash", sa.Text, nullable=True),
    sa.Column("is_cloud_operator", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
)

memberships: Final = sa.Table(
    "memberships",
    metadata,
    sa.Column("account_id", sa.Uuid, sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("role", sa.Text, nullable=False),
)

api_keys: Final = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("account_id", sa.Uuid, sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=True, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("is_cloud_operator", sa.Boolean, nullable=False),
    sa.Column("is_sign_in", sa.Boolean, nullable=False),
    sa.Column("secret_digest", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=True),
    sa.Column("revoked_at", UtcDateTime, nullable=True),
    sa.Column("last_used_at", UtcDateTime, nullable=True),
)

sign_in_failures: Final = sa.Table(
    "sign_in_failures",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("since", UtcDateTime, nullable=False, index=True),
    sa.Column("locked_until", UtcDateTime, nullable=True),
)

audit_entries: Final = sa.Table(
    "audit_entries",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
    sa.Column("account_id", sa.Uuid, nullable=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=True),
    sa.Column("request_id", sa.Text, nullable=True),
    sa.Index(None, "account_id", "at"),
)
