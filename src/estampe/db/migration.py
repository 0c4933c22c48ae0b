"""Alembic, driven from the program: there is no alembic.ini."""

from __future__ import annotations

from typing import Any

import alembic.autogenerate
import alembic.command
import alembic.config
import alembic.migration
import alembic.script
import sqlalchemy as sa

from estampe import errors
from estampe.db import schema


def _config(connection: sa.Connection) -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", "estampe.db:migrations")
    config.attributes["connection"] = connection  # `migrations/env.py` picks it up
    return config


def upgrade(connection: sa.Connection, revision: str, *, where: str) -> None:
    """Migrate inside the caller's transaction. Raises: errors.DatabaseVersionUnsupported."""
    config = _config(connection)
    present = alembic.migration.MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in alembic.script.ScriptDirectory.from_config(config).walk_revisions()}
    if present is not None and present not in known:
        raise errors.DatabaseVersionUnsupported(where=where, version=present)
    alembic.command.upgrade(config, revision)


def differences(connection: sa.Connection) -> list[Any]:
    """What a migration would have to change to make the database as `schema` says; empty when they agree."""
    context = alembic.migration.MigrationContext.configure(connection, opts={"compare_type": True})
    return list(alembic.autogenerate.compare_metadata(context, schema.metadata))
