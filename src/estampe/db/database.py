"""One database: its connections, its two kinds of transaction, and its schema.

Everything that differs between SQLite and PostgreSQL is here, in `sqlite`, `postgresql` and their keepers, and in
`schema.UtcDateTime`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final, Self

import sqlalchemy as sa

from estampe import errors
from estampe.db import postgresql, sqlite, texts

# Estampe's writers take turns on PostgreSQL by this advisory lock, as BEGIN IMMEDIATE makes them do on SQLite, so that
# what holds on one holds on the other. Any constant does; this one is "estampe" in ASCII.
_WRITER_LOCK: Final = int.from_bytes(b"estampe")
# Held by a daemon as long as it lives, for daemons on other hosts: "estampd".
_DAEMON_LOCK: Final = int.from_bytes(b"estampd")

# A server that does not take a connection (it restarts, or has too many) is asked again after these: 8 s in all, as long
# as a restart of PostgreSQL takes. Nothing has been done by then, so asking again is always right.
_PAUSES_SECONDS: Final = (0.1, 0.3, 0.6, 1.0, 2.0, 4.0)

_POSTGRESQL_READERS: Final = 3


class Database:
    """The catalogue's database. Threads may share it.

    A commit is durable when it returns (SQLite: WAL with synchronous=FULL): a template that is listed is there after a
    power loss too.
    """

    def __init__(
        self, engine: sa.Engine, *, where: str, wait: Callable[[float], None] = time.sleep, schema: str | None = None
    ) -> None:
        self._engine = engine
        self._where = where
        self._wait = wait
        self._schema = schema  # PostgreSQL's

    @classmethod
    def open(
        cls, url: str, *, schema: str = postgresql.CATALOGUE_SCHEMA, wait: Callable[[float], None] = time.sleep
    ) -> Self:
        """Connect to `sqlite:////path/to/file` (made where it is missing, readable by its owner only) or PostgreSQL.

        `schema` is PostgreSQL's; `wait` is how a connection that cannot be made is waited for, in seconds.
        Raises: errors.DatabaseUnavailable, also where the file is in a folder that does not exist; errors.DatabaseUrlInvalid.
        """
        if postgresql.is_url(url):
            made = postgresql.create_engine(url, schema=schema)
            texts.watch(made)
            return cls(made, where=postgresql.describe(url), wait=wait, schema=schema)
        parsed = sa.make_url(url)
        engine = sqlite.create_engine(parsed, isolation_level=None)  # `_begin_sqlite` begins, not the sqlite3 module
        sa.event.listen(engine, "begin", _begin_sqlite)
        texts.watch(engine)
        return cls(engine, where=parsed.render_as_string(), wait=wait)

    @property
    def where(self) -> str:
        """The database in words, without a password."""
        return self._where

    @property
    def readers(self) -> int:
        """How many threads of this process may read side by side before they only hold each other up.

        SQLite runs in the thread that asks, and hands the interpreter's lock over at every row: one. PostgreSQL is another process,
        that is waited for: with three, 16 clients see the shortest waits (docs/performance.md).
        """
        return 1 if self._schema is None else _POSTGRESQL_READERS

    @contextlib.contextmanager
    def read(self, *, is_search: bool = False) -> Iterator[sa.Connection]:
        """A transaction that only reads, all of it from one state. Raises: errors.DatabaseUnavailable.

        `is_search`: it looks for a pattern. Without knowing it, PostgreSQL (15) takes any for rare, once a statement is prepared, and
        reads every row that could match.
        """
        with self._translated(), self._connect() as connection:
            if self._schema is not None:  # one that only reads is never told to begin again (PostgreSQL 13.2.2)
                connection = connection.execution_options(  # noqa: PLW2901 - the same one, marked
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            is_planned_anew = is_search and self._schema is not None
            planned = postgresql.unprepared(connection) if is_planned_anew else contextlib.nullcontext()
            with connection.begin(), planned:
                yield connection

    @contextlib.contextmanager
    def look_up(self) -> Iterator[sa.Connection]:
        """For one statement that reads: what it finds is of one state without a transaction around it.

        On PostgreSQL that is one round trip instead of three. Raises: errors.DatabaseUnavailable.
        """
        if self._schema is None:
            with self.read() as connection:
                yield connection
            return
        with self._translated(), self._connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that may write; one at a time, so what it has read still holds when it writes.

        Commits on leaving, rolls back on an exception. Raises: errors.DatabaseUnavailable.
        """
        with self._translated(), self._connect() as connection:
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
            self._ensure_schema(connection)
            migration.upgrade(connection, revision, where=self.where)
            if self._schema is not None:
                postgresql.order_by_code_point(connection)

    def revision(self) -> str | None:
        """The schema's revision, None where there are no tables yet. Raises: errors.DatabaseUnavailable."""
        from estampe.db import migration

        with self.read() as connection:
            return migration.present(connection)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one: no daemon on another host works with this PostgreSQL database meanwhile.

        On SQLite nothing is done: the file is in the state directory, and that has a lock. On PostgreSQL it is a lock of a
        session, so it ends with the process, however that ends; and with the server's.
        Raises: errors.DatabaseInUse, errors.DatabaseUnavailable.
        """
        if self._schema is None:
            yield
            return
        with contextlib.closing(self._session()) as session:
            if not session.execute(sa.select(sa.func.pg_try_advisory_lock(_DAEMON_LOCK))).scalar():
                raise errors.DatabaseInUse(where=self.where)
            yield

    def _session(self) -> sa.Connection:
        """A connection that never goes back to the pool, outside of transactions."""
        with self._translated():
            session = self._connect().execution_options(isolation_level="AUTOCOMMIT")
            session.detach()
            return session

    def _ensure_schema(self, connection: sa.Connection) -> None:
        """PostgreSQL's, where nobody has made it: only that needs the privilege to."""
        if self._schema is None or connection.dialect.has_schema(connection, self._schema):
            return
        connection.execute(sa.schema.CreateSchema(self._schema))

    def close(self) -> None:
        """Give the connections back; the last one out folds SQLite's write-ahead log into the file."""
        self._engine.dispose()

    def _connect(self) -> sa.Connection:
        for pause in _PAUSES_SECONDS if self._schema is not None else ():
            try:
                return self._engine.connect()
            except (sa.exc.OperationalError, sa.exc.InterfaceError):
                self._wait(pause)
        return self._engine.connect()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            failure = postgresql.find_failure(error, where=self.where) or self._sqlite_failure(error)
            if failure is None:
                raise
            raise failure from error

    def _sqlite_failure(self, error: sa.exc.SQLAlchemyError) -> errors.DatabaseUnavailable | None:
        """In the driver's words only: the whole text quotes the parameters, and those may hold a password."""
        is_unusable = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.TimeoutError)
        # The class itself: SQLite found no database, or a damaged one. Its subclasses: a broken constraint, wrong SQL.
        if not is_unusable and type(error) is not sa.exc.DatabaseError:
            return None
        return errors.DatabaseUnavailable(
            where=self.where, detail=str(getattr(error, "orig", None) or type(error).__name__)
        )


def _begin_sqlite(connection: sa.Connection) -> None:
    """IMMEDIATE for writers: one that begins by reading would else fail, not wait, when another wrote in between."""
    is_writer = connection.get_execution_options().get("estampe_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")
