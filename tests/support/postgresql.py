"""A PostgreSQL server of the tests' own: a private cluster on a unix socket, with a database for each test.

It runs as an unprivileged user (initdb refuses root), without fsync unless it is to be measured, and is ended by its process
id. Its databases sort as people do, not by code point: what Estampe needs sorted must not depend on that.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

# Of a fixture that makes the one or the other database.
PARAMETER = pytest.param("postgresql", marks=pytest.mark.requires_postgresql)

_START_SECONDS = 60
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder with a random name is made in it
_ROOM_BYTES = 1 << 30
_OPTIONS = {
    "listen_addresses": "''", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "wal_level": "minimal",
    "max_wal_senders": "0", "autovacuum": "off", "shared_buffers": "32MB", "max_connections": "100", "log_min_messages": "fatal",
}  # fmt: skip
# As PostgreSQL is when it is installed: for measurements.
DURABLE = {"listen_addresses": "''", "max_connections": "100", "log_min_messages": "warning"}
USER = "estampe_test"


def missing() -> str:
    """What this host lacks; empty where nothing is missing."""
    if find_programs() is None:
        return "PostgreSQL is not installed: script/setup installs postgresql-15"
    return ""


def find_programs() -> Path | None:
    """The folder of Debian's newest server programs, or that of PATH's."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if installed:
        return installed[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _account() -> pwd.struct_passwd:
    """Whom the server runs as: initdb refuses root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _has_room(folder: Path) -> bool:
    return folder.is_dir() and shutil.disk_usage(folder).free > _ROOM_BYTES


class Cluster:
    """A running server."""

    def __init__(self, folder: Path, options: dict[str, str] = _OPTIONS) -> None:
        self.folder = folder
        self._options = options
        self._account = _account()
        self._numbers = itertools.count()
        self._programs = find_programs()
        self._server: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        if os.geteuid() == 0:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        self._run(
            "initdb", "--no-sync", "--no-instructions", "--auth=trust", f"--username={USER}", "--encoding=UTF8",
            "--locale=C", "--locale-provider=icu", "--icu-locale=en", f"--pgdata={self.folder}/data",
        )  # fmt: skip

    def start(self) -> None:
        options = {**self._options, "unix_socket_directories": str(self.folder)}
        flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value.strip(chr(39))}")]
        argv = [str(self._programs / "postgres"), "-D", f"{self.folder}/data", *flags]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(argv, stdout=log, stderr=log, cwd=self.folder, **self._identity())
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from error
                time.sleep(0.05)  # a process that is not ours
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends sessions and the server (fast), SIGQUIT without a checkpoint, as after a crash (immediate)."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(60)
            self._server = None

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    @property
    def owner(self) -> tuple[int, int]:
        """Whom the server's files belong to."""
        return self._account.pw_uid, self._account.pw_gid

    def new(self, template: str = "template1", options: str = "") -> str:
        """A fresh database's URL; with the tables and rows of `template`, to which nobody may be connected."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy {options}")
        return self.url(name)

    def drop(self, url: str) -> None:
        self.execute(f"DROP DATABASE {name_of(url)} WITH (FORCE)")

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _identity(self) -> dict:
        if os.geteuid() != 0:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _run(self, program: str, *arguments: str) -> None:
        argv = [str(self._programs / program), *arguments]
        ran = subprocess.run(
            argv, capture_output=True, text=True, timeout=120, check=False, cwd=self.folder, **self._identity()
        )
        if ran.returncode != 0:
            raise RuntimeError(f"{program}: {ran.stderr}")


def name_of(url: str) -> str:
    """The database's name in a URL of `Cluster.url`."""
    return url.partition("@/")[2].partition("?")[0]


@contextlib.contextmanager
def cluster(*, below: Path | None = None, options: dict[str, str] = _OPTIONS) -> Iterator[Cluster]:
    """One, in a folder of its own; a socket's path may have 107 bytes, so not below pytest's folders.

    In memory where there is room and no other place is named: a fresh database is 7 MB, and takes 0.03 s there, on a disk ten
    times that.
    """
    parent = below or (_MEMORY if _has_room(_MEMORY) else None)
    folder = Path(tempfile.mkdtemp(prefix="estampe-test-pg-", dir=parent))
    made = Cluster(folder, options)
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)
