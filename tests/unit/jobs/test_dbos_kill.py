"""kill -9 of the daemon's process at every place of an operation, one after the other, on real files."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from estampe.db import database, operations
from estampe.model import account, operation

CHILD = Path(__file__).with_name("dbos_child.py")

FAILING = ["make a", "make b", "undo remove b", "undo remove a"]


def live(folder, step="-", event="-", url=None):
    """One life of the daemon; whether it was killed. Without a URL its databases are SQLite files in the folder."""
    urls = [url or f"sqlite:///{folder}/{name}.sqlite" for name in ("estampe", "jobs")]
    argv = [sys.executable, str(CHILD), str(folder), step, event, *urls]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode in {0, -signal.SIGKILL}, ran.stderr
    return ran.returncode != 0


def look(folder, url=None):
    """The operation, the locks it holds, the files it made, and the steps that ran."""
    db = database.Database.open(url or f"sqlite:///{folder}/estampe.sqlite")
    rows = operations.Operations(db)
    (found,) = rows.list(account.DEFAULT_ACCOUNT_ID)
    locks = [held.key for held in rows.locks_held()]
    db.close()
    files = {name for name in ("a", "b") if (folder / name).exists()}
    return found, locks, files, (folder / "diary").read_text().splitlines()


def test_a_failing_operation_killed_at_every_place_is_undone(tmp_path):
    (tmp_path / "fails").touch()
    assert live(tmp_path, "enqueue", "begin")  # the row is there, the workflow is not
    for step in FAILING:
        for event in ("inside", "end"):
            assert live(tmp_path, step, event), (step, event)
            found, locks, _, _ = look(tmp_path)
            assert (found.state, locks) == (operation.State.RUNNING, ["server/a"])
    assert not live(tmp_path)
    found, locks, files, ran = look(tmp_path)
    assert (found.state, found.error["code"], locks, files) == (operation.State.FAILED, "name-in-use", [], set())
    # Each ran once for its kill inside and once more; the kill after its record did not make it run again.
    assert ran == [step for step in FAILING for _ in range(2)]


def test_a_succeeding_operation_killed_in_and_after_its_last_step_succeeds(tmp_path):
    assert live(tmp_path, "make b", "inside")
    assert live(tmp_path, "make b", "end")
    assert not live(tmp_path)
    found, locks, files, ran = look(tmp_path)
    assert (found.state, found.result) == (operation.State.SUCCEEDED, {"made": ["a", "b"]})
    assert (locks, files, ran) == ([], {"a", "b"}, ["make a", "make b", "make b"])


@pytest.mark.requires_postgresql
def test_a_failing_operation_killed_on_postgresql_is_undone(tmp_path, postgresql):
    url = postgresql.new()
    (tmp_path / "fails").touch()
    assert live(tmp_path, "undo remove b", "inside", url)
    found, locks, _, _ = look(tmp_path, url)
    assert (found.state, locks) == (operation.State.RUNNING, ["server/a"])
    assert not live(tmp_path, url=url)
    found, locks, files, ran = look(tmp_path, url)
    assert (found.state, found.error["code"], locks, files) == (operation.State.FAILED, "name-in-use", [], set())
    assert ran == ["make a", "make b", "undo remove b", "undo remove b", "undo remove a"]
