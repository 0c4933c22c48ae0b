"""Keeping PostgreSQL: two schemas, copied by pg_dump in its custom format and put back by pg_restore.

    in use        estampe                    estampe_jobs
    loaded        estampe_loaded             estampe_jobs_loaded
    replaced      estampe_replaced_<label>   estampe_jobs_replaced_<label>

Everything stays inside one database, so it needs no privilege but that of its owner to make schemas in it. A dump says the
schemas' names, so loading moves what is in use out of the way and back, in one transaction that nobody else sees into.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import psycopg
import psycopg.conninfo
from psycopg import sql

from estampe import errors, process
from estampe.db import database, postgresql

_PACKAGE: Final = "postgresql-client"
_DEADLINE_SECONDS: Final = 6 * 3600.0  # of a dump or a restore: a catalogue of a million rows takes a minute
_MEMBER: Final = "database.pgdump"
_SCHEMAS: Final = (postgresql.CATALOGUE_SCHEMA, postgresql.JOBS_SCHEMA)


class PostgresqlKeeper:
    """See `keeper.Keeper`."""

    kind: Final = "PostgreSQL"
    members: Final = (_MEMBER,)

    def __init__(self, url: str) -> None:
        self._url = url
        self.where: Final = postgresql.describe(url)
        self._connect = postgresql.connector(url, schema=postgresql.CATALOGUE_SCHEMA)

    def is_there(self) -> bool:
        """See `keeper.Keeper`."""
        with self._session() as session:
            return postgresql.CATALOGUE_SCHEMA in self._present(session)

    def dump(self, directory: Path) -> None:
        """See `keeper.Keeper`. pg_dump reads both schemas from one state."""
        target = directory / _MEMBER
        schemas = [f"--schema={name}" for name in _SCHEMAS]
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        options = ["--format=custom", "--no-owner", "--no-privileges", *schemas, f"--file={target}"]
        self._run("pg_dump", [*options, "--no-password", f"--dbname={self._address()}"])

    def load(self, directory: Path) -> None:
        """See `keeper.Keeper`."""
        self.discard()
        member = directory / _MEMBER
        script = directory / "load.sql"
        with self._session() as session:
            present = self._present(session)
        try:
            self._write_script(script, member, present)
            options = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", f"--file={script}"]
            self._run("psql", [*options, "--no-password", f"--dbname={self._address()}"])
        finally:
            script.unlink(missing_ok=True)
        with self._session() as session:
            missing = {_loaded(name) for name in _SCHEMAS[:1]} - self._present(session)
        if missing:
            raise errors.DatabaseDamaged(where=str(member), detail=f"it holds no schema {_SCHEMAS[0]}")

    def open_loaded(self) -> database.Database:
        """See `keeper.Keeper`."""
        return database.Database.open(self._url, schema=_loaded(postgresql.CATALOGUE_SCHEMA))

    def swap(self, label: str) -> str | None:
        """See `keeper.Keeper`. One transaction: every other session sees either the one or the other."""
        with self._session() as session, session.transaction():
            present = self._present(session)
            for name in _SCHEMAS:
                if name in present:
                    _rename(session, name, _replaced(name, label))
                if _loaded(name) in present:
                    _rename(session, _loaded(name), name)
        aside = [_replaced(name, label) for name in _SCHEMAS if name in present]
        return f"the schemas {' and '.join(aside)} of {self.where}" if aside else None

    def discard(self) -> None:
        """See `keeper.Keeper`."""
        with self._session() as session, session.transaction():
            for name in _SCHEMAS:
                session.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(_loaded(name))))

    def _write_script(self, script: Path, member: Path, present: set[str]) -> None:
        """What psql runs: out of the way, load, aside, and back."""
        ours = [name for name in _SCHEMAS if name in present]
        loaded = [name for name in _SCHEMAS if f" SCHEMA - {name} " in self._contents(member)]
        with os.fdopen(os.open(script, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.writelines(_rename_text(name, f"{name}_moved") for name in ours)
            stream.flush()
            self._run("pg_restore", ["--no-owner", "--no-privileges", "--file=-", str(member)], stdout=stream.fileno())
            stream.seek(0, os.SEEK_END)
            stream.writelines(_rename_text(name, _loaded(name)) for name in loaded)
            stream.writelines(_rename_text(f"{name}_moved", name) for name in ours)

    def _contents(self, member: Path) -> str:
        listing = self._run("pg_restore", ["--list", str(member)])
        return listing.decode(errors="replace")

    def _address(self) -> str:
        """For programs' arguments, which everybody on the host can see: without the password."""
        given = {key: value for key, value in postgresql.parameters(self._url).items() if key != "password"}
        return psycopg.conninfo.make_conninfo(**given)

    def _environment(self) -> Mapping[str, str]:
        password = postgresql.parameters(self._url).get("password")
        return {**os.environ, **({"PGPASSWORD": password} if password else {})}

    def _run(self, program: str, arguments: list[str], *, stdout: int = subprocess.PIPE) -> bytes:
        argv = [process.find_program(program, package=_PACKAGE), *arguments]
        return process.run(argv, deadline_seconds=_DEADLINE_SECONDS, env=self._environment(), stdout=stdout)

    @contextlib.contextmanager
    def _session(self) -> Iterator[psycopg.Connection[Any]]:
        """Raises: errors.DatabaseUnavailable."""
        try:
            with contextlib.closing(self._connect()) as session:
                session.autocommit = True
                yield session
        except psycopg.Error as error:
            raise errors.DatabaseUnavailable(where=self.where, detail=postgresql.words(error)) from error

    def _present(self, session: psycopg.Connection[Any]) -> set[str]:
        wanted = [*_SCHEMAS, *(_loaded(name) for name in _SCHEMAS)]
        found = session.execute("SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = ANY(%s)", [wanted])
        return {row[0] for row in found}


def _loaded(schema: str) -> str:
    return f"{schema}_loaded"


def _replaced(schema: str, label: str) -> str:
    return f"{schema}_replaced_{label}"


def _rename(session: psycopg.Connection[Any], old: str, new: str) -> None:
    statement = sql.SQL("ALTER SCHEMA {} RENAME TO {}")
    session.execute(statement.format(sql.Identifier(old), sql.Identifier(new)))


def _rename_text(old: str, new: str) -> str:
    return f'ALTER SCHEMA "{old}" RENAME TO "{new}";\n'
