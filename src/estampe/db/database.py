"""One database: its connections, its two kinds of transaction, and its schema.

Everything that differs between SQLite and PostgreSQL is here, in `sqlite`, and in `schema.UtcDateTime`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final, Self

import sqlalchemy as sa

from estampe import errors
from estampe.db import sqlite

# Estampe's writers take turns on PostgreSQL by this advisory lock, as BEGIN IMMEDIATE makes them do on SQLite, so that
# what holds on one holds on the other. Any constant does; this one is "estampe" in ASCII.
_WRITER_LOCK: Final = int.from_bytes(b"estampe")


class Database:
    """The catalogue's database. Threads may share it.

    A commit is durable when it returns (SQLite: WAL with synchronous=FULL): a template that is listed is there after a
    power loss too.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """Connect to `sqlite:////path/to/file` (made where it is missing, readable by its owner only) or PostgreSQL.

        Raises: errors.DatabaseUnavailable, also where the file is in a folder that does not exist.
        """
        parsed = sa.make_url(url)
        if parsed.get_backend_name() != "sqlite":
            return cls(sa.create_engine(parsed, pool_pre_ping=True))
        engine = sqlite.create_engine(parsed, isolation_level=None)  # `_begin_sqlite` begins, not the sqlite3 module
        sa.event.listen(engine, "begin", _begin_sqlite)
        return cls(engine)

    @property
    def where(self) -> str:
        """The database in words, without a password."""
        return self._engine.url.render_as_string(hide_password=True)

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads, from one consistent state on SQLite. Raises: errors.DatabaseUnavailable."""
        with self._translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that may write; one at a time, so what it has read still holds when it writes.

        Commits on leaving, rolls back on an exception. Raises: errors.DatabaseUnavailable.
        """
        with self._translated(), self._engine.connect() as connection:
            connection = connection.execution_options(estampe_writes=True)  # noqa: PLW2901 - the same one, marked
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITER_LOCK)))
                yield connection

    def upgrade(self, revision: str = "head") -> None:
        """Bring the schema to `revision` in one transaction; nothing happens where it is there already.

        Raises: errors.DatabaseVersionUnsupported where a newer Estampe has been here, errors.DatabaseUnavailable.
        """
        from estampe.db import migration  # here, since Alembic takes a while to import

        with self.write() as connection:
            migration.upgrade(connection, revision, where=self.where)

    def close(self) -> None:
        """Give the connections back; the last one out folds SQLite's write-ahead log into the file."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as error:
            raise self._unavailable(error) from error
        except sa.exc.DatabaseError as error:
            if type(error) is not sa.exc.DatabaseError:  # its subclasses: a broken constraint, wrong SQL
                raise
            raise self._unavailable(error) from error  # SQLite: no database, or a damaged one

    def _unavailable(self, error: Exception) -> errors.DatabaseUnavailable:
        """In the driver's words only: the whole text quotes the parameters, and those may hold a password."""
        return errors.DatabaseUnavailable(
            where=self.where, detail=str(getattr(error, "orig", None) or type(error).__name__)
        )


def _begin_sqlite(connection: sa.Connection) -> None:
    """IMMEDIATE for writers: one that begins by reading would else fail, not wait, when another wrote in between."""
    is_writer = connection.get_execution_options().get("estampe_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")
