import contextlib
import datetime
import shutil

import pytest

from estampe.db import database, operations
from estampe.jobs import dispatch, memory, runner
from estampe.model import account, operation

NOON = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
OWNER, KIND = account.DEFAULT_ACCOUNT_ID, operation.Kind.CAPTURE
LOOKS = 20


@pytest.fixture
def rows(tmp_path, migrated_sqlite):
    copied = shutil.copy(migrated_sqlite, tmp_path / "estampe.sqlite")
    with contextlib.closing(database.Database.open(f"sqlite:///{copied}")) as db:
        yield operations.Operations(db)


def test_what_ends_soon_is_seen_soon_and_what_takes_long_is_looked_at_seldom(rows):
    engine, pauses = memory.MemoryEngine(generation=1), []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == LOOKS:
            engine.run_pending()

    runner.register(engine, KIND, lambda _work: None, operations=rows, clock=lambda: NOON)
    engine.launch()
    dispatcher = dispatch.Dispatcher(rows=rows, engine=engine, wait_for=pause)
    begun = dispatcher.start(KIND, owner_id=OWNER, subject="web-01", request={})
    ended = dispatcher.wait(OWNER, str(begun.id), timeout_seconds=60, seen=begun.change_token)
    assert ended.state is operation.State.SUCCEEDED
    assert pauses == sorted(pauses)
    assert sum(pauses[:3]) < 0.05
    assert pauses[-1] == 0.2
