"""A daemon that is killed with SIGKILL, by itself, at a named place of its one operation. Run by test_dbos_kill.py.

dbos_child.py FOLDER STEP EVENT DATABASE JOBS      STEP EVENT: where to die ("-" "-": nowhere); then two URLs
"""

import datetime
import os
import signal
import sys
import time
import uuid
from pathlib import Path

from estampe import errors
from estampe.db import database, operations
from estampe.jobs import dbos_engine, runner
from estampe.model import account, operation

OPERATION_ID = uuid.UUID("3f0c0c14-5a4e-4d53-9d6f-5a3c5b1c7e11")


def now():
    return datetime.datetime.now(datetime.UTC)


def main(folder: Path, step: str, event: str, url: str, jobs_url: str) -> None:
    def die_at(name: str, seen: str) -> None:
        if (step, event) == (name, seen):
            os.kill(os.getpid(), signal.SIGKILL)

    def effect(name, act):
        def run():
            act()
            with (folder / "diary").open("a") as diary:
                diary.write(f"{name}\n")
            die_at(name, "inside")

        return run

    def body(work):
        work.undo.add("remove a", effect("undo remove a", lambda: (folder / "a").unlink(missing_ok=True)))
        work.steps.run("make a", effect("make a", (folder / "a").touch))
        work.undo.add("remove b", effect("undo remove b", lambda: (folder / "b").unlink(missing_ok=True)))
        work.steps.run("make b", effect("make b", (folder / "b").touch))
        if work.operation.request["fails"]:
            raise errors.NameInUse(name="web-02", what="a server")
        return {"made": ["a", "b"]}

    db = database.Database.open(url)
    db.upgrade()
    rows = operations.Operations(db)
    engine = dbos_engine.DbosEngine(
        jobs_url, executor_id="host", generation=1, concurrency={},
        observer=lambda _id, name, seen: die_at(name, seen), queue_interval_seconds=0.02,
    )  # fmt: skip
    runner.register(engine, operation.Kind.CAPTURE, body, operations=rows, clock=now)
    engine.launch()
    rows.add(
        id=OPERATION_ID, owner_id=account.DEFAULT_ACCOUNT_ID, kind=operation.Kind.CAPTURE, subject="web-01",
        request={"fails": (folder / "fails").exists()}, locks=[operations.Lock("server/a", is_exclusive=True)],
        created_at=now(),
    )  # fmt: skip
    die_at("enqueue", "begin")  # the row is there, the workflow is not
    runner.resume(engine, rows, clock=now)
    deadline = time.monotonic() + 30
    while engine.list_unfinished() and time.monotonic() < deadline:
        time.sleep(0.01)
    engine.close(timeout_seconds=5)
    db.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
