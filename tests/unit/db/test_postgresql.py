"""What PostgreSQL alone is asked for: durability, words instead of driver errors, patience, and silence about passwords."""

import concurrent.futures
import contextlib
import logging
import os
import signal
import subprocess
import traceback
import uuid

import psycopg
import pytest
import sqlalchemy as sa
from tests.support import postgresql as postgresql_server

from estampe import config, errors
from estampe.db import accounts, database, postgresql, schema

SECRET = "hunter2"


@pytest.fixture
def url(postgresql, migrated_postgresql):
    made = postgresql.new(migrated_postgresql)
    yield made
    postgresql.drop(made)


@pytest.fixture
def db(url):
    opened = database.Database.open(url)
    yield opened
    opened.close()


def setting(db, name):
    with db.read() as connection:
        return connection.execute(sa.text(f"SHOW {name}")).scalar()


# --- URLs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://estampe@db.example/prints", "PostgreSQL prints on estampe@db.example"),
        (f"postgresql://estampe:{SECRET}@db.example:5433/prints", "PostgreSQL prints on estampe@db.example:5433"),
        (f"postgresql:///prints?host=/run/postgresql&password={SECRET}", "PostgreSQL prints on /run/postgresql"),
        ("postgres://a,b/prints?target_session_attrs=read-write", "PostgreSQL prints on a,b"),
        ("postgresql://?service=prints", "PostgreSQL service prints"),
        ("postgresql://", "PostgreSQL default on the local server"),
    ],
)
def test_a_database_is_described_without_its_password(url, words):
    assert postgresql.describe(url) == words


@pytest.mark.parametrize("password", ["hun@ter2", "hun/ter2", "hun%ter2", "hun%zzter2", "hun:ter2/x"])
def test_a_password_that_is_not_encoded_is_refused_without_being_told(password):
    with pytest.raises(errors.DatabaseUrlInvalid) as caught:
        database.Database.open(f"postgresql://estampe:{password}@db.example/prints")
    assert "ter2" not in "".join(traceback.format_exception(caught.value))


def test_an_encoded_password_is_what_libpq_gets():
    assert postgresql.parameters("postgresql://a:h%40%2F%3A%25@b/c")["password"] == "h@/:%"


def test_the_setting_tells_no_password():
    settings = config.load(database_url=f"postgresql://a:{SECRET}@b/c")
    assert SECRET not in repr(settings)
    with pytest.raises(errors.InvalidSetting) as caught:
        config.load(database_url=f"mysql://a:{SECRET}@b/c")
    assert "postgresql://" in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_is_not_there_is_told_after_patience_without_the_password(tmp_path, caplog):
    waited = []
    with caplog.at_level(logging.DEBUG):
        db = database.Database.open(f"postgresql://a:{SECRET}@/c?host={tmp_path}", wait=waited.append)
        with pytest.raises(errors.DatabaseUnavailable) as caught:
            accounts.Accounts(db).get_default()
    assert sum(waited) == pytest.approx(8.0)
    assert str(tmp_path) in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + caplog.text


# --- sessions -------------------------------------------------------------------------------------------------------


@pytest.mark.requires_postgresql
def test_a_commit_is_durable_though_the_server_was_told_otherwise(db, postgresql):
    assert postgresql.execute("SHOW synchronous_commit") == [("off",)]
    assert setting(db, "synchronous_commit") == "on"


@pytest.mark.requires_postgresql
def test_an_operators_choice_about_a_standby_stays(url, postgresql):
    name = postgresql_server.name_of(url)
    postgresql.execute(f"ALTER DATABASE {name} SET synchronous_commit = 'remote_apply'")
    with contextlib.closing(database.Database.open(url)) as db:
        assert setting(db, "synchronous_commit") == "remote_apply"


@pytest.mark.requires_postgresql
@pytest.mark.parametrize(
    ("name", "value"),
    [("lock_timeout", "30s"), ("idle_in_transaction_session_timeout", "1min"), ("search_path", "estampe")],
)
def test_a_session_is_set_up(db, name, value):
    assert setting(db, name) == value


@pytest.mark.requires_postgresql
def test_nothing_is_made_outside_of_estampes_schema(db, url, postgresql):
    made = postgresql.execute(
        "SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
        database=postgresql_server.name_of(url),
    )
    assert made == [("estampe",)]


@pytest.mark.requires_postgresql
def test_a_schema_that_an_administrator_made_needs_no_privilege_on_the_database(postgresql):
    url = postgresql.new()
    name, role = postgresql_server.name_of(url), f"limited_{uuid.uuid4().hex[:8]}"
    postgresql.execute(f"CREATE ROLE {role} LOGIN")
    postgresql.execute(f"CREATE SCHEMA estampe AUTHORIZATION {role}", database=name)
    with contextlib.closing(database.Database.open(url.replace(postgresql_server.USER, role))) as db:
        db.upgrade()
        assert db.revision()


@pytest.mark.requires_postgresql
def test_a_role_that_may_make_no_schema_is_told_so(postgresql):
    url = postgresql.new()
    role = f"limited_{uuid.uuid4().hex[:8]}"
    postgresql.execute(f"CREATE ROLE {role} LOGIN")
    with (
        contextlib.closing(database.Database.open(url.replace(postgresql_server.USER, role))) as db,
        pytest.raises(errors.DatabaseUnavailable, match="permission denied"),
    ):
        db.upgrade()


@pytest.mark.requires_postgresql
def test_one_daemon_works_with_a_database(url):
    with (
        contextlib.closing(database.Database.open(url)) as one,
        contextlib.closing(database.Database.open(url)) as other,
    ):
        with one.alone(), pytest.raises(errors.DatabaseInUse, match=postgresql_server.name_of(url)), other.alone():
            pass
        with other.alone():
            pass


# --- failures -------------------------------------------------------------------------------------------------------


def fail_with(db, state):
    """A real error of the server's, with that SQLSTATE; the statement and its parameters hold a secret."""
    code = f"DO $$ BEGIN RAISE EXCEPTION 'the cause' USING ERRCODE = '{state}', DETAIL = '{SECRET}'; END $$"
    with db.write() as connection:
        connection.execute(sa.text(code))


@pytest.mark.requires_postgresql
@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("40001", errors.DatabaseBusy),  # serialization failure
        ("40P01", errors.DatabaseBusy),  # deadlock
        ("55P03", errors.DatabaseBusy),  # lock not available
        ("53100", errors.DatabaseUnavailable),  # disk full
        ("53300", errors.DatabaseUnavailable),  # too many connections
        ("57P01", errors.DatabaseUnavailable),  # the server is being shut down
        ("08006", errors.DatabaseUnavailable),  # connection failure
        ("42501", errors.DatabaseUnavailable),  # privilege
        ("XX001", errors.DatabaseUnavailable),  # damaged data
    ],
)
def test_the_servers_errors_are_told_by_what_to_do_next(db, state, error):
    with pytest.raises(error) as caught:
        fail_with(db, state)
    assert type(caught.value) is error
    assert "the cause" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.requires_postgresql
def test_texts_sort_by_code_point_whatever_the_database_was_told(postgresql):
    """A column that a migration adds with the database's collation is told otherwise with the next upgrade."""
    url = postgresql.new()
    with contextlib.closing(database.Database.open(url)) as opened:
        opened.upgrade()
        with opened.write() as connection:
            connection.exec_driver_sql(
                'ALTER TABLE servers ADD COLUMN "Odd name" text, ADD COLUMN more text COLLATE "de-x-icu"'
            )
        opened.upgrade()
    found = postgresql.execute(
        "SELECT DISTINCT collation_name FROM information_schema.columns WHERE table_schema = 'estampe' AND data_type = 'text'",
        database=postgresql_server.name_of(url),
    )
    assert found == [("C",)]


@pytest.mark.requires_postgresql
def test_parameters_are_in_no_traceback(db):
    with pytest.raises(sa.exc.DBAPIError) as caught, db.write() as connection:
        connection.execute(sa.text("SELECT 1 WHERE CAST(:secret AS integer) = 1 AND missing"), {"secret": SECRET})
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.requires_postgresql
def test_a_session_that_the_server_ended_while_idle_is_replaced_silently(db, postgresql, url):
    accounts.Accounts(db).get_default()
    end_sessions(postgresql, url)
    assert accounts.Accounts(db).get_default().name == "default"


def end_sessions(server, url):
    """Ends them, and waits until they are gone: asked without a timeout, the server only sends them a signal."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        query = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s"
        connection.execute(query, [postgresql_server.name_of(url)])


@pytest.mark.requires_postgresql
def test_a_session_lost_inside_a_transaction_is_told_and_nothing_was_written(db, postgresql, url):
    def work():
        with db.write() as connection:
            connection.execute(sa.update(schema.accounts).values(name="half"))
            end_sessions(postgresql, url)
            connection.execute(sa.select(schema.accounts))

    with pytest.raises(errors.DatabaseUnavailable):
        work()
    assert accounts.Accounts(db).get_default().name == "default"


@pytest.mark.requires_postgresql
def test_too_many_connections_are_waited_for(url, postgresql):
    name = postgresql_server.name_of(url)
    role = f"few_{uuid.uuid4().hex[:8]}"
    postgresql.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
    postgresql.execute(f"GRANT USAGE ON SCHEMA estampe TO {role}", database=name)
    postgresql.execute(f"GRANT SELECT ON estampe.accounts TO {role}", database=name)
    few = url.replace(postgresql_server.USER, role)
    holder = database.Database.open(few)
    waits = []

    def free(seconds):
        waits.append(seconds)
        holder.close()

    with contextlib.closing(database.Database.open(few, wait=free)) as db:
        accounts.Accounts(holder).get_default()
        assert accounts.Accounts(db).get_default().name == "default"
    assert waits


@pytest.mark.requires_postgresql
def test_a_writer_that_is_stuck_does_not_keep_others_for_ever(url, postgresql):
    """The limit is 30 s; the test sets it shorter for this one database, after the session has set its own."""
    with (
        contextlib.closing(database.Database.open(url)) as stuck,
        contextlib.closing(database.Database.open(url)) as db,
    ):
        with db.read() as connection:
            connection.execute(sa.text("SET SESSION lock_timeout = '50ms'"))
        with stuck.write(), pytest.raises(errors.DatabaseBusy, match="lock timeout"), db.write():
            pass


@pytest.mark.requires_root
@pytest.mark.requires_postgresql
def test_a_full_disk_is_told_and_there_is_space_again(postgresql, tmp_path_factory):
    """A table space of its own on a small file system."""
    folder = postgresql.folder / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0777", "tmpfs", folder], check=True)
    try:
        (folder / "space").mkdir()
        os.chown(folder / "space", *postgresql.owner)
        postgresql.execute(f"CREATE TABLESPACE small LOCATION '{folder}/space'")
        url = postgresql.new("template1", options="TABLESPACE small")
        with contextlib.closing(database.Database.open(url)) as db:
            db.upgrade()
            with pytest.raises(errors.DatabaseUnavailable, match="No space left on device"):
                fill(db)
            assert accounts.Accounts(db).get_default().name == "default"
        postgresql.drop(url)
        postgresql.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(db):
    """One row after the other, of bytes that cannot be compressed, until there is no space."""
    for _ in range(100):
        with db.write() as connection:
            connection.execute(sa.insert(schema.accounts).values(id=uuid.uuid4(), name=f"{uuid.uuid4()}"))
            note = os.urandom(500_000).hex()
            connection.execute(sa.text("CREATE TABLE IF NOT EXISTS ballast (note text)"))
            connection.execute(sa.text("INSERT INTO ballast VALUES (:note)"), {"note": note})


@pytest.mark.requires_postgresql
def test_a_restart_of_the_server_is_survived_by_the_next_transaction(tmp_path):
    """A crash: sessions are cut, nothing is shut down in order, and what was committed is there."""
    with postgresql_server.cluster() as server:
        url = server.new()
        with contextlib.closing(database.Database.open(url)) as db:
            db.upgrade()
            with db.write() as connection:
                connection.execute(sa.update(schema.accounts).values(name="committed"))
            server.stop(signal.SIGQUIT)
            with concurrent.futures.ThreadPoolExecutor(1) as beside:
                starting = beside.submit(server.start)
                assert accounts.Accounts(db).get_default().name == "committed"
                starting.result()


@pytest.mark.requires_postgresql
@pytest.mark.parametrize("is_search", [True, False])
def test_a_search_is_planned_for_its_pattern_each_time_and_nothing_else_is(db, is_search):
    asked = "SELECT name FROM accounts WHERE name LIKE 'd%'"
    for _ in range(10):  # psycopg prepares what it has seen five times
        with db.read(is_search=is_search) as connection:
            assert connection.execute(sa.text(asked)).scalar() == "default"
    with db.read() as connection:
        prepared = connection.execute(sa.text("SELECT statement FROM pg_prepared_statements")).scalars().all()
    assert (asked in prepared) is not is_search


@pytest.mark.requires_postgresql
def test_a_look_up_needs_no_transaction_and_the_next_read_has_one(db):
    level = sa.text("SHOW transaction_isolation")
    for _ in range(2):
        with db.look_up() as connection:
            assert connection.execute(level).scalar() == "read committed"
            assert not in_transaction(connection)
        with db.read() as connection:
            assert connection.execute(level).scalar() == "repeatable read"
            assert in_transaction(connection)


def in_transaction(connection):
    return connection.connection.dbapi_connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
