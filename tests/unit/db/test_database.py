"""What SQLite alone is asked for: durability, privacy, and words instead of driver errors."""

import contextlib
import datetime
import sqlite3
import subprocess
import uuid

import pytest
import sqlalchemy as sa

from estampe import errors
from estampe.db import accounts, database, schema, sqlite


@pytest.fixture
def path(tmp_path):
    return tmp_path / "estampe.sqlite"


@pytest.fixture
def db(path):
    opened = database.Database.open(f"sqlite:///{path}")
    opened.upgrade()
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 30_000)]
)
def test_sqlite_is_set_up_to_keep_what_it_was_given(db, pragma, value):
    with db.read() as connection:
        assert connection.execute(sa.text(f"PRAGMA {pragma}")).scalar() == value


def test_the_files_are_for_their_owner_only(db, path):
    with db.write() as connection:
        connection.execute(sa.text("UPDATE accounts SET name = 'x'"))
        files = list(path.parent.iterdir())
        assert {file.name for file in files} == {path.name + end for end in ("", "-wal", "-shm", ".reserve")}
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_writer_that_read_first_is_not_overtaken(db):
    """BEGIN IMMEDIATE: what a writing transaction has read still holds when it writes."""
    with db.write() as connection:
        connection.execute(sa.select(schema.accounts)).all()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            sqlite3.connect(db.where.removeprefix("sqlite:///"), timeout=0).execute("BEGIN IMMEDIATE")


def test_readers_do_not_wait_for_a_writer(db):
    with db.write() as connection:
        connection.execute(sa.text("UPDATE accounts SET name = 'x'"))
        assert accounts.Accounts(db).get_default().name == "default"
    assert accounts.Accounts(db).get_default().name == "x"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:////no/such/folder/estampe.sqlite"])
def test_a_database_that_cannot_be_is_refused_in_words(url):
    with pytest.raises(errors.DatabaseUnavailable):
        database.Database.open(url)


def test_a_file_that_is_no_database_is_refused_in_words(path):
    path.write_text("no database " * 100)
    opened = database.Database.open(f"sqlite:///{path}")
    with pytest.raises(errors.DatabaseUnavailable, match="not a database"):
        opened.upgrade()
    opened.close()


def test_a_driver_error_names_the_cause_and_no_parameters(db):
    with pytest.raises(errors.DatabaseUnavailable) as caught, db.write() as connection:
        connection.execute(sa.text("SELECT 1 FROM missing WHERE name = :secret"), {"secret": "hunter2"})
    assert "no such table" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def _times(db, value):
    with db.write() as connection:
        connection.execute(sa.insert(_clock).values(at=value))
        return connection.execute(sa.select(_clock.c.at)).scalar_one()


_clock = sa.Table("clock", sa.MetaData(), sa.Column("at", schema.UtcDateTime))


@pytest.fixture
def clock_db(db):
    with db.write() as connection:
        _clock.create(connection)
    return db


def test_times_are_kept_to_the_microsecond_and_given_back_in_utc(clock_db):
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    given = datetime.datetime(2026, 3, 1, 1, 2, 3, 456789, tzinfo=zone)
    kept = _times(clock_db, given)
    assert kept == given
    assert kept.tzinfo is datetime.UTC


def test_no_time_is_no_time(clock_db):
    assert _times(clock_db, None) is None


def test_a_time_without_a_zone_is_refused(clock_db):
    with pytest.raises(sa.exc.StatementError, match="naive time"):
        _times(clock_db, datetime.datetime(2026, 3, 1))  # noqa: DTZ001 - the point of the test


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with room for the reserve and half as much again."""
    size = sqlite.RESERVE_BYTES * 3 // 2
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


def fill(folder):
    with contextlib.suppress(OSError), (folder / "volume").open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))


def insert(db):
    with db.write() as connection:
        connection.execute(sa.insert(schema.accounts).values(id=uuid.uuid4(), name="x" * 500_000))


@pytest.mark.requires_root
def test_a_full_disk_is_told_and_the_reserve_lets_the_next_attempt_succeed(small_disk):
    db = database.Database.open(f"sqlite:///{small_disk}/estampe.sqlite")
    db.upgrade()
    fill(small_disk)
    with pytest.raises(errors.DatabaseUnavailable, match="full"):
        insert(db)
    insert(db)
    db.close()
    (small_disk / "volume").unlink()
    reopened = database.Database.open(f"sqlite:///{small_disk}/estampe.sqlite")
    assert (small_disk / "estampe.sqlite.reserve").stat().st_size == sqlite.RESERVE_BYTES
    reopened.close()


@pytest.mark.requires_root
def test_a_disk_without_room_for_a_reserve_stops_no_start(small_disk, caplog):
    (small_disk / "ballast").write_bytes(bytes(sqlite.RESERVE_BYTES))
    db = database.Database.open(f"sqlite:///{small_disk}/estampe.sqlite")
    db.upgrade()
    db.close()
    assert "no space can be kept in reserve" in caplog.text
    assert not (small_disk / "estampe.sqlite.reserve").exists()
