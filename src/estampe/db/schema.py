"""The tables, in SQL that SQLite and PostgreSQL both speak.

    accounts ──< servers
       ├───────< templates ──< template_tags
       ├───────< template_shares >── templates
       ├───────< hidden_templates >── templates
       ├───────< allowed_publishers >── accounts
       ├───────< template_versions
       ├───────< retention_rules
       ├───────< operations ─< operation_locks, operation_reservations
       ├───────< idempotency_keys
       ├───────< memberships >── users
       ├───────< api_keys >── users (or nobody)
       └─────── quotas           sign_in_failures and audit_entries stand alone

Changing a table here asks for a migration in `migrations/versions`; a test compares the two. `templates.server_id`,
`templates.parent_id`, `templates.successor_id`, `servers.template_id` and `template_versions.template_id` are facts about the
past, not references: what they name may be gone; so is all of `audit_entries`. `templates.parent_name` and
`servers.template_name` are filled when it goes; of another account's template from the start, since what is not shared any more
cannot be looked up.
"""

from __future__ import annotations

import datetime
from typing import Any, Final

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


def _revision() -> sa.Column[int]:
    """Counts the changes of a row: every `sa.update` of the table raises it, also one that knows nothing of it."""
    return sa.Column(
        "revision", sa.Integer, nullable=False, default=1, server_default="1", onupdate=sa.text("revision + 1")
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
    sa.Column("may_publish", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("is_limited", sa.Boolean, nullable=False, server_default=sa.false()),
)

servers: Final = sa.Table(
    "servers",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("owner_id", sa.Uuid, sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("domain_uuid", sa.Uuid, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("template_id", sa.Uuid, nullable=True, index=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("template_name", sa.Text, nullable=True),
    sa.Column("cpus", sa.Integer, nullable=False, server_default="0"),
    sa.Column("memory_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("volume_bytes", sa.BigInteger, nullable=True),
    # By which way the account of the server saw the template, where that is another's: shared or public.
    sa.Column("template_scope", sa.Text, nullable=True),
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
    sa.Column("is_protected", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("successor_id", sa.Uuid, nullable=True),
    sa.Column("parent_id", sa.Uuid, nullable=True, index=True),
    sa.Column("parent_name", sa.Text, nullable=True),
    sa.Column("trashed_at", UtcDateTime, nullable=True),
    sa.Column("trashed_by", sa.Text, nullable=True),
    sa.Column("purge_at", UtcDateTime, nullable=True),
    sa.Column("state_before", sa.Text, nullable=True),
    _revision(),
    sa.Column("characteristics", sa.JSON(none_as_null=True), nullable=True),
    # Of a public template, and null together of any other.
    sa.Column("published_at", UtcDateTime, nullable=True),
    sa.Column("published_by", sa.Text, nullable=True),
    sa.Column("publication_right", sa.Text, nullable=True),
    sa.Column("publication_note", sa.Text, nullable=True),
    sa.UniqueConstraint("owner_id", "name", "version"),
    sa.Index(None, "owner_id", "created_at"),
)


def size_of(columns: Any) -> sa.ColumnElement[int]:
    """Without a size, while it is captured, a template counts as empty. The zero is written out: an index knows no parameters."""
    return sa.func.coalesce(columns.logical_bytes, sa.literal_column("0"), type_=sa.BigInteger)


# The public templates in the orders in which they are listed: few rows of a large table, so only those are indexed.
for _name, _keys in {
    # With what a search by name asks of each besides: it reads all of the index, and no row.
    "ix_templates_public_name": (
        templates.c.name,
        templates.c.version.desc(),
        templates.c.id,
        templates.c.owner_id,
        templates.c.state,
    ),
    "ix_templates_public_created_at": (templates.c.created_at, templates.c.id),
    "ix_templates_public_size": (size_of(templates.c), templates.c.id),
}.items():
    sa.Index(
        _name, *_keys, sqlite_where=templates.c.published_at.is_not(None),
        postgresql_where=templates.c.published_at.is_not(None),
    )  # fmt: skip

# Both found from either side: what an account is given, by the primary key; whom a template is shared with, by the index.
template_shares: Final = sa.Table(
    "template_shares",
    metadata,
    sa.Column("account_id", sa.Uuid, sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("template_id", sa.Uuid, sa.ForeignKey("templates.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("right", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=True),
    sa.Column("shared_at", UtcDateTime, nullable=False),
    sa.Column("shared_by", sa.Text, nullable=False),
)

hidden_templates: Final = sa.Table(
    "hidden_templates",
    metadata,
    sa.Column("account_id", sa.Uuid, sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("template_id", sa.Uuid, sa.ForeignKey("templates.id", ondelete="CASCADE"), primary_key=True, index=True),
)

# Whose templates an account takes, where `accounts.is_limited` says that it does not take everybody's.
allowed_publishers: Final = sa.Table(
    "allowed_publishers",
    metadata,
    sa.Column("account_id", sa.Uuid, sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("publisher_id", sa.Uuid, sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, index=True),
)

retention_rules: Final = sa.Table(
    "retention_rules",
    metadata,
    sa.Column("owner_id", sa.Uuid, sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("pattern", sa.Text, primary_key=True),
    sa.Column("keep_last", sa.Integer, nullable=False),
    sa.Column("keep_days", sa.Integer, nullable=True),
)

template_tags: Final = sa.Table(
    "template_tags",
    metadata,
    sa.Column("template_id", sa.Uuid, sa.ForeignKey("templates.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag", sa.Text, primary_key=True, index=True),
    sa.Column("position", sa.Integer, nullable=False),
)

# Every `name@version` that a published template had, and which: a number that scripts may have written down is given once.
template_versions: Final = sa.Table(
    "template_versions",
    metadata,
    sa.Column("owner_id", sa.Uuid, sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("template_id", sa.Uuid, nullable=False),
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
    _revision(),
    sa.Column("request_id", sa.Text, nullable=True),
    sa.Index(None, "owner_id", "created_at"),
    sa.Index(None, "owner_id", "kind", "created_at"),
    sa.Index(None, "kind", "state"),
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

idempotency_keys: Final = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("owner_id", sa.Uuid, sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("operation_id", sa.Uuid, nullable=False),
    sa.Column("answer", sa.Text, nullable=True),
    sa.Column("created_at", UtcDateTime, nullable=False, index=True),
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
    # By a group at the OpenID provider, which may take it away again; False: by hand, which it leaves alone.
    sa.Column("is_mapped", sa.Boolean, nullable=False, server_default=sa.false()),
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

# From where a person has signed in lately: what others fail at elsewhere does not lock these.
sign_in_places: Final = sa.Table(
    "sign_in_places",
    metadata,
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("network", sa.Text, primary_key=True),
    sa.Column("seen_at", UtcDateTime, nullable=False, index=True),
)

sessions: Final = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("account_id", sa.Uuid, sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("token_digest", sa.Text, nullable=False, unique=True),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("last_seen_at", UtcDateTime, nullable=False, index=True),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
)

oidc_identities: Final = sa.Table(
    "oidc_identities",
    metadata,
    sa.Column("issuer", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False, unique=True),
    sa.Column("linked_at", UtcDateTime, nullable=False),
)

oidc_attempts: Final = sa.Table(
    "oidc_attempts",
    metadata,
    sa.Column("state_digest", sa.Text, primary_key=True),
    sa.Column("binding_digest", sa.Text, nullable=False),
    sa.Column("nonce", sa.Text, nullable=False),
    sa.Column("verifier", sa.Text, nullable=False),
    sa.Column("redirect_uri", sa.Text, nullable=False),
    sa.Column("next", sa.Text, nullable=False),
    sa.Column("account", sa.Text, nullable=True),
    sa.Column("is_for_command", sa.Boolean, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
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
