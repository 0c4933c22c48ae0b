"""What the API's conventions need: revisions, request ids, idempotency keys, and indexes of the lists."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from estampe.db.schema import UtcDateTime

revision: Final = "0003"
down_revision: Final = "0002"


def upgrade() -> None:
    """Rows that are there begin at revision 1; nobody knows which request began their operations."""
    op.add_column("templates", sa.Column("revision", sa.Integer, nullable=False, server_default="1"))
    op.add_column("operations", sa.Column("revision", sa.Integer, nullable=False, server_default="1"))
    op.add_column("operations", sa.Column("request_id", sa.Text, nullable=True))
    op.create_index("ix_templates_owner_id_created_at", "templates", ["owner_id", "created_at"])
    op.create_index("ix_operations_owner_id_kind_created_at", "operations", ["owner_id", "kind", "created_at"])
    op.create_index("ix_operations_kind_state", "operations", ["kind", "state"])
    op.create_table(
        "idempotency_keys",
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("operation_id", sa.Uuid, nullable=False),
        sa.Column("answer", sa.Text, nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "key", name="pk_idempotency_keys"),
        sa.ForeignKeyConstraint(["owner_id"], ["accounts.id"], name="fk_idempotency_keys_owner_id"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
