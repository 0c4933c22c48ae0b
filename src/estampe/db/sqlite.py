"""SQLite set up for keeping, for the catalogue and for the workflow engine's records alike."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from estampe import errors

_log = logging.getLogger(__name__)

# A writer waits this long for another one. Transactions take milliseconds; the rest is a margin for a host whose storage
# is saturated by captures.
BUSY_TIMEOUT_SECONDS: Final = 30.0

# Volumes, the store and the databases often share one file system, and an operation may fill it. What it then has to
# write, so that it can be undone, is some hundred rows: a few hundred KiB of write-ahead log.
RESERVE_BYTES: Final = 8 * 1024 * 1024


def create_engine(url: sa.URL, *, isolation_level: str | None, waits_for_space: bool = False) -> sa.Engine:
    """An engine on a file, made where it is missing, readable by its owner only.

    A commit is durable when it returns. `isolation_level` is the sqlite3 module's, for the transactions it begins itself.
    Beside the file lies a reserve of space, given up when the disk is full, so that the next attempt succeeds. With
    `waits_for_space` a full disk is told as "database is locked", for callers that try again on that.
    Raises: errors.DatabaseUnavailable, also where the folder does not exist.
    """
    if not url.database or url.database == ":memory:":
        raise errors.DatabaseUnavailable(where=str(url), detail="it needs a file: threads cannot share one in memory")
    path = Path(url.database)
    _create_private(path)
    reserve = Reserve(path.with_name(f"{path.name}.reserve"), RESERVE_BYTES)
    reserve.fill()
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})

    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = isolation_level
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait for each other
        cursor.execute("PRAGMA synchronous = FULL")  # in WAL mode, NORMAL may lose the last commits on power loss
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA case_sensitive_like = ON")  # as LIKE is on PostgreSQL
        cursor.close()

    def handle(context: sa.engine.ExceptionContext) -> BaseException | None:
        error = context.original_exception
        if not isinstance(error, sqlite3.OperationalError) or error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            return None
        reserve.release()
        if not waits_for_space:
            return None
        text = "the disk is full; it is tried again, as when the database is locked"
        return sa.exc.OperationalError(context.statement, None, sqlite3.OperationalError(text))

    sa.event.listen(engine, "connect", prepare)
    sa.event.listen(engine, "handle_error", handle)
    return engine


class Reserve:
    """A file that only takes up space."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes

    def fill(self) -> None:
        """Take the space, as far as there is any: a start must not fail for it."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self._size_bytes)
            finally:
                os.close(descriptor)
        except OSError as error:
            _log.warning("no space can be kept in reserve in %s: %s", self._path, error.strerror)
            self.release()

    def release(self) -> None:
        """Give it back; the next `fill` takes it again."""
        with contextlib.suppress(OSError):
            self._path.unlink()
            _log.error("the disk with %s is full; its reserve was given up until the next start", self._path)


def _create_private(path: Path) -> None:
    """Make the file before SQLite does, which would let the umask decide; its -wal and -shm take over its mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise errors.DatabaseUnavailable(where=str(path), detail=error.strerror) from error
