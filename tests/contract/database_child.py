"""One of several processes that write into one database at once. Run by test_database.py.

database_child.py URL ROUNDS      says "ready", waits for a line, works, and says what it got as JSON
"""

import datetime
import json
import sys
import uuid

import sqlalchemy as sa

from estampe.db import database, operations, templates
from estampe.model import account, operation

NOON = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
OWNER = account.DEFAULT_ACCOUNT_ID


def count_up(db):
    """Read, then write what was read and one."""
    with db.write() as connection:
        count = int(connection.execute(sa.text("SELECT name FROM accounts")).scalar_one())
        connection.execute(sa.text("UPDATE accounts SET name = :name"), {"name": f"{count + 1}"})


def next_version(rows):
    made = rows.reserve(
        id=uuid.uuid4(), owner_id=OWNER, name="web", note="", tags=["blue"], server_id=None, server_name="web-01",
        created_at=NOON,
    )  # fmt: skip
    return made.version


def take(rows, key):
    """Whether this process got the lock that all ask for."""
    try:
        rows.add(
            id=uuid.uuid4(), owner_id=OWNER, kind=operation.Kind.CAPTURE, subject="web-01", request={},
            locks=[operations.Lock(key, is_exclusive=True)], created_at=NOON,
        )  # fmt: skip
    except operations.LockHeld:
        return False
    return True


def main(url, rounds):
    db = database.Database.open(url)
    versions, locks = [], []
    with db.read():
        pass  # connected
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for index in range(rounds):
        count_up(db)
        versions.append(next_version(templates.Templates(db)))
        if take(operations.Operations(db), f"server/{index}"):
            locks.append(f"server/{index}")
    db.close()
    json.dump({"versions": versions, "locks": locks}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
