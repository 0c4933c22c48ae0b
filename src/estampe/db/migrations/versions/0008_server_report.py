"""Reports on deployed servers: one column of JSON, null for those deployed before."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0008"
down_revision: Final = "0007"


def upgrade() -> None:
    """Add the column; on both databases that copies no row."""
    op.add_column("servers", sa.Column("report", sa.JSON(none_as_null=True), nullable=True))
