"""The first tables, and the default account.

Written out, not taken from `schema`: a released step stays as it is while the schema moves on.
"""

from __future__ import annotations

import uuid
from typing import Final

import sqlalchemy as sa
from alembic import op

from estampe.db.schema import UtcDateTime

revision: Final = "0001"
down_revision: Final = None

_DEFAULT_ACCOUNT: Final = {"id": uuid.UUID("e57a3be0-0000-4000-8000-000000000001"), "name": "default"}


def upgrade() -> None:
    """Make the tables and the one account that is always there."""
    accounts = op.create_table(
        "accounts",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("name", name="uq_accounts_name"),
    )
    op.bulk_insert(accounts, [_DEFAULT_ACCOUNT])
    _create_servers()
    _create_templates()
    _create_operations()


def _create_servers() -> None:
    op.create_table(
        "servers",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("domain_uuid", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("template_id", sa.Uuid, nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_servers"),
        sa.ForeignKeyConstraint(["owner_id"], ["accounts.id"], name="fk_servers_owner_id"),
        sa.UniqueConstraint("domain_uuid", name="uq_servers_domain_uuid"),
    )
    op.create_index("ix_servers_owner_id", "servers", ["owner_id"])


def _create_templates() -> None:
    op.create_table(
        "templates",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("server_id", sa.Uuid, nullable=True),
        sa.Column("server_name", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("logical_bytes", sa.BigInteger, nullable=True),
        sa.Column("data_bytes", sa.BigInteger, nullable=True),
        sa.Column("new_bytes", sa.BigInteger, nullable=True),
        sa.Column("is_sealed", sa.Boolean, nullable=True),
        sa.Column("guest_product", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_templates"),
        sa.ForeignKeyConstraint(["owner_id"], ["accounts.id"], name="fk_templates_owner_id"),
        sa.UniqueConstraint("owner_id", "name", "version", name="uq_templates_owner_id_name_version"),
    )
    op.create_index("ix_templates_state", "templates", ["state"])
    op.create_table(
        "template_tags",
        sa.Column("template_id", sa.Uuid, nullable=False),
        sa.Column("tag", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("template_id", "tag", name="pk_template_tags"),
        sa.ForeignKeyConstraint(
            ["template_id"], ["templates.id"], name="fk_template_tags_template_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_template_tags_tag", "template_tags", ["tag"])
    op.create_table(
        "template_versions",
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("template_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "name", "version", name="pk_template_versions"),
        sa.ForeignKeyConstraint(["owner_id"], ["accounts.id"], name="fk_template_versions_owner_id"),
    )


def _create_operations() -> None:
    op.create_table(
        "operations",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("done_bytes", sa.BigInteger, nullable=False),
        sa.Column("total_bytes", sa.BigInteger, nullable=True),
        sa.Column("phase_started_at", UtcDateTime, nullable=True),
        sa.Column("is_cancel_requested", sa.Boolean, nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON, nullable=True),
        sa.Column("error", sa.JSON, nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=True),
        sa.Column("ended_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_operations"),
        sa.ForeignKeyConstraint(["owner_id"], ["accounts.id"], name="fk_operations_owner_id"),
    )
    op.create_index("ix_operations_state", "operations", ["state"])
    op.create_index("ix_operations_owner_id_created_at", "operations", ["owner_id", "created_at"])
    op.create_table(
        "operation_locks",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("operation_id", sa.Uuid, nullable=False),
        sa.Column("is_exclusive", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("key", "operation_id", name="pk_operation_locks"),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operations.id"], name="fk_operation_locks_operation_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_operation_locks_operation_id", "operation_locks", ["operation_id"])
