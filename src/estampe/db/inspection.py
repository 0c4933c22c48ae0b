"""What a PostgreSQL server says of itself: for the doctor."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

import psycopg

from estampe import errors
from estampe.db import postgresql

_ASK: Final = """
SELECT current_setting('server_version'),
       current_setting('server_version_num')::int / 10000,
       pg_encoding_to_char(encoding),
       datcollate,
       has_database_privilege(current_database(), 'CREATE'),
       ARRAY(SELECT name FROM pg_settings
             WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name)
  FROM pg_database WHERE datname = current_database()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A server and the database in it."""

    where: str
    version: str
    major: int
    encoding: str
    collation: str
    may_create: bool  # schemas in the database
    not_durable: tuple[str, ...]  # settings that are off, and without which a power loss can destroy the database


def inspect(url: str) -> Seen:
    """One look. Raises: errors.DatabaseUrlInvalid, errors.DatabaseUnavailable."""
    where = postgresql.describe(url)
    connect = postgresql.connector(url, schema=postgresql.CATALOGUE_SCHEMA)
    try:
        with contextlib.closing(connect()) as session:
            row = session.execute(_ASK).fetchone()
    except psycopg.Error as error:
        raise errors.DatabaseUnavailable(where=where, detail=postgresql.words(error)) from error
    if row is None:
        raise errors.DatabaseUnavailable(where=where, detail="it does not list its own database")
    version, major, encoding, collation, may_create, not_durable = row
    return Seen(
        where=where,
        version=version,
        major=major,
        encoding=encoding,
        collation=collation,
        may_create=may_create,
        not_durable=tuple(not_durable),
    )
