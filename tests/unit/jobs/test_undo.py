import uuid

import pytest

from estampe import errors
from estampe.jobs import base, memory, undo


class Stage:
    """Runs a body with an undo on the engine in memory, and keeps what was done over its lives."""

    def __init__(self):
        self.lines = []
        self.failures = None

    def do(self, line, error=None):
        def act():
            self.lines.append(line)
            if error is not None:
                raise error

        return act

    def boot(self, body):
        def run(steps, _operation_id):
            stack = undo.Undo(steps)
            try:
                with stack:
                    body(steps, stack)
            except errors.EstampeError as error:
                self.lines.append(f"failed: {error.code}")
            self.failures = stack.failures

        engine = memory.MemoryEngine()
        engine.register("capture", run, abandon=lambda *_: None)
        engine.launch()
        engine.start("capture", uuid.uuid4())
        return engine


@pytest.fixture
def stage():
    return Stage()


BUSY = errors.ServerBusy(server="web-01", operation="3f0c")
SPACE = errors.NoSpace(where="/", needed="1 GiB", available="0 B")


def make_two_and_fail(stage, *, a_fails=None, b_fails=None):
    def body(steps, stack):
        stack.add("remove a", stage.do("remove a", a_fails))
        steps.run("make a", stage.do("make a"))
        stack.add("remove b", stage.do("remove b", b_fails))
        steps.run("make b", stage.do("make b", BUSY))

    return body


def test_a_failure_is_undone_backwards(stage):
    stage.boot(make_two_and_fail(stage)).run_pending()
    assert stage.lines == ["make a", "make b", "remove b", "remove a", "failed: server-busy"]
    assert stage.failures == []


def test_what_cannot_be_undone_hides_no_error_and_stops_no_other_undo(stage):
    stage.boot(make_two_and_fail(stage, a_fails=KeyError("x"), b_fails=SPACE)).run_pending()
    assert stage.lines == ["make a", "make b", "remove b", "remove a", "failed: server-busy"]
    assert stage.failures == [f"could not remove b: {SPACE}", "could not remove a: KeyError: 'x'"]


def test_success_keeps_everything(stage):
    def body(steps, stack):
        stack.add("remove a", stage.do("remove a"))
        steps.run("make a", stage.do("make a"))

    stage.boot(body).run_pending()
    assert stage.lines == ["make a"]


def test_what_was_kept_is_not_undone_by_a_later_failure(stage):
    def body(steps, stack):
        stack.add("remove a", stage.do("remove a"))
        steps.run("make a", stage.do("make a"))
        assert not stack.is_kept
        stack.keep()
        assert stack.is_kept
        stack.add("remove b", stage.do("remove b"))
        steps.run("make b", stage.do("make b", BUSY))

    stage.boot(body).run_pending()
    assert stage.lines == ["make a", "make b", "remove b", "failed: server-busy"]


def test_a_nested_undo_is_run_before_the_rest_and_kept_without_it(stage):
    def body(steps, stack):
        stack.add("remove a", stage.do("remove a"))
        with stack.nested() as offline:
            offline.add("restore power", stage.do("restore power", SPACE))
            steps.run("copy", stage.do("copy", BUSY))

    stage.boot(body).run_pending()
    assert stage.lines == ["copy", "restore power", "remove a", "failed: server-busy"]
    assert stage.failures == [f"could not restore power: {SPACE}"]


def test_a_nested_undo_that_ended_well_is_forgotten(stage):
    def body(steps, stack):
        stack.add("remove a", stage.do("remove a"))
        with stack.nested() as offline:
            offline.add("restore power", stage.do("restore power"))
            steps.run("copy", stage.do("copy"))
        assert not stack.is_kept
        steps.run("publish", stage.do("publish", BUSY))

    stage.boot(body).run_pending()
    assert stage.lines == ["copy", "publish", "remove a", "failed: server-busy"]


def test_a_name_is_undone_once(stage):
    stack = undo.Undo(steps=None)
    stack.add("remove a", stage.do("x"))
    with pytest.raises(ValueError, match="remove a"):
        stack.nested().add("remove a", stage.do("x"))


def test_an_interrupt_undoes_nothing(stage):
    def interrupt():
        raise base.Interrupted

    def body(steps, stack):
        stack.add("remove a", stage.do("remove a"))
        steps.run("make a", interrupt)

    assert not stage.boot(body).run_pending()
    assert stage.lines == []


PLACES = [
    (step, event)
    for step in ("make a", "make b", "undo remove b", "undo remove a")
    for event in ("begin", "inside", "end")
]


@pytest.mark.parametrize(("step", "event"), PLACES)
def test_an_operation_killed_anywhere_is_undone_after_the_restart(stage, step, event):
    engine = stage.boot(make_two_and_fail(stage))
    engine.cut_off_at(step, event)
    assert not engine.run_pending()
    assert engine.relaunch().run_pending()
    steps = ["make a", "make b", "remove b", "remove a"]
    repeated = step.removeprefix("undo ") if event == "inside" else None
    assert stage.lines == [line for each in steps for line in [each] * (1 + (each == repeated))] + [
        "failed: server-busy"
    ]
