"""Work from time to time: the rounds, a bad one, and the end. No test sleeps: waits are counted, or ended by the stop."""

import threading

import pytest

from estampe.jobs import periodic


class Waits:
    """Lets so many waits pass, then says that it is time to end."""

    def __init__(self, rounds):
        self.rounds = rounds
        self.seconds = []

    def __call__(self, seconds):
        self.seconds.append(seconds)
        return len(self.seconds) > self.rounds


def test_it_waits_before_each_round_and_ends_when_told():
    rounds, waits = [], Waits(3)
    periodic.Periodic(lambda: rounds.append(1), name="x", interval_seconds=60, wait=waits).run()
    assert len(rounds) == 3
    assert waits.seconds == [60] * 4


def test_the_first_round_may_come_sooner():
    rounds, waits = [], Waits(2)
    periodic.Periodic(lambda: rounds.append(1), name="x", interval_seconds=60, first_seconds=5, wait=waits).run()
    assert waits.seconds == [5, 60, 60]


def test_a_round_that_fails_is_not_the_last_one(caplog):
    rounds = []

    def work():
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError("a defect")

    periodic.Periodic(work, name="housekeeping", interval_seconds=60, wait=Waits(2)).run()
    assert len(rounds) == 2
    assert "housekeeping failed" in caplog.text


def test_leaving_ends_the_thread_at_once_however_long_it_would_wait():
    with periodic.Periodic(lambda: None, name="idle-housekeeping", interval_seconds=1e6).running():
        assert "idle-housekeeping" in {thread.name for thread in threading.enumerate()}
    assert "idle-housekeeping" not in {thread.name for thread in threading.enumerate()}


def test_leaving_waits_for_the_round_that_is_under_way():
    begun, go_on, done = threading.Event(), threading.Event(), []

    def work():
        begun.set()
        go_on.wait(30)
        done.append(1)

    def leave():
        with periodic.Periodic(work, name="busy", interval_seconds=0.001).running():
            assert begun.wait(30)
            go_on.set()

    leave()
    assert done


def test_an_error_inside_ends_the_thread_too():
    def fail():
        with periodic.Periodic(lambda: None, name="failed-housekeeping", interval_seconds=1e6).running():
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail()
    assert "failed-housekeeping" not in {thread.name for thread in threading.enumerate()}
