"""Run by Alembic for each command; the connection comes from `db.migration`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from estampe.db import schema


def run(connection: sa.Connection) -> None:
    """Migrate inside the transaction the connection is in. SQLite alters a table by a copy: hence `render_as_batch`."""
    context.configure(connection=connection, target_metadata=schema.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
