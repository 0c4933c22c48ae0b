import datetime
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estampe.jobs import estimate
from estampe.model import operation

NOON = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)


def sample(seconds, done_bytes, phase="copying"):
    at = NOON + datetime.timedelta(seconds=seconds)
    return estimate.Sample(at, operation.Progress(phase=phase, done_bytes=done_bytes))


def progress(done_bytes, total_bytes):
    return operation.Progress(phase="copying", done_bytes=done_bytes, total_bytes=total_bytes)


def test_the_rate_is_what_was_done_between_two_looks():
    assert estimate.rate(sample(10, 100), sample(14, 500)) == 100.0


def test_a_stall_is_a_rate_of_nothing():
    assert estimate.rate(sample(10, 100), sample(14, 100)) == 0.0


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (sample(0, 0), sample(0, 5)),
        (sample(2, 0), sample(1, 5)),
        (sample(0, 9), sample(1, 5)),
        (sample(0, 0), sample(1, 5, "sealing")),
    ],
    ids=["no time", "clock set back", "step ran again", "another phase"],
)
def test_looks_that_cannot_be_compared_give_no_rate(earlier, later):
    assert estimate.rate(earlier, later) is None


@pytest.mark.parametrize(("done", "total", "share"), [(0, 10, 0.0), (5, 10, 0.5), (10, 10, 1.0), (0, 0, 1.0)])
def test_the_share_that_is_done(done, total, share):
    assert estimate.share(progress(done, total)) == share


@pytest.mark.parametrize(("done", "total"), [(5, None), (11, 10)])
def test_no_share_is_claimed_without_a_total_that_holds(done, total):
    assert estimate.share(progress(done, total)) is None
    assert estimate.seconds_left(progress(done, total), 10.0) is None


@pytest.mark.parametrize(
    ("done", "rate", "seconds"), [(50, 10.0, 5.0), (50, 0.0, None), (50, None, None), (100, None, 0.0)]
)
def test_the_time_left_at_a_rate(done, rate, seconds):
    assert estimate.seconds_left(progress(done, 100), rate) == seconds


@given(done=st.integers(0, 1 << 60), total=st.integers(1, 1 << 60))
def test_all_is_said_to_be_done_exactly_when_it_is(done, total):
    share = estimate.share(progress(done, total))
    assert (share is not None and share >= 1.0) == (done == total)


def seen(done_bytes, phase_started_at=NOON):
    return operation.Operation(
        id=uuid.uuid4(), owner_id=uuid.uuid4(), kind=operation.Kind.CAPTURE, subject="web-01",
        state=operation.State.RUNNING, progress=progress(done_bytes, None), phase_started_at=phase_started_at,
        is_cancel_requested=False, request={}, result=None, error=None, created_at=NOON, started_at=NOON, ended_at=None,
    )  # fmt: skip


def test_one_look_gives_the_mean_rate_of_the_phase():
    now = NOON + datetime.timedelta(seconds=20)
    assert estimate.mean_rate(seen(100), now) == 5.0
    assert estimate.mean_rate(seen(0), now) is None
    assert estimate.mean_rate(seen(100, None), now) is None
