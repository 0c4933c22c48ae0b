import datetime
import time
import uuid

import pytest
import structlog

from estampe import errors
from estampe.db import database, operations
from estampe.jobs import base, memory, runner
from estampe.model import account, operation

NOON = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
KIND = operation.Kind.CAPTURE


@pytest.fixture
def rows(tmp_path):
    db = database.Database.open(f"sqlite:///{tmp_path}/estampe.sqlite")
    db.upgrade()
    yield operations.Operations(db)
    db.close()


class Daemon:
    """The engine in memory, the rows, and one operation."""

    def __init__(self, rows):
        self.rows = rows
        self.lines = []
        self.engine = None
        self.id = uuid.uuid4()

    def boot(self, body, *, abandon=runner.nothing_to_undo, generation=1):
        records = self.engine.records if self.engine else None
        self.engine = memory.MemoryEngine(generation=generation, records=records)
        runner.register(self.engine, KIND, body, operations=self.rows, clock=lambda: NOON, abandon=abandon)
        self.engine.launch()

    def add(self, **request):
        return self.rows.add(
            id=self.id, owner_id=account.DEFAULT_ACCOUNT_ID, kind=KIND, subject="web-01", request=request,
            locks=[operations.Lock("server/a", is_exclusive=True)], created_at=NOON,
        )  # fmt: skip

    def run(self, body, **options):
        """Boot, add the operation, run it, and give its row."""
        self.boot(body, **options)
        self.add()
        self.engine.start(KIND, self.id)
        self.engine.run_pending()
        return self.row

    @property
    def row(self):
        return self.rows.get(self.id)

    def do(self, line, act=lambda: None):
        def step():
            self.lines.append(line)
            return act()

        return step


@pytest.fixture
def daemon(rows):
    return Daemon(rows)


def test_an_operation_that_ends_well_has_its_result_and_no_locks(daemon):
    seen = []

    def body(work):
        seen.append(work.operation.state)
        work.undo.add("remove", daemon.do("undone"))
        return {"template": work.steps.run("make", lambda: "web@1"), "sizes": (1, 2)}

    row = daemon.run(body)
    assert seen == [operation.State.RUNNING]
    assert (row.state, row.result, row.error) == (
        operation.State.SUCCEEDED, {"template": "web@1", "sizes": [1, 2]}, None,
    )  # fmt: skip
    assert daemon.rows.locks_held() == []
    assert daemon.lines == []


def test_no_result_is_an_empty_one(daemon):
    assert daemon.run(lambda _work: None).result == {}


def fail(error):
    raise error


def test_a_failed_operation_is_undone_and_says_why(daemon):
    def body(work):
        work.undo.add("remove", daemon.do("undone"))
        work.steps.run("make", lambda: fail(errors.NameInUse(name="web-02", what="a server")))

    row = daemon.run(body)
    assert row.state is operation.State.FAILED
    assert row.error == errors.NameInUse(name="web-02", what="a server").to_record()
    assert daemon.lines == ["undone"]
    assert daemon.rows.locks_held() == []


def test_an_abandoned_operation_runs_what_was_registered_and_tells_each_failure(daemon):
    def body(work):
        work.steps.run("make", lambda: 7)
        raise base.Interrupted

    def abandon(work, outcomes):
        work.undo.add("remove", daemon.do(f"undone {outcomes['make']}"))
        work.undo.add("release", lambda: fail(errors.PoolNotFound(pool="san", known="default")))
        fail(errors.NameInUse(name="web-02", what="a server"))

    daemon.run(body)
    daemon.boot(body, abandon=abandon, generation=2)
    daemon.engine.run_pending()
    assert daemon.row.state is operation.State.FAILED
    assert daemon.row.error["code"] == "operation-outdated"
    not_undone = daemon.row.error["facts"]["not_undone"]
    assert "web-02" in not_undone
    assert "could not release" in not_undone
    assert daemon.lines == ["undone 7"]


def test_what_could_not_be_undone_is_told_beside_the_first_error(daemon):
    def body(work):
        work.undo.add("remove volumes", lambda: fail(errors.PoolNotFound(pool="san", known="default")))
        work.steps.run("make", lambda: fail(errors.NameInUse(name="web-02", what="a server")))

    record = daemon.run(body).error
    assert record["code"] == "name-in-use"
    assert record["facts"]["not_undone"].startswith("could not remove volumes: there is no active storage pool 'san'")
    assert isinstance(errors.from_record(record), errors.NameInUse)


@pytest.mark.parametrize("make_result", [lambda: {}["x"], lambda: {"result": object()}])
def test_a_defect_of_the_body_is_a_failure_too(daemon, make_result):
    def body(work):
        work.undo.add("remove", daemon.do("undone"))
        return make_result()

    row = daemon.run(body)
    assert (row.state, row.error["code"], daemon.lines) == (operation.State.FAILED, "internal", ["undone"])


def test_a_cancel_stops_a_step_that_listens_and_not_its_undo(daemon):
    def copy(work):
        daemon.rows.request_cancel(daemon.id, at=NOON)
        deadline = time.monotonic() + 10
        while (
            time.monotonic() < deadline
        ):  # as the chunks of a copy; it is heard at the next look, 0.25 s after the first
            work.progress.check_cancelled()
        daemon.lines.append("copied")

    def body(work):
        work.undo.add("remove", daemon.do("undone", work.progress.check_cancelled))
        work.steps.run("copy", lambda: copy(work))

    row = daemon.run(body)
    assert (row.state, row.error["code"]) == (operation.State.CANCELLED, "cancelled")
    assert daemon.lines == ["undone"]


def test_a_cancelled_operation_begins_no_step_more(daemon):
    def body(work):
        daemon.rows.request_cancel(daemon.id, at=NOON)
        work.undo.add("remove", daemon.do("undone"))
        work.steps.run("copy", daemon.do("copied"))

    assert daemon.run(body).state is operation.State.CANCELLED
    assert daemon.lines == ["undone"]


def test_past_the_point_of_no_return_a_cancel_comes_too_late(daemon):
    def body(work):
        work.undo.add("remove", daemon.do("undone"))
        work.undo.keep()
        daemon.rows.request_cancel(daemon.id, at=NOON)
        work.steps.run("tidy", daemon.do("tidied"))

    assert daemon.run(body).state is operation.State.SUCCEEDED
    assert daemon.lines == ["tidied"]


def test_a_cancel_in_the_queue_runs_no_body(daemon):
    daemon.boot(lambda _work: daemon.lines.append("body"))
    daemon.add()
    daemon.engine.start(KIND, daemon.id)
    daemon.rows.request_cancel(daemon.id, at=NOON)
    daemon.engine.run_pending()
    assert daemon.lines == []
    assert daemon.row.state is operation.State.CANCELLED


def test_a_cancel_that_came_while_the_daemon_was_away_is_heard_by_the_step_that_was_cut_off(daemon):
    def body(work):
        work.undo.add("remove", daemon.do("undone"))
        work.steps.run("one", daemon.do("one"))
        work.steps.run("two", daemon.do("two"))

    daemon.boot(body)
    daemon.add()
    daemon.engine.start(KIND, daemon.id)
    daemon.engine.cut_off_at("two", "begin")
    daemon.engine.run_pending()
    daemon.rows.request_cancel(daemon.id, at=NOON)
    assert daemon.engine.relaunch().run_pending()
    assert daemon.lines == ["one", "undone"]
    assert daemon.row.state is operation.State.CANCELLED


def test_progress_reaches_the_row(daemon):
    seen = []

    def copy(work):
        work.progress.phase("copying vda", 1 << 30)
        work.progress.advance(1 << 30)
        seen.append(daemon.row.progress)

    daemon.run(lambda work: work.steps.run("copy", lambda: copy(work)))
    assert seen == [operation.Progress(phase="copying vda", done_bytes=1 << 30, total_bytes=1 << 30)]


@pytest.mark.parametrize("step", ["one", "two", "undo remove"])
@pytest.mark.parametrize("event", ["begin", "inside", "end"])
def test_an_operation_killed_anywhere_ends_with_one_outcome(daemon, step, event):
    def body(work):
        work.steps.run("one", daemon.do("one"))
        work.undo.add("remove", daemon.do("undone"))
        work.steps.run("two", lambda: fail(errors.NameInUse(name="x", what="y")))

    daemon.boot(body)
    daemon.add()
    daemon.engine.start(KIND, daemon.id)
    daemon.engine.cut_off_at(step, event)
    daemon.engine.run_pending()
    assert daemon.row.state is operation.State.RUNNING
    assert daemon.engine.relaunch().run_pending()
    assert (daemon.row.state, daemon.row.error["code"]) == (operation.State.FAILED, "name-in-use")


def test_an_operation_of_another_generation_is_undone_by_what_it_recorded(daemon):
    def body(work):
        work.steps.run("note power state", lambda: "running")
        work.steps.run("stop", daemon.do("stopped"))

    def abandon(work, outcomes):
        work.steps.run("give power state back", daemon.do(f"power: {outcomes['note power state']}"))

    daemon.boot(body)
    daemon.add()
    daemon.engine.start(KIND, daemon.id)
    daemon.engine.cut_off_at("stop", "inside")
    daemon.engine.run_pending()
    daemon.rows.request_cancel(daemon.id, at=NOON)  # must not keep the undoing from its work
    daemon.boot(body, abandon=abandon, generation=2)
    assert daemon.engine.run_pending()
    assert daemon.lines == ["stopped", "power: running"]
    assert (daemon.row.state, daemon.row.error["code"]) == (operation.State.FAILED, "operation-outdated")
    assert daemon.rows.locks_held() == []


def test_an_operation_that_cannot_be_abandoned_ends_all_the_same_and_says_so(daemon):
    def abandon(_work, _outcomes):
        raise errors.PoolNotFound(pool="san", known="default")

    daemon.boot(lambda work: work.steps.run("one", daemon.do("one")))
    daemon.add()
    daemon.engine.start(KIND, daemon.id)
    daemon.engine.cut_off_at("one", "begin")
    daemon.engine.run_pending()
    daemon.boot(lambda _work: None, abandon=abandon, generation=2)
    daemon.engine.run_pending()
    assert "no active storage pool" in daemon.row.error["facts"]["not_undone"]


def test_a_row_whose_workflow_was_never_enqueued_is_enqueued_at_the_next_start(daemon):
    daemon.boot(lambda work: {"subject": work.operation.subject})
    daemon.add()
    runner.resume(daemon.engine, daemon.rows, clock=lambda: NOON)
    daemon.engine.run_pending()
    assert daemon.row.result == {"subject": "web-01"}


def test_a_row_whose_workflow_ended_without_it_does_not_keep_its_locks(daemon):
    daemon.boot(lambda _work: None)
    daemon.engine.start(KIND, daemon.id)
    daemon.engine.run_pending()  # there is no row, so nothing is done
    daemon.add()
    runner.resume(daemon.engine, daemon.rows, clock=lambda: NOON)
    assert daemon.row.state is operation.State.FAILED
    assert daemon.rows.locks_held() == []


def test_resuming_leaves_alone_what_goes_on_by_itself(daemon):
    daemon.boot(lambda _work: None)
    daemon.add()
    daemon.engine.start(KIND, daemon.id)
    runner.resume(daemon.engine, daemon.rows, clock=lambda: NOON)
    assert daemon.row.state is operation.State.QUEUED
    assert daemon.engine.list_unfinished() == {daemon.id}


def test_everything_logged_for_an_operation_names_it_and_its_request(daemon):
    seen = []

    def body(work):
        work.steps.run("look", lambda: seen.append(structlog.contextvars.get_contextvars()))

    daemon.rows.add(
        id=daemon.id, owner_id=account.DEFAULT_ACCOUNT_ID, kind=KIND, subject="web-01", request={}, created_at=NOON,
        request_id="r-1",
    )  # fmt: skip
    daemon.run(body)
    assert seen == [{"request_id": "r-1", "operation_id": str(daemon.id)}]
    assert structlog.contextvars.get_contextvars() == {}


def test_what_an_operation_does_is_measured(daemon):
    class Meter:
        def __init__(self):
            self.told = []

        def advanced(self, kind, done_bytes):
            self.told.append((kind, done_bytes))

        def ended(self, ended):
            self.told.append(ended)

    meter = Meter()
    daemon.engine = memory.MemoryEngine()
    body = lambda work: work.steps.run("copy", lambda: work.progress.advance(7))  # noqa: E731
    runner.register(daemon.engine, KIND, body, operations=daemon.rows, clock=lambda: NOON, meter=meter)
    daemon.engine.launch()
    daemon.add()
    daemon.engine.start(KIND, daemon.id)
    daemon.engine.run_pending()
    assert meter.told == [(KIND, 7), daemon.row]
