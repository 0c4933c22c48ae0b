"""Accounts with a state, people and their memberships, API keys, sign-in counts, quotas and the audit log.

Servers get the figures that quotas count. Those of servers met before are not known here (libvirt knows them): they count
as nothing until the first deploy of an account that has a quota measures them.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from estampe.db.schema import UtcDateTime

revision: Final = "0003"
down_revision: Final = "0001"


def upgrade() -> None:
    """Add columns and tables; what is there stays as it is, and belongs to whom it belonged."""
    op.add_column("accounts", sa.Column("state", sa.Text, nullable=False, server_default="active"))
    op.add_column("accounts", sa.Column("created_at", UtcDateTime, nullable=True))
    op.execute("UPDATE accounts SET created_at = CURRENT_TIMESTAMP")
    op.add_column("servers", sa.Column("cpus", sa.Integer, nullable=False, server_default="0"))
    op.add_column("servers", sa.Column("memory_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("servers", sa.Column("volume_bytes", sa.BigInteger, nullable=True))
    _create_quotas()
    _create_people()
    _create_api_keys()
    _create_sign_in_failures()
    _create_audit_entries()


def _amounts(*, nullable: bool) -> list[sa.Column[int]]:
    return [
        sa.Column("templates", sa.Integer, nullable=nullable),
        sa.Column("stored_bytes", sa.BigInteger, nullable=nullable),
        sa.Column("servers", sa.Integer, nullable=nullable),
        sa.Column("cpus", sa.Integer, nullable=nullable),
        sa.Column("memory_bytes", sa.BigInteger, nullable=nullable),
        sa.Column("volume_bytes", sa.BigInteger, nullable=nullable),
    ]


def _create_quotas() -> None:
    op.create_table(
        "operation_reservations",
        sa.Column("operation_id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        *_amounts(nullable=False),
        sa.PrimaryKeyConstraint("operation_id", name="pk_operation_reservations"),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operations.id"], name="fk_operation_reservations_operation_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_operation_reservations_account_id"),
    )
    op.create_index("ix_operation_reservations_account_id", "operation_reservations", ["account_id"])
    op.create_table(
        "quotas",
        sa.Column("account_id", sa.Uuid, nullable=False),
        *_amounts(nullable=True),
        sa.PrimaryKeyConstraint("account_id", name="pk_quotas"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_quotas_account_id", ondelete="CASCADE"),
    )


def _create_people() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=True),
        sa.Column("is_cloud_operator", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
    )
    op.create_table(
        "memberships",
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "user_id", name="pk_memberships"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_memberships_account_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_memberships_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"])


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=True),
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
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_api_keys_account_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_keys_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_api_keys_account_id", "api_keys", ["account_id"])
    op.create_index("ix_api_keys_user_id", "api_keys", ["user_id"])


def _create_sign_in_failures() -> None:
    op.create_table(
        "sign_in_failures",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("locked_until", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("key", name="pk_sign_in_failures"),
    )
    op.create_index("ix_sign_in_failures_since", "sign_in_failures", ["since"])


def _create_audit_entries() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=True),
        sa.Column("request_id", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entries"),
    )
    op.create_index("ix_audit_entries_at", "audit_entries", ["at"])
    op.create_index("ix_audit_entries_account_id_at", "audit_entries", ["account_id", "at"])
