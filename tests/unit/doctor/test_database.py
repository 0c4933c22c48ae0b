from __future__ import annotations

import dataclasses

import pytest

from estampe import config
from estampe.db import inspection
from estampe.doctor import check, database

SOUND = inspection.Seen(
    where="PostgreSQL prints on db.example", version="15.18", major=15, encoding="UTF8", collation="C", may_create=True,
    not_durable=(),
)  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "status", "told"),
    [
        ({}, check.Status.OK, "15.18"),
        ({"major": 12, "version": "12.3"}, check.Status.FAIL, "too old"),
        ({"may_create": False}, check.Status.FAIL, "may make no schema"),
        ({"encoding": "SQL_ASCII"}, check.Status.FAIL, "SQL_ASCII"),
        ({"not_durable": ("fsync",)}, check.Status.WARN, "fsync off"),
        ({"collation": "de_DE.UTF-8"}, check.Status.WARN, "de_DE.UTF-8"),
    ],
)
def test_a_server_is_judged_by_what_it_says(facts, status, told):
    found = database.judge(dataclasses.replace(SOUND, **facts))
    assert (found.status, told in found.found) == (status, True)
    assert (found.fix == "") == (status is check.Status.OK)


@pytest.mark.parametrize(
    ("client", "status", "told"),
    [(15, check.Status.OK, "15"), (16, check.Status.OK, "16"), (14, check.Status.WARN, "cannot read"), (None, check.Status.WARN, "not installed")],
)  # fmt: skip
def test_pg_dump_must_not_be_older_than_the_server(client, status, told):
    found = database.judge_client(client, server=15)
    assert (found.status, told in found.found) == (status, True)


def test_sqlite_is_the_state_directorys_business():
    assert list(database.check_database(config.Settings())) == []


def test_a_server_that_does_not_answer_fails_without_its_password(tmp_path):
    settings = config.Settings(database_url=f"postgresql://a:hunter2@/b?host={tmp_path}")
    (found,) = database.check_database(settings)
    assert found.status is check.Status.FAIL
    assert str(tmp_path) in found.found
    assert "hunter2" not in found.found + found.fix


@pytest.mark.requires_postgresql
def test_a_real_server_is_looked_at(postgresql):
    server, client = database.check_database(config.Settings(database_url=postgresql.new()))
    assert (server.status, "fsync, full_page_writes off" in server.found) == (check.Status.WARN, True)
    assert server.fix.startswith("ALTER SYSTEM SET fsync = on;")
    assert client.status is check.Status.OK
