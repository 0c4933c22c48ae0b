"""What the store held over time: a table of samples, empty at first, since the past was not counted."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from estampe.db.schema import UtcDateTime

revision: Final = "0009"
down_revision: Final = "0008"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "store_samples",
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("templates", sa.Integer, nullable=False),
        sa.Column("logical_bytes", sa.BigInteger, nullable=False),
        sa.Column("data_bytes", sa.BigInteger, nullable=False),
        sa.Column("distinct_bytes", sa.BigInteger, nullable=False),
        sa.Column("stored_bytes", sa.BigInteger, nullable=False),
        sa.Column("orphan_bytes", sa.BigInteger, nullable=False),
        sa.Column("chunks", sa.BigInteger, nullable=False),
        sa.Column("available_bytes", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("at", name="pk_store_samples"),
    )
