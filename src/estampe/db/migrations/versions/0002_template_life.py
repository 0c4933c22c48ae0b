"""The life of templates: trash, protection, successors, lineage, and retention rules.

Columns are added, no table is copied: SQLite's copy would drop the old table first, and with it, by the cascade, all tags.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from estampe.db.schema import UtcDateTime

revision: Final = "0002"
down_revision: Final = "0001"


def upgrade() -> None:
    """Templates that are there are unprotected, name no successor, and know no parent but by their server."""
    _extend_templates()
    op.add_column("servers", sa.Column("template_name", sa.Text, nullable=True))
    op.create_index("ix_servers_template_id", "servers", ["template_id"])
    op.create_table(
        "retention_rules",
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("pattern", sa.Text, nullable=False),
        sa.Column("keep_last", sa.Integer, nullable=False),
        sa.Column("keep_days", sa.Integer, nullable=True),
        sa.PrimaryKeyConstraint("owner_id", "pattern", name="pk_retention_rules"),
        sa.ForeignKeyConstraint(["owner_id"], ["accounts.id"], name="fk_retention_rules_owner_id"),
    )


def _extend_templates() -> None:
    for column in (
        sa.Column("is_protected", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("successor_id", sa.Uuid, nullable=True),
        sa.Column("parent_id", sa.Uuid, nullable=True),
        sa.Column("parent_name", sa.Text, nullable=True),
        sa.Column("trashed_at", UtcDateTime, nullable=True),
        sa.Column("trashed_by", sa.Text, nullable=True),
        sa.Column("purge_at", UtcDateTime, nullable=True),
        sa.Column("state_before", sa.Text, nullable=True),
    ):
        op.add_column("templates", column)
    op.create_index("ix_templates_parent_id", "templates", ["parent_id"])
    # Where a template came from was only known as long as its server was: kept from here on.
    op.execute(
        "UPDATE templates SET parent_id = (SELECT servers.template_id FROM servers WHERE servers.id = templates.server_id) "
        "WHERE server_id IS NOT NULL"
    )
