"""Characteristics of templates: one column of JSON, null for those captured before."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0004"
down_revision: Final = "0003"


def upgrade() -> None:
    """Add the column; on both databases that copies no row."""
    op.add_column("templates", sa.Column("characteristics", sa.JSON(none_as_null=True), nullable=True))
