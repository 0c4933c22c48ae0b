"""Keeping SQLite: files in the state directory, copied by SQLite's online backup (https://www.sqlite.org/backup.html)."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from estampe import errors
from estampe.db import database, sqlite

_CATALOGUE: Final = "catalogue.sqlite"
_JOBS: Final = "jobs.sqlite"
_BESIDE: Final = ("-wal", "-shm")


class SqliteKeeper:
    """See `keeper.Keeper`. What is loaded lies in `loaded/`, what was replaced in `replaced-<label>/`, beside the files."""

    kind: Final = "SQLite"
    members: Final = (_CATALOGUE, _JOBS)

    def __init__(self, *, catalogue: Path, jobs: Path) -> None:
        self._catalogue = catalogue
        self._jobs = jobs
        self._loaded = catalogue.parent / "loaded"
        self.where: Final = f"sqlite:///{catalogue}"

    def is_there(self) -> bool:
        """See `keeper.Keeper`."""
        return self._catalogue.exists()

    def dump(self, directory: Path) -> None:
        """See `keeper.Keeper`. Writers go on: in WAL mode a reader and the writer pass each other."""
        _copy(self._catalogue, directory / _CATALOGUE)
        if self._jobs.exists():
            _copy(self._jobs, directory / _JOBS)
        else:  # a daemon that was never launched
            _make_empty(directory / _JOBS)

    def load(self, directory: Path) -> None:
        """See `keeper.Keeper`."""
        self.discard()
        with _failures("write", self._loaded):
            self._loaded.mkdir(mode=0o700)
            for name in self.members:
                shutil.move(directory / name, self._loaded / name)
        for name in self.members:
            _check(self._loaded / name)

    def open_loaded(self) -> database.Database:
        """See `keeper.Keeper`."""
        return database.Database.open(f"sqlite:///{self._loaded / _CATALOGUE}")

    def swap(self, label: str) -> str | None:
        """See `keeper.Keeper`.

        Each file takes its place by a rename, the catalogue's first: the engine's old records beside a new catalogue say
        nothing that it would follow, since all its operations have ended.
        """
        aside = self._catalogue.parent / f"replaced-{label}"
        was_there = self.is_there()
        with _failures("replace the database; see", aside):
            if was_there:
                aside.mkdir(mode=0o700)
                for present in (self._catalogue, self._jobs):
                    _set_aside(present, aside)
                _sync(aside)
            for name, present in ((_CATALOGUE, self._catalogue), (_JOBS, self._jobs)):
                _settle(self._loaded / name)
                (self._loaded / name).rename(present)
                _sync(present.parent)
        self.discard()
        return str(aside) if was_there else None

    def discard(self) -> None:
        """See `keeper.Keeper`."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._loaded)


def _copy(source: Path, target: Path) -> None:
    """One state of the database, in one file, and sound."""
    _make_empty(target)
    try:
        with _connect(source) as reading, _connect(target) as writing:
            reading.backup(writing)  # all pages at once, in one transaction: a writer cannot make it begin again
            writing.execute("PRAGMA journal_mode = DELETE")  # else the copy needs two more files to be read
    except sqlite3.DatabaseError as error:
        raise _failure(source, error) from error
    _check(target, told_as=source)


def _check(path: Path, *, told_as: Path | None = None) -> None:
    """Raises: errors.DatabaseDamaged."""
    where = str(told_as or path)
    try:
        with _connect(path) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(1)")]
            broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.DatabaseError as error:
        raise errors.DatabaseDamaged(where=where, detail=str(error)) from error
    if found != ["ok"]:
        raise errors.DatabaseDamaged(where=where, detail=" ".join(found[0].split()))
    if broken is not None:
        raise errors.DatabaseDamaged(
            where=where, detail=f"a row of {broken[0]} names one of {broken[2]} that is not there"
        )


def _failure(path: Path, error: sqlite3.DatabaseError) -> errors.EstampeError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary one
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return errors.DatabaseDamaged(where=str(path), detail=str(error))
    if code == sqlite3.SQLITE_FULL:
        return errors.BackupFailed(action="copy", path=str(path), detail="there is no space left for the copy")
    return errors.DatabaseUnavailable(where=str(path), detail=str(error))


@contextlib.contextmanager
def _connect(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, timeout=sqlite.BUSY_TIMEOUT_SECONDS, isolation_level=None)
    with contextlib.closing(connection):
        yield connection


def _set_aside(present: Path, aside: Path) -> None:
    """A second name for the file in `aside`; the first one stays until another file takes it.

    Its write-ahead log is folded into it before: SQLite would replay that into whichever file has the name by then.
    """
    if not present.exists():
        return
    with contextlib.suppress(sqlite3.DatabaseError), _connect(present) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # a damaged one keeps its log, which moves with it
    os.link(present, aside / present.name)
    for end in _BESIDE:
        with contextlib.suppress(FileNotFoundError):
            present.with_name(present.name + end).rename(aside / (present.name + end))


def _settle(path: Path) -> None:
    """Durable, and without a log of its own."""
    for end in _BESIDE:
        if path.with_name(path.name + end).exists():
            raise errors.BackupFailed(action="use", path=str(path), detail="it is still open")
    _sync(path)


def _make_empty(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _failures(action: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.BackupFailed(action=action, path=str(path), detail=error.strerror or str(error)) from error
