"""The real services of accounts over SQLite, for tests whose other services are fakes; one for each process."""

from __future__ import annotations

import atexit
import dataclasses
import datetime
import functools
import shutil
import tempfile
from pathlib import Path

import sqlalchemy as sa

from estampe.accounts import auditing, bundle, passwords
from estampe.db import audit, database, schema, servers
from estampe.model import account
from estampe.servers import footprint
from estampe.virt import fake

NOW = datetime.datetime(2026, 11, 23, 12, 0, tzinfo=datetime.UTC)
QUICK = passwords.Passwords(passes=1, memory_kib=8, lanes=1)


class Office:
    """Accounts and people; `now` is the time that its services see."""

    def __init__(self, directory: Path) -> None:
        self.now = NOW
        self.forgotten: list[object] = []
        self.db = database.Database.open(f"sqlite:///{directory / 'estampe.db'}")
        self.db.upgrade()
        rows = servers.Servers(self.db, clock=lambda: self.now)
        self.bundle = bundle.Bundle.make(
            self.db, servers=rows, footprint=footprint.Footprint(host=fake.FakeHost(directory / "host"), rows=rows),
            forget=self.forgotten.extend, sign_in_life=datetime.timedelta(hours=12), now=lambda: self.now, hasher=QUICK,
        )  # fmt: skip
        log = auditing.AuditService(rows=audit.Audit(self.db), now=self._tick)
        self.bundle = dataclasses.replace(self.bundle, audit=log)
        self._ticks = 0

    def _tick(self) -> datetime.datetime:
        """Entries have an order, as they have in life."""
        self._ticks += 1
        return self.now + datetime.timedelta(microseconds=self._ticks)

    def reset(self) -> None:
        """As new."""
        self.now = NOW
        with self.db.write() as connection:
            for table in reversed(schema.metadata.sorted_tables):
                if table is not schema.accounts:
                    connection.execute(sa.delete(table))
            connection.execute(sa.delete(schema.accounts).where(schema.accounts.c.id != account.DEFAULT_ACCOUNT_ID))


@functools.cache
def office() -> Office:
    """This process' own."""
    directory = Path(tempfile.mkdtemp(prefix="estampe-office-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Office(directory)
