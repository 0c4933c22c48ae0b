"""The bounded pipeline."""

import threading

import pytest

from estampe import errors
from estampe.block import pipeline


def _never() -> None:
    pass


def test_every_item_is_worked_on_once():
    seen: list[int] = []
    pipeline.run(range(1000), seen.append, threads=4, check_cancelled=_never)
    assert sorted(seen) == list(range(1000))


def test_work_overlaps():
    meeting = threading.Barrier(3, timeout=10)
    pipeline.run(range(3), lambda _item: meeting.wait(), threads=3, check_cancelled=_never)
    assert not meeting.broken


def test_the_first_error_stops_the_rest():
    done: list[int] = []

    def work(item: int) -> None:
        if item == 5:
            raise ValueError(item)
        done.append(item)

    with pytest.raises(ValueError, match="5"):
        pipeline.run(range(10**9), work, threads=2, check_cancelled=_never)
    assert len(done) < 10**6


def test_an_error_of_the_iterator_is_raised():
    def items():
        yield 1
        raise KeyError("broken")

    with pytest.raises(KeyError):
        pipeline.run(items(), lambda _item: None, threads=3, check_cancelled=_never)


def test_a_cancel_ends_an_endless_run_and_leaves_no_thread():
    before = threading.active_count()
    begun = threading.Event()

    def check() -> None:
        if begun.is_set():
            raise errors.Cancelled

    def endless():
        while True:
            yield 1

    with pytest.raises(errors.Cancelled):
        pipeline.run(endless(), lambda _item: begun.set(), threads=2, check_cancelled=check)
    assert threading.active_count() == before


def test_nothing_to_do_is_fine():
    pipeline.run([], lambda _item: pytest.fail("called"), threads=2, check_cancelled=_never)
