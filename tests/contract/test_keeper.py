"""The contract of db.keeper.Keeper, and with it backup and restore of an installation's databases, on both kinds."""

import contextlib
import dataclasses
import datetime
import sqlite3
import threading
import uuid

import psycopg
import pytest
import sqlalchemy as sa
from tests.support import postgresql as postgresql_server

from estampe import errors
from estampe.db import database, keeper_postgresql, keeper_sqlite, operations, schema, servers, templates
from estampe.jobs import dbos_engine
from estampe.maintenance import service
from estampe.model import account, characteristics, operation, template

OWNER = account.DEFAULT_ACCOUNT_ID
NOON = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
WEEK = datetime.timedelta(weeks=1)
DEADLINE_SECONDS = 30


@dataclasses.dataclass(kw_only=True)
class Site:
    """One installation's databases, as the daemon and the maintenance see them."""

    url: str
    jobs_url: str
    maintenance: service.Maintenance

    @property
    def keeper(self):
        return self.maintenance.keeper

    @contextlib.contextmanager
    def db(self):
        with contextlib.closing(database.Database.open(self.url)) as opened:
            yield opened

    def engine(self, body):
        made = dbos_engine.DbosEngine(
            self.jobs_url, executor_id="host", generation=1, concurrency={}, queue_interval_seconds=0.02
        )
        made.register("capture", body, abandon=lambda *_: None)
        made.launch()
        return made


def make_site(keeper, url, jobs_url, directory):
    maintenance = service.Maintenance(
        keeper=keeper, open_database=lambda: database.Database.open(url), directory=directory, version="0.1.0",
        clock=lambda: NOON,
    )  # fmt: skip
    return Site(url=url, jobs_url=jobs_url, maintenance=maintenance)


@pytest.fixture(params=["sqlite", postgresql_server.PARAMETER])
def site(request, tmp_path):
    """Nothing is there yet."""
    state = tmp_path / "state"
    state.mkdir()
    if request.param == "sqlite":
        kept = keeper_sqlite.SqliteKeeper(catalogue=state / "estampe.db", jobs=state / "jobs.db")
        yield make_site(kept, f"sqlite:///{state}/estampe.db", f"sqlite:///{state}/jobs.db", state)
        return
    server = request.getfixturevalue("postgresql")
    url = server.new()
    yield make_site(keeper_postgresql.PostgresqlKeeper(url), url, url, state)
    server.drop(url)


@pytest.fixture
def filled(site):
    """With templates that are complete, in the trash and being captured, two operations, and a row in every other table."""
    with site.db() as db:
        db.upgrade()
        rows = templates.Templates(db)
        made = {}
        for name in ("web", "old", "half"):
            made[name] = rows.reserve(
                id=uuid.uuid4(), owner_id=OWNER, name=name, note="ü 'quoted' \\", tags=["blue"], server_id=None,
                server_name="web-01", created_at=NOON, characteristics=characteristics.Characteristics(tuned_for="builds"),
            )  # fmt: skip
        for name in ("web", "old"):
            rows.publish(
                made[name].id, logical_bytes=1 << 40, data_bytes=2, new_bytes=3, is_sealed=True, guest_product=None
            )
        rows.trash(made["old"].id, by="root", at=NOON, until=NOON + WEEK, unless_locked="template/x")
        servers.Servers(db, clock=lambda: NOON).ensure(owner_id=OWNER, domain_uuid=uuid.uuid4(), name="web-01")
        for key, is_ended in (("server/a", True), ("server/b", False)):
            begun = operations.Operations(db).add(
                id=uuid.uuid4(), owner_id=OWNER, kind=operation.Kind.CAPTURE, subject="web-01", request={"server": "web-01"},
                locks=[operations.Lock(key, is_exclusive=True)], created_at=NOON,
            )  # fmt: skip
            operations.Operations(db).start(begun.id, at=NOON)
            if is_ended:
                operations.Operations(db).finish(begun.id, operation.State.SUCCEEDED, result={"a": 1}, at=NOON)
        fill(db)
    return site


def fill(db):
    """A row in each table that has none, whatever tables there are by now."""
    plain = {uuid.UUID: uuid.uuid4, str: lambda: "some text", int: lambda: 7, bool: lambda: True, dict: dict}
    with db.write() as connection:
        for table in schema.metadata.sorted_tables:
            if connection.execute(sa.select(table).limit(1)).first() is None:
                row = {column.name: value_of(connection, column, plain) for column in table.columns}
                connection.execute(sa.insert(table).values(row))


def value_of(connection, column, plain):
    for key in column.foreign_keys:
        of = sa.select(key.column).limit(1)
        if key.column.table is schema.templates:
            of = of.where(schema.templates.c.name == "web")  # one that a restore keeps, as the half captured is not
        return connection.execute(of).scalar()
    if isinstance(column.type, schema.UtcDateTime):
        return NOON
    return plain[column.type.python_type]()


@pytest.fixture
def backup(filled, tmp_path):
    return filled.maintenance.backup(tmp_path / "backup.tar").path


def catalogue(site):
    """All that the catalogue says: the rows of every table."""
    with site.db() as db, db.read() as connection:
        return {
            table.name: connection.execute(sa.select(table).order_by(*table.primary_key)).all()
            for table in schema.metadata.sorted_tables
        }


def rename(site, name):
    with site.db() as db, db.write() as connection:
        connection.execute(sa.text("UPDATE accounts SET name = :name"), {"name": name})


def account_name(site):
    with site.db() as db:
        return db_account(db)


def db_account(db):
    with db.read() as connection:
        return connection.exec_driver_sql("SELECT name FROM accounts").scalar()


# --- backup ---------------------------------------------------------------------------------------------------------


def test_a_backup_and_its_restore_bring_back_every_row_of_every_table(filled, backup):
    before = catalogue(filled)
    assert [name for name, rows in before.items() if not rows] == []
    with filled.db() as db, db.write() as connection:
        for table in reversed(schema.metadata.sorted_tables):
            if table is not schema.accounts:
                connection.execute(sa.delete(table))
    rename(filled, "changed")
    filled.maintenance.restore(backup)
    after = catalogue(filled)
    (half,) = [row.id for row in before["templates"] if row.name == "half"]
    expected = before | {
        "templates": [row for row in before["templates"] if row.id != half],
        "template_tags": [row for row in before["template_tags"] if row.template_id != half],
        "operations": [row for row in before["operations"] if row.state == "succeeded"],
        "operation_locks": [],
    }
    kept = {row.id for row in expected["operations"]}
    expected["operation_reservations"] = [row for row in before["operation_reservations"] if row.operation_id in kept]
    after["operations"] = [row for row in after["operations"] if row.state != "failed"]
    assert after == expected


def test_the_trash_goes_on_with_the_time_that_it_had_left(filled, backup):
    """Else the next start would purge at once what was taken out of the trash since the backup."""
    much_later = dataclasses.replace(filled.maintenance, clock=lambda: NOON + 10 * WEEK)
    with filled.db() as db:
        assert [row.name for row in templates.Templates(db).list_due(NOON + 10 * WEEK)] == ["old"]
    much_later.restore(backup)
    with filled.db() as db:
        rows = templates.Templates(db)
        assert rows.list_due(NOON + 10 * WEEK) == []
        (old,) = rows.list_in_state(template.State.TRASHED)
        assert (old.trash.at, old.trash.until) == (NOON, NOON + 11 * WEEK)


def test_a_backup_is_for_its_owner_only_and_says_what_it_is(filled, tmp_path):
    made = filled.maintenance.backup(tmp_path / "backup.tar")
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert made.size_bytes == made.path.stat().st_size
    assert (made.facts.kind, made.facts.estampe_version, made.facts.created_at) == (filled.keeper.kind, "0.1.0", NOON)
    with filled.db() as db:
        assert made.facts.revision == db.revision()
    assert filled.maintenance.examine(made.path) == made.facts
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "state"]


def test_a_backup_is_never_written_over_another_file(filled, backup):
    content = backup.read_bytes()
    with pytest.raises(errors.NameInUse, match=r"backup\.tar"):
        filled.maintenance.backup(backup)
    assert backup.read_bytes() == content


def test_a_backup_into_a_missing_folder_is_refused(filled, tmp_path):
    with pytest.raises(errors.BackupFailed, match="folder"):
        filled.maintenance.backup(tmp_path / "missing" / "backup.tar")


def test_nothing_can_be_backed_up_before_the_daemon_was_there(site, tmp_path):
    with pytest.raises(errors.DatabaseUnavailable, match="daemon makes it"):
        site.maintenance.backup(tmp_path / "backup.tar")
    assert not (tmp_path / "backup.tar").exists()
    assert not site.keeper.is_there()


def test_a_backup_beside_a_writer_is_of_one_moment(filled, tmp_path):
    """A writer keeps two rows equal in each transaction; a copy of two moments would show them different."""
    stop, wrote = threading.Event(), threading.Event()

    def write():
        with filled.db() as db:
            count = 0
            while not stop.is_set():
                count += 1
                with db.write() as connection:
                    connection.execute(sa.text("UPDATE templates SET note = :text"), {"text": f"{count}"})
                    connection.execute(sa.text("UPDATE servers SET name = :text"), {"text": f"{count}"})
                wrote.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert wrote.wait(DEADLINE_SECONDS)
        made = filled.maintenance.backup(tmp_path / "backup.tar")
    finally:
        stop.set()
        writer.join()
    filled.maintenance.restore(made.path)
    found = catalogue(filled)
    assert {row.note for row in found["templates"]} == {row.name for row in found["servers"]}


def test_the_engines_records_come_back_too(filled, tmp_path):
    done = threading.Event()
    engine = filled.engine(lambda steps, _id: (steps.run("one", lambda: 1), done.set()))
    ended = uuid.uuid4()
    engine.start("capture", ended)
    assert done.wait(DEADLINE_SECONDS)
    while engine.list_unfinished():
        done.wait(0.01)
    engine.close(timeout_seconds=5)
    made = filled.maintenance.backup(tmp_path / "backup.tar")
    engine = filled.engine(lambda *_: None)
    engine.forget([ended])
    engine.close(timeout_seconds=5)
    filled.maintenance.restore(made.path)
    ran = []
    engine = filled.engine(lambda *_: ran.append(1))
    engine.start("capture", ended)  # known: one id is one workflow
    assert engine.list_unfinished() == set()
    engine.close(timeout_seconds=5)
    assert ran == []


# --- restore --------------------------------------------------------------------------------------------------------


def test_work_that_was_under_way_is_ended_and_gives_its_locks_back(filled, backup):
    done = filled.maintenance.restore(backup)
    with filled.db() as db:
        rows = operations.Operations(db)
        assert rows.list_unfinished() == []
        assert rows.locks_held() == []
        (ended,) = done.ended
        found = rows.get(ended)
        assert (found.state, found.error["code"]) == (operation.State.FAILED, "operation-not-restored")
        assert done.dropped == ("half@1",)
        rows = templates.Templates(db)
        assert [row.reference for state in template.State for row in rows.list_in_state(state)] == ["web@1", "old@1"]


def test_the_replaced_database_is_kept_aside(filled, backup):
    rename(filled, "replaced")
    done = filled.maintenance.restore(backup)
    assert account_name(filled) == "default"
    if filled.keeper.kind == "SQLite":
        assert done.replaced.endswith("state/replaced-20260301t120000z")
        kept = database.Database.open(f"sqlite:///{done.replaced}/estampe.db")
    else:
        assert "estampe_replaced_20260301t120000z" in done.replaced
        kept = database.Database.open(filled.url, schema="estampe_replaced_20260301t120000z")
    assert db_account(kept) == "replaced"
    kept.close()


def test_a_restore_where_nothing_was_replaces_nothing(filled, backup, tmp_path, request):
    state = tmp_path / "new"
    state.mkdir()
    if filled.keeper.kind == "SQLite":
        kept = keeper_sqlite.SqliteKeeper(catalogue=state / "estampe.db", jobs=state / "jobs.db")
        other = make_site(kept, f"sqlite:///{state}/estampe.db", f"sqlite:///{state}/jobs.db", state)
    else:
        url = request.getfixturevalue("postgresql").new()
        other = make_site(keeper_postgresql.PostgresqlKeeper(url), url, url, state)
    done = other.maintenance.restore(backup)
    assert done.replaced is None
    assert account_name(other) == "default"
    with other.db() as db:
        assert [row.state for row in templates.Templates(db).list(OWNER).items] == [template.State.ACTIVE]


def test_a_restore_can_be_undone_by_restoring_again(filled, backup, tmp_path):
    rename(filled, "newer")
    newer = filled.maintenance.backup(tmp_path / "newer.tar").path
    filled.maintenance.restore(backup)
    later = dataclasses.replace(filled.maintenance, clock=lambda: NOON + datetime.timedelta(seconds=1))
    later.restore(newer)
    assert account_name(filled) == "newer"


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_damaged_backup_changes_nothing(filled, backup, place):
    rename(filled, "in use")
    before = catalogue(filled)
    data = bytearray(backup.read_bytes())
    at = {"first": 600, "middle": len(data) // 2, "last": len(data.rstrip(b"\0")) - 3}[place]
    data[at] ^= 0xFF
    backup.write_bytes(bytes(data))
    with pytest.raises((errors.BackupCorrupt, errors.BackupVersionUnsupported)):
        filled.maintenance.restore(backup)
    assert catalogue(filled) == before
    assert no_remains(filled)


def no_remains(site):
    """Nothing that was loaded is left lying about."""
    if site.keeper.kind == "SQLite":
        return not (site.maintenance.directory / "loaded").exists()
    with psycopg.connect(site.url) as connection:
        return not connection.execute("SELECT 1 FROM pg_namespace WHERE nspname LIKE 'estampe%loaded'").fetchall()


def test_a_backup_of_a_newer_estampe_changes_nothing(filled, tmp_path):
    with filled.db() as db:
        known = db.revision()
        with db.write() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    newer = filled.maintenance.backup(tmp_path / "newer.tar").path
    with filled.db() as db, db.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :known"), {"known": known})
    before = catalogue(filled)
    with pytest.raises(errors.DatabaseVersionUnsupported, match="9999"):
        filled.maintenance.restore(newer)
    assert catalogue(filled) == before


def test_a_backup_of_the_other_kind_is_refused(filled, backup, tmp_path):
    class Other:
        kind = "Other"

    other = dataclasses.replace(filled.maintenance, keeper=Other())
    with pytest.raises(errors.BackupKindMismatch, match=filled.keeper.kind):
        other.examine(backup)


def test_what_a_cut_off_restore_left_is_thrown_away_by_the_next(filled, backup, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    filled.keeper.dump(scratch)
    filled.keeper.load(scratch)  # and here the process is killed
    assert account_name(filled) == "default"
    filled.maintenance.restore(backup)
    assert no_remains(filled)


def test_a_database_that_another_daemon_works_with_is_not_replaced(filled, backup):
    if filled.keeper.kind != "SQLite":  # whose lock is that of the state directory: tests/unit/cli/test_database.py
        with filled.db() as db, db.alone(), pytest.raises(errors.DatabaseInUse):
            filled.maintenance.restore(backup)
    assert filled.maintenance.restore(backup).replaced


def test_a_missing_backup_is_not_found(filled, tmp_path):
    with pytest.raises(errors.BackupNotFound, match="No such file"):
        filled.maintenance.restore(tmp_path / "missing.tar")


# --- upgrade --------------------------------------------------------------------------------------------------------


def test_an_upgrade_is_planned_done_and_then_nothing_is_left_to_do(site):
    planned = site.maintenance.plan_upgrade()
    assert (planned.was, planned.steps[0].revision) == (None, "0001")
    assert not site.keeper.is_there()
    done = site.maintenance.upgrade()
    assert (done.was, done.now, done.steps) == (None, planned.now, planned.steps)
    assert site.keeper.is_there()
    again = site.maintenance.upgrade()
    assert (again.was, again.now, again.steps) == (planned.now, planned.now, ())


def test_a_database_of_a_newer_estampe_is_not_upgraded(filled):
    with filled.db() as db, db.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for call in (filled.maintenance.plan_upgrade, filled.maintenance.upgrade):
        with pytest.raises(errors.DatabaseVersionUnsupported, match="9999"):
            call()


# --- SQLite alone ---------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path, migrated_sqlite):
    """A SQLite installation's maintenance and its catalogue."""
    state = tmp_path / "state"
    state.mkdir()
    path = state / "estampe.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    kept = keeper_sqlite.SqliteKeeper(catalogue=path, jobs=state / "jobs.db")
    return make_site(kept, f"sqlite:///{path}", f"sqlite:///{state}/jobs.db", state), path


def test_a_damaged_sqlite_database_is_not_backed_up_but_can_be_replaced(files, tmp_path):
    site, path = files
    sound = site.maintenance.backup(tmp_path / "sound.tar").path
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 4] = b"\xff" * 4096
    path.write_bytes(bytes(data))
    with pytest.raises(errors.DatabaseDamaged, match=r"estampe\.db"):
        site.maintenance.backup(tmp_path / "damaged.tar")
    assert not (tmp_path / "damaged.tar").exists()
    done = site.maintenance.restore(sound)
    assert account_name(site) == "default"
    assert (tmp_path / "state" / "replaced-20260301t120000z" / "estampe.db").read_bytes() == bytes(data)
    assert done.ended == ()


def test_rows_that_are_only_in_sqlites_log_are_in_the_backup_and_in_what_is_kept_aside(files, tmp_path):
    """The daemon was killed: the log was never folded into the file."""
    site, path = files
    killed = sqlite3.connect(path, isolation_level=None)
    killed.execute("PRAGMA journal_mode = WAL")
    killed.execute("UPDATE accounts SET name = 'in the log'")
    made = site.maintenance.backup(tmp_path / "backup.tar").path
    killed.execute("UPDATE accounts SET name = 'later'")
    done = site.maintenance.restore(made)
    killed.close()
    assert account_name(site) == "in the log"
    with contextlib.closing(database.Database.open(f"sqlite:///{done.replaced}/estampe.db")) as kept:
        assert db_account(kept) == "later"
