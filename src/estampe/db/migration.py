"""Alembic, driven from the program: there is no alembic.ini."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import alembic.autogenerate
import alembic.command
import alembic.config
import alembic.migration
import alembic.script
import sqlalchemy as sa

from estampe import errors
from estampe.db import schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One migration: what it makes of the schema."""

    revision: str
    title: str


def _scripts() -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", "estampe.db:migrations")
    return config


def _config(connection: sa.Connection) -> alembic.config.Config:
    config = _scripts()
    config.attributes["connection"] = connection  # `migrations/env.py` picks it up
    return config


def upgrade(connection: sa.Connection, revision: str, *, where: str) -> None:
    """Migrate inside the caller's transaction. Raises: errors.DatabaseVersionUnsupported."""
    steps_after(present(connection), where=where)
    alembic.command.upgrade(_config(connection), revision)


def present(connection: sa.Connection) -> str | None:
    """The revision the database is at; None where there is none yet."""
    return alembic.migration.MigrationContext.configure(connection).get_current_revision()


def steps_after(revision: str | None, *, where: str) -> list[Step]:
    """What leads from `revision` to the newest one, in order. Raises: errors.DatabaseVersionUnsupported."""
    scripts = list(alembic.script.ScriptDirectory.from_config(_scripts()).walk_revisions())
    known = [script.revision for script in scripts]  # newest first
    if revision is not None and revision not in known:
        raise errors.DatabaseVersionUnsupported(where=where, version=revision)
    pending = scripts if revision is None else scripts[: known.index(revision)]
    return [Step(revision=each.revision, title=(each.doc or "").rstrip(".")) for each in reversed(pending)]


def differences(connection: sa.Connection) -> list[Any]:
    """What a migration would have to change to make the database as `schema` says; empty when they agree.

    Of SQLite's indexes of an expression nothing is told: SQLAlchemy (2.0) cannot read them. Their use is tested by plans.
    """
    context = alembic.migration.MigrationContext.configure(connection, opts={"compare_type": True})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based index")
        warnings.filterwarnings("ignore", "autogenerate skipping metadata-specified expression-based index")
        return list(alembic.autogenerate.compare_metadata(context, schema.metadata))
