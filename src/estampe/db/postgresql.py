"""PostgreSQL set up for keeping, for the catalogue and for the workflow engine's records alike.

Estampe has two schemas in the database that it is given, and touches nothing else in it:

    estampe        the catalogue, by the migrations
    estampe_jobs   the workflow engine's records, by the engine

A URL goes to libpq as it is, so all that libpq takes is taken: several hosts, TLS, `service=`, `passfile=`, ~/.pgpass.
"""

from __future__ import annotations

import contextlib
import itertools
import select
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, cast

import psycopg
import psycopg.conninfo
import sqlalchemy as sa
from sqlalchemy.engine import interfaces

from estampe import errors

CATALOGUE_SCHEMA: Final = "estampe"
JOBS_SCHEMA: Final = "estampe_jobs"

# What libpq waits for, where the URL does not say otherwise: a host that is gone is noticed within half a minute.
_DEFAULTS: Final[Mapping[str, Any]] = {
    "application_name": "estampe",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

# As SQLite's busy timeout: how long a writer waits for another one.
LOCK_TIMEOUT_SECONDS: Final = 30

# A session that stops inside a transaction (a frozen process, a cut network) is ended by the server, and its locks go with
# it. Estampe's own transactions take milliseconds; while a migration works, its session is not idle.
_IDLE_IN_TRANSACTION_SECONDS: Final = 60

# The session's own settings are for a server that was told otherwise for its other users. A commit is durable when it
# returns, as on SQLite, so `off` is not for Estampe; `local` or `remote_apply` are the operator's choice about a standby.
_PREPARE: Final = """
SELECT set_config('search_path', quote_ident(%(schema)s), false),
       set_config('lock_timeout', %(lock)s, false),
       set_config('idle_in_transaction_session_timeout', %(idle)s, false),
       set_config('tcp_keepalives_idle', '60', false),
       set_config('tcp_keepalives_interval', '10', false),
       set_config('tcp_keepalives_count', '6', false),
       set_config('synchronous_commit',
                  CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
                  ELSE current_setting('synchronous_commit') END, false)
"""

_OTHERWISE_ORDERED: Final = """
SELECT relname AS table, attname AS column
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
 WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
   AND atttypid = 'text'::regtype AND attcollation <> '"C"'::regcollation
 ORDER BY relname, attnum
"""

# SQLSTATE: serialization failure, deadlock, lock not available, idle session ended. Nothing was written: ask again.
_BUSY: Final = frozenset({"40001", "40P01", "55P03", "25P03"})

# SQLSTATE of a database that is there and may not be used as it is: privileges, a missing schema or table (classes 28, 42).
_REFUSED: Final = frozenset({"42501", "3F000", "42P01", "42P07"})


def is_url(url: str) -> bool:
    """Whether the URL means PostgreSQL."""
    return url.startswith(("postgresql://", "postgres://"))


def parameters(url: str) -> dict[str, str]:
    """What the URL says to libpq. Raises: errors.DatabaseUrlInvalid, which quotes nothing of it."""
    try:
        found = {key: str(value) for key, value in psycopg.conninfo.conninfo_to_dict(url).items() if value is not None}
    except psycopg.Error:
        raise errors.DatabaseUrlInvalid(problem="libpq does not understand it") from None  # its words quote the URL
    # A `@` or `/` that belongs to the password ends up in these, and from there in messages.
    ports = found.get("port", "").replace(",", "")
    if "@" in found.get("host", "") + found.get("dbname", "") or not (ports.isdigit() or not ports):
        problem = "write `@`, `/`, `:` and `%` inside a user name or password as %40, %2F, %3A and %25"
        raise errors.DatabaseUrlInvalid(problem=problem)
    return found


def describe(url: str) -> str:
    """The database in words, without a password. Raises: errors.DatabaseUrlInvalid."""
    found = parameters(url)
    if "service" in found:
        return f"PostgreSQL service {found['service']}"
    user = f"{found['user']}@" if "user" in found else ""
    host = found.get("host") or found.get("hostaddr") or "the local server"
    port = f":{found['port']}" if found.get("port", "").strip(",") else ""
    return f"PostgreSQL {found.get('dbname', 'default')} on {user}{host}{port}"


def connector(url: str, *, schema: str, waits_for_locks: bool = False) -> Callable[[], psycopg.Connection[Any]]:
    """What makes a session on the schema; with `waits_for_locks` it waits for locks without a limit.

    Raises: errors.DatabaseUrlInvalid.
    """
    given = parameters(url)
    settings = {**_DEFAULTS, **given}
    values = {
        "schema": schema,
        "lock": "0" if waits_for_locks else f"{LOCK_TIMEOUT_SECONDS}s",
        "idle": f"{_IDLE_IN_TRANSACTION_SECONDS}s",
    }

    def connect() -> psycopg.Connection[Any]:
        try:
            connection = psycopg.connect(autocommit=True, **settings)
        except psycopg.OperationalError as error:
            # By these words DBOS 3.4 (dbos/_utils.py, retriable_postgres_exception) knows what to wait for. psycopg 3.3 has
            # others where the server's socket is not there, as during a restart: a step would be cut off for them.
            raise psycopg.OperationalError(f"connection failed: {words(error)}") from error
        try:
            connection.execute(_PREPARE, values)
            connection.autocommit = False
        except BaseException:
            connection.close()
            raise
        return connection

    return connect


def create_engine(url: str, *, schema: str, waits_for_locks: bool = False) -> sa.Engine:
    """An engine of sessions on one schema. The engine itself knows no password, so none of its messages tells one.

    A session that broke while it was idle (the server was restarted) is replaced before it is used.
    Raises: errors.DatabaseUrlInvalid.
    """
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=connector(url, schema=schema, waits_for_locks=waits_for_locks),
        hide_parameters=True,  # requests hold user data with passwords
    )
    sa.event.listen(engine, "checkout", lambda session, _record, _fairy: _check_still_open(engine, session))
    return engine


@contextlib.contextmanager
def unprepared(connection: sa.Connection) -> Iterator[None]:
    """What is executed meanwhile is planned for its values, each time; psycopg else prepares what it has seen five times."""
    session = cast("psycopg.Connection[Any]", connection.connection.dbapi_connection)
    before, session.prepare_threshold = session.prepare_threshold, None
    try:
        yield
    finally:
        session.prepare_threshold = before


def _check_still_open(engine: sa.Engine, session: interfaces.DBAPIConnection) -> None:
    """Before a session is used again. Raises: sa.exc.DisconnectionError, for which the pool makes a new one.

    A server that ended it has said so, or closed the socket. Only where there is anything to read is it asked: asked each time
    (SQLAlchemy's pre-ping), it costs every transaction a round trip.
    """
    try:
        said = select.poll()
        said.register(session.fileno(), select.POLLIN)
        if said.poll(0):
            engine.dialect.do_ping(session)
    except psycopg.Error as error:
        raise sa.exc.DisconnectionError from error


def find_failure(error: Exception, *, where: str) -> errors.EstampeError | None:
    """What a driver's error says to a caller; None where it is a defect (or a broken constraint, which is the caller's)."""
    original = getattr(error, "orig", None)
    if not isinstance(original, psycopg.Error):
        return None
    detail = words(original)
    if original.sqlstate in _BUSY:
        return errors.DatabaseBusy(where=where, detail=detail)
    is_refused = original.sqlstate in _REFUSED
    if is_refused or isinstance(original, psycopg.OperationalError | psycopg.InterfaceError | psycopg.InternalError):
        return errors.DatabaseUnavailable(where=where, detail=detail)
    return None


def order_by_code_point(connection: sa.Connection) -> None:
    """Give every column of text of the session's schema the collation C, as SQLite's BINARY, whatever the database's is.

    Pages, ranges and lower() then mean on both databases the same, and indexes serve a LIKE. It is done after the
    migrations, not in them, so that none can forget it. Only indexes are made anew, no row is written (ALTER TABLE, notes).
    """
    quote = connection.dialect.identifier_preparer.quote
    for table, columns in itertools.groupby(connection.exec_driver_sql(_OTHERWISE_ORDERED), key=lambda row: row.table):
        changes = ", ".join(f'ALTER COLUMN {quote(each.column)} TYPE text COLLATE "C"' for each in columns)
        connection.exec_driver_sql(f"ALTER TABLE {quote(table)} {changes}")


def words(error: psycopg.Error) -> str:
    """The server's own words, without its DETAIL (which may quote values); else libpq's, on one line."""
    text = error.diag.message_primary or str(error) or type(error).__name__
    return " ".join(text.split())
