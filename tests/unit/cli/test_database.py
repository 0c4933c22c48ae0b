"""`estampe db`, from the command line to the file and back."""

from __future__ import annotations

import contextlib
import json
import uuid

import pytest
import sqlalchemy as sa
from tests.unit.cli import invoking

from estampe import config, wiring
from estampe.db import database


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def run(tmp_path, state):
    """Runs `estampe db ...` with an installation of its own; no libvirt answers there."""
    env = {
        "ESTAMPE_STATE_DIRECTORY": str(state),
        "ESTAMPE_RUN_DIRECTORY": str(tmp_path / "run"),
        "ESTAMPE_LIBVIRT_URI": f"qemu+unix:///system?socket={tmp_path}/none",
    }
    return lambda *arguments: invoking.invoke("db", *map(str, arguments), env=env)


def rename(state, name):
    with contextlib.closing(database.Database.open(f"sqlite:///{state}/estampe.db")) as db, db.write() as connection:
        connection.execute(sa.text("UPDATE accounts SET name = :name"), {"name": name})


def account_name(path):
    with contextlib.closing(database.Database.open(f"sqlite:///{path}")) as db, db.read() as connection:
        return connection.exec_driver_sql("SELECT name FROM accounts").scalar()


def test_an_upgrade_says_from_where_to_where(run, state):
    planned = run("upgrade", "--dry-run")
    assert "would go from nothing to" in planned.stdout
    assert "0001  The first tables, and the default account" in planned.stdout
    assert not (state / "estampe.db").exists()
    assert "went from nothing to" in run("upgrade").stdout
    assert "up to date" in run("upgrade").stdout
    said = json.loads(run("upgrade", "-o", "json").stdout)
    assert (said["was"] == said["now"], said["steps"], said["is_dry_run"]) == (True, [], False)


def test_a_backup_is_made_and_restored(run, state, tmp_path):
    run("upgrade")
    file = tmp_path / "backup.tar"
    made = run("backup", file)
    assert made.exit_code == 0, made.output
    assert str(file) in made.stdout
    rename(state, "later")
    restored = run("restore", file, "--yes")
    assert restored.exit_code == 0, restored.output
    assert "restored the backup of" in restored.stdout
    assert account_name(state / "estampe.db") == "default"
    (aside,) = state.glob("replaced-*/estampe.db")
    assert str(aside.parent) in restored.stdout
    assert account_name(aside) == "later"
    assert "not compared" in restored.stdout  # neither a store nor a libvirt is there


def test_programs_are_told_the_same(run, tmp_path):
    run("upgrade")
    file = tmp_path / "backup.tar"
    made = json.loads(run("backup", file, "-o", "json").stdout)
    assert (made["path"], made["kind"], made["size_bytes"]) == (str(file), "SQLite", file.stat().st_size)
    restored = json.loads(run("restore", file, "--yes", "-o", "json").stdout)
    assert restored["backup"]["revision"] == restored["revision"] == made["revision"]
    assert (restored["ended_operations"], restored["unknown_manifests"]) == ([], None)
    assert len(restored["not_compared"]) == 2


def test_nobody_there_to_confirm_means_no(run, state, tmp_path):
    run("upgrade")
    run("backup", tmp_path / "backup.tar")
    rename(state, "kept")
    result = run("restore", tmp_path / "backup.tar")
    assert (result.exit_code, "--yes" in result.stderr) == (2, True)
    assert account_name(state / "estampe.db") == "kept"


@pytest.mark.parametrize("command", [("upgrade",), ("restore", "backup.tar", "--yes")])
def test_a_running_daemon_keeps_its_database(run, state, tmp_path, command):
    run("upgrade")
    run("backup", tmp_path / "backup.tar")
    arguments = [str(tmp_path / each) if each.endswith(".tar") else each for each in command]
    with wiring.alone(config.load(state_directory=state, run_directory=tmp_path / "run")):
        result = run(*arguments)
        assert (result.exit_code, "another Estampe daemon" in result.stderr) == (5, True)
        assert run("upgrade", "--dry-run").exit_code == 0
        assert run("backup", tmp_path / f"{uuid.uuid4()}.tar").exit_code == 0


def test_a_damaged_backup_has_the_exit_code_of_damage(run, tmp_path):
    run("upgrade")
    file = tmp_path / "backup.tar"
    run("backup", file)
    data = bytearray(file.read_bytes())
    data[3000] ^= 1
    file.write_bytes(bytes(data))
    result = run("restore", file, "--yes", "-o", "json")
    assert result.exit_code == 8
    assert json.loads(result.stderr)["code"] == "backup-corrupt"


@pytest.mark.requires_postgresql
def test_postgresql_is_one_setting(run, postgresql, tmp_path, state, monkeypatch):
    url = postgresql.new()
    monkeypatch.setenv("ESTAMPE_DATABASE_URL", url)
    assert "went from nothing to" in run("upgrade").stdout
    assert not (state / "estampe.db").exists()
    made = json.loads(run("backup", tmp_path / "backup.tar", "-o", "json").stdout)
    assert made["kind"] == "PostgreSQL"
    restored = run("restore", tmp_path / "backup.tar", "--yes")
    assert restored.exit_code == 0, restored.output
    assert "the schemas estampe_replaced_" in restored.stdout
    monkeypatch.delenv("ESTAMPE_DATABASE_URL")
    refused = run("restore", tmp_path / "backup.tar", "--yes", "-o", "json")
    assert (refused.exit_code, json.loads(refused.stderr)["code"]) == (5, "backup-kind")
