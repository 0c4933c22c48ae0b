"""The schema's history leads to the schema, with the data it meets on the way; on SQLite and on PostgreSQL."""

import datetime
import uuid

import pytest
import sqlalchemy as sa

from estampe import errors
from estampe.db import accounts, database, growth, migration, operations, quotas, servers, templates
from estampe.model import account, characteristics, operation, quota, template
from estampe.model import growth as growth_model

NOON = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)

FIRST_ROWS = r"""
INSERT INTO servers VALUES (:server, :owner, :domain, 'web-01', NULL, :at);
INSERT INTO templates
VALUES (:template, :owner, 'web', 3, 'active', 'a note', :server, 'web-01', :at, 100, 50, 20, :yes, 'Debian 12');
INSERT INTO template_tags VALUES (:template, 'blue', 0);
INSERT INTO operations
VALUES (:operation, :owner, 'capture', 'web-01', 'running', 'copying', 5, 10, :at, :no, '{"server"\: "web-01"}', NULL, NULL,
        :at, :at, NULL);
INSERT INTO operation_locks VALUES ('server/x', :operation, :yes)
"""


def constants(database_url):
    """For statements in SQL, which know none of SQLAlchemy's types."""
    zone = "+00" if database_url.startswith("postgresql") else ""  # SQLite keeps none
    at = f"2026-03-01 12:00:00.000000{zone}"
    return {"owner": account.DEFAULT_ACCOUNT_ID.hex, "at": at, "yes": True, "no": False}


@pytest.fixture
def db(database_url):
    opened = database.Database.open(database_url)
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
        connection.execute(sa.text("ALTER TABLE servers DROP COLUMN template_name"))
        assert [change[0] for change in migration.differences(connection)] == ["add_column"]


def test_upgrading_again_changes_nothing(db):
    db.upgrade()
    with db.write() as connection:
        connection.execute(sa.text("UPDATE accounts SET name = 'operator'"))
    db.upgrade()
    with db.read() as connection:
        assert connection.execute(sa.text("SELECT name FROM accounts")).scalars().all() == ["operator"]


def test_data_of_the_first_schema_survives_to_the_newest(db, database_url):
    """Written in the SQL of 0001: it must not change when the schema does."""
    db.upgrade("0001")
    ids = {name: uuid.uuid4() for name in ("server", "domain", "template", "operation")}
    values = {name: each.hex for name, each in ids.items()}
    values |= constants(database_url)
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
    assert (found.revision, running.revision, running.request_id) == (1, 1, None)
    assert templates.Templates(db).edit(found.id, note="after the upgrade").revision == 2
    _check_accounts(db, ids)
    _check_samples(db)


def _check_samples(db):
    """The table of 0009 comes empty, since the past was not counted, and takes what is counted from then on."""
    rows = growth.Samples(db)
    assert rows.moments() == []
    told = growth_model.Sample(
        at=NOON, templates=1, logical_bytes=100, data_bytes=50, distinct_bytes=50, stored_bytes=20, orphan_bytes=0, chunks=1, available_bytes=2**50,
    )  # fmt: skip
    rows.add(told)
    assert rows.list(since=NOON) == [told]


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


SECOND_ROWS = r"""
INSERT INTO servers VALUES (:deployed, :owner, :domain, 'web-01', :base, :at);
INSERT INTO templates
VALUES (:base, :owner, 'base', 1, 'active', '', NULL, 'bare', :at, 100, 50, 20, :yes, NULL);
INSERT INTO templates
VALUES (:template, :owner, 'web', 3, 'deleting', '', :deployed, 'web-01', :at, 100, 50, 20, :yes, NULL);
INSERT INTO template_tags VALUES (:template, 'blue', 0)
"""


def test_templates_of_the_first_schema_have_a_life_and_know_where_they_came_from(db, database_url):
    """Written in the SQL of 0001, with a server that was deployed and captured, and a deletion that was cut off."""
    db.upgrade("0001")
    ids = {name: uuid.uuid4() for name in ("deployed", "domain", "base", "template")}
    values = {name: each.hex for name, each in ids.items()}
    values |= constants(database_url)
    with db.write() as connection:
        for statement in SECOND_ROWS.split(";"):
            connection.execute(sa.text(statement), values)
    db.upgrade()
    rows = templates.Templates(db)
    base, web = rows.get(ids["base"]), rows.get(ids["template"])
    assert (base.state, base.is_protected, base.successor_id, base.parent_id, base.trash) == (
        template.State.ACTIVE, False, None, None, None,
    )  # fmt: skip
    assert (web.state, web.parent_id, web.tags) == (template.State.DELETING, base.id, ("blue",))
    assert rows.protect(base.id, is_protected=True).is_protected
    assert rows.remove(web.id)
    assert servers.Servers(db, clock=lambda: NOON).get(ids["deployed"]).template_name is None


def test_templates_of_before_say_nothing_and_may_be_told_what_they_are_tuned_for(db, database_url):
    """The rows of 0001 come through 0004, and the new column keeps what is written into it."""
    db.upgrade("0001")
    template_id = uuid.uuid4()
    values = {"template": template_id.hex, **constants(database_url)}
    insert = "INSERT INTO templates VALUES (:template, :owner, 'web', 3, 'active', '', NULL, 'web-01', :at, 1, 1, 1, :yes, NULL)"
    with db.write() as connection:
        connection.execute(sa.text(insert), values)
    db.upgrade()
    rows = templates.Templates(db)
    assert rows.get(template_id).characteristics is None
    told = characteristics.Characteristics(tuned_for="builds", tuned=characteristics.Tuned(queues="cpus"))
    rows.change_characteristics(template_id, lambda _present: told)
    assert rows.get(template_id).characteristics == told


def test_a_database_of_a_newer_estampe_is_left_alone(db):
    db.upgrade()
    with db.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(errors.DatabaseVersionUnsupported, match="9999"):
        db.upgrade()


def test_a_migration_that_fails_leaves_the_database_as_it_was(db):
    with db.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("CREATE SCHEMA estampe"))
        connection.execute(sa.text("CREATE TABLE operation_locks (wrong INTEGER)"))
    with pytest.raises(errors.DatabaseUnavailable, match="already exists"):
        db.upgrade()
    with db.read() as connection:
        assert sa.inspect(connection).get_table_names() == ["operation_locks"]
