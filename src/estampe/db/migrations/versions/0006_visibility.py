"""Visibility: shares, publications, what accounts hide, and whom they take templates from."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from estampe.db.schema import UtcDateTime

revision: Final = "0006"
down_revision: Final = "0005"


def upgrade() -> None:
    """Every template that is there is private, and no account may publish. Columns are added: no table is copied."""
    for column in ("may_publish", "is_limited"):
        op.add_column("accounts", sa.Column(column, sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("servers", sa.Column("template_scope", sa.Text, nullable=True))
    _extend_templates()
    op.create_table(
        "template_shares",
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("template_id", sa.Uuid, nullable=False),
        sa.Column("right", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=True),
        sa.Column("shared_at", UtcDateTime, nullable=False),
        sa.Column("shared_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "template_id", name="pk_template_shares"),
        _reference("template_shares", "account_id", "accounts.id"),
        _reference("template_shares", "template_id", "templates.id"),
    )
    op.create_index("ix_template_shares_template_id", "template_shares", ["template_id"])
    _create_pairs("hidden_templates", "template_id", "templates.id")
    _create_pairs("allowed_publishers", "publisher_id", "accounts.id")


def _extend_templates() -> None:
    for column in (
        sa.Column("published_at", UtcDateTime, nullable=True),
        sa.Column("published_by", sa.Text, nullable=True),
        sa.Column("publication_right", sa.Text, nullable=True),
        sa.Column("publication_note", sa.Text, nullable=True),
    ):
        op.add_column("templates", column)
    public = sa.text("published_at IS NOT NULL")
    orders: dict[str, list[str | sa.TextClause]] = {
        "name": ["name", sa.text("version DESC"), "id", "owner_id", "state"],
        "created_at": ["created_at", "id"],
        "size": [sa.text("coalesce(logical_bytes, 0)"), "id"],
    }
    for name, keys in orders.items():
        index = f"ix_templates_public_{name}"
        op.create_index(index, "templates", keys, sqlite_where=public, postgresql_where=public)


def _create_pairs(table: str, column: str, target: str) -> None:
    op.create_table(
        table,
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column(column, sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("account_id", column, name=f"pk_{table}"),
        _reference(table, "account_id", "accounts.id"),
        _reference(table, column, target),
    )
    op.create_index(f"ix_{table}_{column}", table, [column])


def _reference(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=f"fk_{table}_{column}", ondelete="CASCADE")
