"""The contract of jobs.base.Engine, on the engine in memory and on DBOS, over SQLite and PostgreSQL.

A kill is played by an interrupt at a named place, which no engine may record. What a real kill -9 does to the engine of
the daemon is shown, with processes, in tests/unit/jobs/test_dbos_kill.py.
"""

import logging
import shutil
import threading
import time
import uuid

import pytest
from tests.support import postgresql as postgresql_server

from estampe import errors
from estampe.jobs import base, dbos_engine, memory

KIND = "capture"
DEADLINE_SECONDS = 30


def ignore(_steps, _operation_id, _outcomes):
    """An abandon body that has nothing to do."""


class Cutter:
    """Observes; cuts a workflow off once, at a step's begin or end."""

    def __init__(self):
        self.seen = []
        self.place = None
        self.has_cut = threading.Event()

    def __call__(self, operation_id, step, event):
        self.seen.append((operation_id, step, event))
        if self.place == (step, event):
            self.cut()

    def at(self, step, event):
        self.has_cut.clear()
        self.place = (step, event)

    def cut(self):
        self.place = None
        self.has_cut.set()
        raise base.Interrupted

    @property
    def steps(self):
        return [step for _, step, event in self.seen if event == "begin"]


class Daemon:
    """A process of the daemon's, as far as its engine goes: boots, works, and boots again on the same records."""

    def __init__(self):
        self.cutter = Cutter()
        self.engine = None

    def boot(self, body, *, abandon=ignore, generation=1, concurrency=1):
        self.halt()
        self.engine = self.make(generation, concurrency)
        self.engine.register(KIND, body, abandon=abandon)
        self.engine.launch()

    def start(self, operation_id=None):
        operation_id = operation_id or uuid.uuid4()
        self.engine.start(KIND, operation_id)
        return operation_id

    def run(self, body, **options):
        """Boot, start one operation, and wait for it."""
        self.boot(body, **options)
        operation_id = self.start()
        self.settle()
        return operation_id

    def halt(self):
        if self.engine is not None:
            self.engine.close(timeout_seconds=5)
        self.engine = None


class MemoryDaemon(Daemon):
    records = None

    def make(self, generation, _concurrency):
        made = memory.MemoryEngine(generation=generation, observer=self.cutter, records=self.records)
        self.records = made.records
        return made

    def settle(self):
        self.engine.run_pending()


class DbosDaemon(Daemon):
    def __init__(self, url):
        super().__init__()
        self.url = url

    def make(self, generation, concurrency):
        return dbos_engine.DbosEngine(
            self.url, executor_id="host", generation=generation, concurrency={KIND: concurrency},
            observer=self.cutter, queue_interval_seconds=0.02,
        )  # fmt: skip

    def settle(self):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.engine.list_unfinished() and not self.cutter.has_cut.is_set():
            assert time.monotonic() < deadline, "the workflow neither ended nor was cut off"
            time.sleep(0.01)  # waiting for threads that are not ours


@pytest.fixture(scope="module")
def primed(tmp_path_factory):
    """A system database with its tables and its queue, to copy."""
    path = tmp_path_factory.mktemp("primed") / "jobs.sqlite"
    prime(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="module")
def primed_postgresql(postgresql):
    """Likewise."""
    url = postgresql.new()
    prime(url)
    return postgresql_server.name_of(url)


def prime(url):
    daemon = DbosDaemon(url)
    daemon.boot(lambda _steps, _operation_id: None)
    daemon.halt()


@pytest.fixture(params=["memory", "dbos", pytest.param("dbos on postgresql", marks=pytest.mark.requires_postgresql)])
def daemon(request, tmp_path):
    if request.param == "memory":
        made = MemoryDaemon()
    elif request.param == "dbos":
        made = DbosDaemon(f"sqlite:///{shutil.copy(request.getfixturevalue('primed'), tmp_path)}")
    else:
        server = request.getfixturevalue("postgresql")
        made = DbosDaemon(server.new(request.getfixturevalue("primed_postgresql")))
    yield made
    made.halt()


class Diary:
    """What a body and its steps did, over all lives of the daemon."""

    def __init__(self):
        self.lines = []

    def write(self, line, value=None):
        self.lines.append(line)
        return value


@pytest.fixture
def diary():
    return Diary()


def three_steps(diary):
    def body(steps, _operation_id):
        diary.lines.append("body")
        for name in ("one", "two", "three"):
            diary.lines.append(f"{name} gave {steps.run(name, lambda name=name: diary.write(name, name.upper()))}")

    return body


def test_steps_run_in_their_order_and_give_their_results(daemon, diary):
    daemon.run(three_steps(diary))
    assert diary.lines == ["body", "one", "one gave ONE", "two", "two gave TWO", "three", "three gave THREE"]


def test_a_body_gets_the_operations_id(daemon):
    seen = []
    started = daemon.run(lambda _steps, operation_id: seen.append(operation_id))
    assert seen == [started]


def test_one_id_is_one_workflow(daemon, diary):
    daemon.boot(three_steps(diary))
    operation_id = daemon.start()
    daemon.start(operation_id)
    daemon.settle()
    daemon.start(operation_id)
    daemon.settle()
    assert diary.lines.count("body") == 1


def test_work_starts_in_the_order_of_its_coming(daemon):
    seen = []
    daemon.boot(lambda _steps, operation_id: seen.append(operation_id))
    started = [daemon.start() for _ in range(4)]
    daemon.settle()
    assert seen == started


def test_work_that_was_only_queued_is_done_after_a_restart(daemon, diary):
    daemon.boot(three_steps(diary))
    daemon.start()
    daemon.boot(three_steps(diary))
    daemon.settle()
    assert diary.lines[-1] == "three gave THREE"


@pytest.mark.parametrize(
    "place", [("one", "begin"), ("one", "end"), ("two", "begin"), ("two", "end"), ("three", "end")]
)
def test_a_workflow_cut_off_between_steps_goes_on_where_it_was(daemon, diary, place):
    daemon.boot(three_steps(diary))
    daemon.cutter.at(*place)
    started = daemon.start()
    daemon.settle()
    assert daemon.engine.list_unfinished() == {started}
    daemon.cutter.has_cut.clear()
    daemon.boot(three_steps(diary))
    daemon.settle()
    assert daemon.engine.list_unfinished() == set()
    assert [line for line in diary.lines if line in {"one", "two", "three"}] == ["one", "two", "three"]
    assert [line for line in diary.lines if "gave" in line][-3:] == ["one gave ONE", "two gave TWO", "three gave THREE"]


def test_the_step_that_was_cut_off_runs_again_and_only_that_one(daemon, diary):
    def body(steps, _operation_id):
        steps.run("one", lambda: diary.write("one"))

        def two():
            diary.write("two")
            if diary.lines.count("two") == 1:
                daemon.cutter.cut()

        steps.run("two", two)

    daemon.run(body)
    daemon.cutter.has_cut.clear()
    daemon.boot(body)
    daemon.settle()
    assert diary.lines == ["one", "two", "two"]


def test_an_interrupt_is_no_failure_to_a_body(daemon, diary):
    def body(steps, _operation_id):
        try:
            steps.run("one", lambda: diary.write("one"))
        except Exception:  # noqa: BLE001 - the point of the test
            diary.write("handled as a failure")
        finally:
            diary.write("closed what was open")

    daemon.boot(body)
    daemon.cutter.at("one", "begin")
    daemon.start()
    daemon.settle()
    daemon.halt()
    assert diary.lines == ["closed what was open"]


@pytest.mark.parametrize(
    "value", [None, True, 0, -1.5, 2**70, "text é ☃ \x00", [], {}, {"a": [1, {"b": None}]}, {"value": 1}, {"error": {}}]
)
def test_results_come_back_as_they_were_given(daemon, value):
    seen = []

    def body(steps, _operation_id):
        seen.append(steps.run("one", lambda: value))
        steps.run("two", lambda: None)

    daemon.boot(body)
    daemon.cutter.at("two", "begin")
    daemon.start()
    daemon.settle()
    daemon.cutter.has_cut.clear()
    daemon.boot(body)
    daemon.settle()
    assert seen == [value, value]


def test_the_first_run_sees_a_result_as_a_replay_will(daemon):
    seen = []
    daemon.run(lambda steps, _operation_id: seen.append(steps.run("one", lambda: ((1, 2), {3: "x"}))))
    assert seen == [[[1, 2], {"3": "x"}]]


@pytest.mark.parametrize("result", [object(), {1, 2}, b"bytes", float("nan")])
def test_a_result_that_is_not_json_is_a_defect_of_the_step(daemon, result):
    seen = []

    def body(steps, _operation_id):
        with pytest.raises(errors.EstampeError) as caught:
            steps.run("one", lambda: result)
        seen.append(caught.value.code)

    daemon.run(body)
    assert seen == ["internal"]


def fail(error):
    raise error


def test_an_error_is_recorded_and_raised_again_on_replay(daemon, diary):
    def body(steps, _operation_id):
        try:
            steps.run("one", lambda: diary.write("one") or fail(errors.NameInUse(name="web-02", what="a server")))
        except errors.NameInUse as error:
            diary.write(f"{error.code} {error.facts['name']}: {error}")
        steps.run("two", lambda: None)

    daemon.boot(body)
    daemon.cutter.at("two", "begin")
    daemon.start()
    daemon.settle()
    daemon.cutter.has_cut.clear()
    daemon.boot(body)
    daemon.settle()
    told = f"name-in-use web-02: {errors.NameInUse(name='web-02', what='a server')}"
    assert diary.lines == ["one", told, told]


def test_a_defect_is_logged_with_its_traceback_and_recorded_by_name(daemon, caplog):
    seen = []

    def body(steps, _operation_id):
        try:
            steps.run("one", lambda: {}["volumes"])
        except errors.EstampeError as error:
            seen.append((error.code, str(error)))

    with caplog.at_level(logging.ERROR, logger="estampe"):
        daemon.run(body)
    assert seen == [("internal", "KeyError: 'volumes'")]
    assert 'lambda: {}["volumes"]' in caplog.text


def test_a_step_name_is_used_once(daemon):
    seen = []

    def body(steps, _operation_id):
        steps.run("one", lambda: None)
        with pytest.raises(ValueError, match="one"):
            steps.run("one", lambda: seen.append("ran twice"))
        seen.append("refused")

    daemon.run(body)
    assert seen == ["refused"]


def test_the_observer_sees_what_ran_and_nothing_that_was_answered_from_records(daemon, diary):
    daemon.boot(three_steps(diary))
    daemon.cutter.at("two", "end")
    started = daemon.start()
    daemon.settle()
    daemon.cutter.has_cut.clear()
    daemon.boot(three_steps(diary))
    daemon.settle()
    places = [("one", "begin"), ("one", "end"), ("two", "begin"), ("two", "end"), ("three", "begin"), ("three", "end")]
    assert daemon.cutter.seen == [(started, *place) for place in places]


def test_steps_do_not_close_while_the_engine_works(daemon):
    seen = []
    daemon.run(lambda steps, _operation_id: seen.append(steps.run("one", steps.is_closing)))
    assert seen == [False]


# --- generations ----------------------------------------------------------------------------------------------------


def abandoning(diary, name="abandon"):
    def abandon(steps, operation_id, outcomes):
        diary.write((name, operation_id, dict(outcomes)))
        steps.run("restore power", lambda: diary.write("restored"))

    return abandon


def fail_in_two(diary):
    def body(steps, _operation_id):
        diary.write("body")
        steps.run("note power state", lambda: {"was": "running"})
        with pytest.raises(errors.NameInUse):
            steps.run("two", lambda: fail(errors.NameInUse(name="x", what="y")))
        steps.run("three", lambda: None)

    return body


@pytest.fixture
def cut_off(daemon, diary):
    """An operation of generation 1 that was cut off before its step three."""
    daemon.boot(fail_in_two(diary), generation=1)
    daemon.cutter.at("three", "begin")
    started = daemon.start()
    daemon.settle()
    daemon.cutter.has_cut.clear()
    daemon.halt()
    return started


@pytest.mark.parametrize("generation", [2, 7])
def test_work_of_another_generation_is_abandoned_with_what_it_recorded(daemon, diary, cut_off, generation):
    daemon.boot(fail_in_two(diary), abandon=abandoning(diary), generation=generation)
    daemon.settle()
    told = ("abandon", cut_off, {"note power state": {"was": "running"}})
    assert diary.lines == ["body", told, "restored"]
    assert daemon.engine.list_unfinished() == set()


def test_abandoned_work_is_not_begun_again(daemon, diary, cut_off):
    daemon.boot(fail_in_two(diary), abandon=abandoning(diary), generation=2)
    daemon.start(cut_off)
    daemon.settle()
    for generation in (2, 3, 1):
        daemon.boot(fail_in_two(diary), abandon=abandoning(diary, "again"), generation=generation)
        daemon.start(cut_off)
        daemon.settle()
    assert diary.lines.count("restored") == diary.lines.count("body") == 1


def test_abandoning_goes_on_after_a_cut_off(daemon, diary, cut_off):
    for _ in range(2):
        daemon.cutter.at("restore power", "end")
        daemon.boot(fail_in_two(diary), abandon=abandoning(diary), generation=2)
        daemon.settle()
        daemon.cutter.has_cut.clear()
    assert diary.lines.count("restored") == 1
    assert daemon.engine.list_unfinished() == set()


def test_abandoning_that_another_generation_began_begins_again(daemon, diary, cut_off):
    daemon.cutter.at("restore power", "begin")
    daemon.boot(fail_in_two(diary), abandon=abandoning(diary), generation=2)
    daemon.settle()
    assert daemon.engine.list_unfinished() == {cut_off}
    daemon.cutter.has_cut.clear()
    daemon.boot(fail_in_two(diary), abandon=abandoning(diary, "third"), generation=3)
    daemon.settle()
    assert diary.lines[-2:] == [("third", cut_off, {"note power state": {"was": "running"}}), "restored"]
    assert daemon.engine.list_unfinished() == set()


def test_a_body_that_does_not_follow_its_records_is_abandoned(daemon, diary, cut_off):
    def strayed(steps, _operation_id):
        steps.run("note power state", lambda: None)
        try:
            steps.run("a step that was not here", lambda: diary.write("ran"))
        except Exception:  # noqa: BLE001 - a body's handler of failures must not catch it
            diary.write("handled as a failure")

    daemon.boot(strayed, abandon=abandoning(diary), generation=1)
    daemon.settle()
    assert diary.lines == ["body", ("abandon", cut_off, {"note power state": {"was": "running"}}), "restored"]
    assert daemon.engine.list_unfinished() == set()


# --- records --------------------------------------------------------------------------------------------------------


def test_forgotten_operations_could_begin_again_and_unfinished_ones_are_not_forgotten(daemon, diary):
    daemon.boot(three_steps(diary))
    ended = daemon.start()
    daemon.settle()
    daemon.cutter.at("two", "begin")
    unfinished = daemon.start()
    daemon.settle()
    daemon.engine.forget([ended, unfinished, uuid.uuid4()])
    daemon.engine.forget([])
    daemon.cutter.has_cut.clear()
    daemon.boot(three_steps(diary))
    daemon.start(ended)
    daemon.settle()
    assert diary.lines.count("one") == 3
    assert diary.lines.count("body") == 4
