"""The kills that only the engine in memory can play at will. The rest is in tests/contract/test_engine.py."""

import uuid

import pytest

from estampe.jobs import memory


@pytest.fixture
def lines():
    return []


@pytest.fixture
def engine(lines):
    def body(steps, _operation_id):
        try:
            for name in ("one", "two"):
                steps.run(name, lambda name=name: lines.append(name))
        except Exception:  # noqa: BLE001 - a kill must not be seen here
            lines.append("handled as a failure")

    made = memory.MemoryEngine()
    made.register("capture", body, abandon=lambda *_: None)
    made.launch()
    made.start("capture", uuid.uuid4())
    return made


def test_nothing_runs_before_it_is_told_to(engine, lines):
    assert lines == []
    assert len(engine.list_unfinished()) == 1
    assert engine.run_pending()
    assert lines == ["one", "two"]
    assert engine.list_unfinished() == set()


@pytest.mark.parametrize(
    ("step", "event", "before", "after"),
    [
        ("one", "begin", [], ["one", "two"]),
        ("one", "inside", ["one"], ["one", "two"]),
        ("one", "end", ["one"], ["two"]),
        ("two", "begin", ["one"], ["two"]),
        ("two", "inside", ["one", "two"], ["two"]),
        ("two", "end", ["one", "two"], []),
    ],
)
def test_a_kill_at_a_named_place_and_the_next_life(engine, lines, step, event, before, after):
    engine.cut_off_at(step, event)
    assert not engine.run_pending()
    assert lines == before
    lines.clear()
    following = engine.relaunch()
    assert following.run_pending()
    assert lines == after


def test_an_engine_that_was_cut_off_is_dead(engine):
    engine.cut_off_at("one", "begin")
    engine.run_pending()
    with pytest.raises(RuntimeError):
        engine.run_pending()
