"""The tables, in SQL that SQLite and PostgreSQL both speak.

    accounts ──< servers
       ├───────< templates ──< template_tags
       ├───────< template_versions
       ├───────< retention_rules
       ├───────< operations ─< operation_locks
       └───────< idempotency_keys

Changing a table here asks for a migration in `migrations/versions`; a test compares the two. `templates.server_id`,
`templates.parent_id`, `templates.successor_id`, `servers.template_id` and `template_versions.template_id` are facts about the
past, not references: what they name may be gone. `templates.parent_name` and `servers.template_name` are filled when it goes.
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
    sa.Column("report", sa.JSON(none_as_null=True), nullable=True),
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
    sa.UniqueConstraint("owner_id", "name", "version"),
    sa.Index(None, "owner_id", "created_at"),
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
