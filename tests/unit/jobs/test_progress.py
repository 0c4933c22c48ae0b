import concurrent.futures
import datetime
import uuid

import pytest

from estampe import errors
from estampe.jobs import base, progress
from estampe.model import operation

NOON = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
ID = uuid.uuid4()


class Board:
    """An operation's row."""

    def __init__(self):
        self.reports = []
        self.looks = 0
        self.is_cancelled = False
        self.is_broken = False

    def report(self, operation_id, given, *, at):
        assert (operation_id, at) == (ID, NOON)
        self.check()
        self.reports.append((given.phase, given.done_bytes, given.total_bytes))

    def is_cancel_requested(self, operation_id):
        assert operation_id == ID
        self.looks += 1
        self.check()
        return self.is_cancelled

    def check(self):
        if self.is_broken:
            raise errors.DatabaseUnavailable(where="here", detail="broken")


class Stopwatch:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def board():
    return Board()


@pytest.fixture
def watch():
    return Stopwatch()


@pytest.fixture
def reporter(board, watch):
    return progress.Reporter(board, ID, lambda: NOON, monotonic=watch)


def test_a_phase_is_written_at_once(reporter, board):
    reporter.phase("planning")
    reporter.phase("copying vda", 100)
    assert board.reports == [("planning", 0, None), ("copying vda", 0, 100)]


def test_bytes_are_added_up_and_written_now_and_then(reporter, board, watch):
    reporter.phase("copying", 100)
    for _ in range(50):
        watch.now += 0.1
        reporter.advance(1)
    written = [done for _, done, _ in board.reports]
    assert len(written) == 1 + 5 * 2
    assert written == sorted(written)


def test_the_last_bytes_of_a_phase_are_always_written(reporter, board):
    reporter.phase("copying", 100)
    reporter.advance(60)
    reporter.advance(40)
    assert board.reports == [("copying", 0, 100), ("copying", 100, 100)]


def test_no_byte_of_many_threads_is_lost(board):
    reporter = progress.Reporter(board, ID, lambda: NOON)
    reporter.phase("copying", 8 * 1000)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(lambda: [reporter.advance(1) for _ in range(1000)])
    assert board.reports[-1] == ("copying", 8000, 8000)


def test_a_cancel_is_heard_within_a_quarter_of_a_second(reporter, board, watch):
    reporter.check_cancelled()
    board.is_cancelled = True
    watch.now += 0.2
    reporter.check_cancelled()
    watch.now += 0.06
    with pytest.raises(errors.Cancelled):
        reporter.check_cancelled()


def test_listening_costs_no_look_per_chunk(reporter, board, watch):
    for _ in range(1000):
        watch.now += 0.001
        reporter.check_cancelled()
    assert board.looks <= 4


def test_a_cancel_once_heard_stays(reporter, board):
    board.is_cancelled = True
    for _ in range(2):
        with pytest.raises(errors.Cancelled):
            reporter.check_cancelled()
    assert board.looks == 1


def test_a_shielded_operation_hears_no_cancel(reporter, board, watch):
    board.is_cancelled = True
    with pytest.raises(errors.Cancelled):
        reporter.check_cancelled()
    reporter.shield()
    watch.now += 10
    reporter.check_cancelled()


def test_an_ending_daemon_interrupts_a_shielded_operation_too(board, watch):
    reporter = progress.Reporter(board, ID, lambda: NOON, is_closing=lambda: True, monotonic=watch)
    reporter.shield()
    with pytest.raises(base.Interrupted):
        reporter.check_cancelled()


def test_a_database_that_is_away_fails_no_copy(reporter, board, watch):
    board.is_broken = True
    reporter.phase("copying", 100)
    reporter.advance(50)
    reporter.check_cancelled()
    board.is_broken = False
    watch.now += 1
    reporter.advance(10)
    reporter.check_cancelled()
    assert board.reports == [("copying", 60, 100)]


def test_the_operations_table_is_such_a_board():
    from estampe.db import operations

    board: type[progress.Board] = operations.Operations
    assert all(hasattr(board, name) for name in ("report", "is_cancel_requested"))
    assert operation.Progress(phase="x").done_bytes == 0
