"""The schema's history leads to the schema, with the data it meets on the way."""

import datetime
import uuid

import pytest
import sqlalchemy as sa

from estampe import errors
from estampe.db import accounts, database, migration, operations, quotas, servers, templates
from estampe.model import account, operation, quota

NOON = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)

FIRST_ROWS = r"""
INSERT INTO servers VALUES (:server, :owner, :domain, 'web-01', NULL, :at);
INSERT INTO templates
VALUES (:template, :owner, 'web', 3, 'active', 'a note', :server, 'web-01', :at, 100, 50, 20, 1, 'Debian 12');
INSERT INTO template_tags VALUES (:template, 'blue', 0);
INSERT INTO operations
VALUES (:operation, :owner, 'capture', 'web-01', 'running', 'copying', 5, 10, :at, 0, '{"server"\: "web-01"}', NULL, NULL,
        :at, :at, NULL);
INSERT INTO operation_locks VALUES ('server/x', :operation, 1)
"""


@pytest.fixture
def db(tmp_path):
    opened = database.Database.open(f"sqlite:///{tmp_path}/estampe.sqlite")
    yield opened
    opened.close()


def test_the_migrations_end_at_the_schema(db):
    db.upgrade()
    with db.read() as connection:
        assert migration.differences(connection) == []


def test_a_missing_column_would_be_noticed(db):
    """The comparison itself works: it is not empty by accident."""
    db.upgrade()
    with db.write() as connection:
        connection.execute(sa.text("ALTER TABLE servers DROP COLUMN template_id"))
        assert [change[0] for change in migration.differences(connection)] == ["add_column"]


def test_upgrading_again_changes_nothing(db):
    db.upgrade()
    with db.write() as connection:
        connection.execute(sa.text("UPDATE accounts SET name = 'operator'"))
    db.upgrade()
    with db.read() as connection:
        assert connection.execute(sa.text("SELECT name FROM accounts")).scalars().all() == ["operator"]


def test_data_of_the_first_schema_survives_to_the_newest(db):
    """Written in the SQL of 0001: it must not change when the schema does."""
    db.upgrade("0001")
    ids = {name: uuid.uuid4() for name in ("server", "domain", "template", "operation")}
    values = {name: each.hex for name, each in ids.items()}
    values |= {"owner": account.DEFAULT_ACCOUNT_ID.hex, "at": "2026-03-01 12:00:00.000000"}
    with db.write() as connection:
        for statement in FIRST_ROWS.split(";"):
            connection.execute(sa.text(statement), values)
    db.upgrade()
    assert servers.Servers(db, clock=lambda: NOON).get(ids["server"]).domain_uuid == ids["domain"]
    found = templates.Templates(db).resolve(account.DEFAULT_ACCOUNT_ID, "web@3")
    assert (found.id, found.tags, found.is_sealed, found.created_at) == (ids["template"], ("blue",), True, NOON)
    rows = operations.Operations(db)
    running = rows.get(ids["operation"])
    assert (running.progress.done_bytes, running.request, running.started_at) == (5, {"server": "web-01"}, NOON)
    assert [held.operation_id for held in rows.locks_held("server/")] == [ids["operation"]]
    _check_accounts(db, ids)


def _check_accounts(db, ids):
    """What was there belongs to whom it belonged, is counted, and may be given to others."""
    default = accounts.Accounts(db).get_default()
    assert (default.name, default.state) == ("default", account.State.ACTIVE)
    assert abs(default.created_at - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(minutes=5)
    assert quotas.Quotas(db).get(default.id) == quota.Quota()
    assert quotas.Quotas(db).used(default.id) == quota.Amount(templates=1, stored_bytes=20, servers=1)
    server = servers.Servers(db, clock=lambda: NOON).get(ids["server"])
    assert (server.owner_id, server.cpus, server.volume_bytes) == (default.id, 0, None)
    acme = accounts.Accounts(db).add(id=uuid.uuid4(), name="acme", created_at=NOON)
    assert servers.Servers(db, clock=lambda: NOON).assign(server.id, acme.id).owner_id == acme.id
    operations.Operations(db).finish(ids["operation"], operation.State.SUCCEEDED, result={}, at=NOON)


def test_a_database_of_a_newer_estampe_is_left_alone(db):
    db.upgrade()
    with db.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(errors.DatabaseVersionUnsupported, match="9999"):
        db.upgrade()


def test_a_migration_that_fails_leaves_the_database_as_it_was(db):
    with db.write() as connection:
        connection.execute(sa.text("CREATE TABLE operation_locks (wrong INTEGER)"))
    with pytest.raises(errors.DatabaseUnavailable, match="already exists"):
        db.upgrade()
    with db.read() as connection:
        assert sa.inspect(connection).get_table_names() == ["operation_locks"]
