"""When the store is counted, and which counts are kept."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estampe.model import growth

NOW = datetime.datetime(2026, 11, 23, 14, 5, tzinfo=datetime.UTC)
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)


@pytest.mark.parametrize(
    ("last", "is_due"),
    [(None, True), (NOW, False), (NOW - 5.9 * HOUR, False), (NOW - 6 * HOUR, True), (NOW + HOUR, True)],
)
def test_it_is_counted_every_six_hours_also_by_a_clock_that_was_set_back(last, is_due):
    assert growth.is_due(last, NOW) == is_due


def test_what_is_old_is_thinned_to_one_a_day_and_then_to_one_a_week():
    moments = [NOW - 6 * HOUR * nth for nth in range(4 * 365 * 3)]
    kept = sorted(set(moments) - set(growth.superfluous(moments, NOW)))
    ages = [NOW - at for at in kept]
    assert sum(age <= 31 * DAY for age in ages) == 31 * 4 + 1
    assert sum(31 * DAY < age <= 731 * DAY for age in ages) in {700, 701}
    assert sum(age > 731 * DAY for age in ages) in range(51, 55)


@given(ages=st.lists(st.integers(0, 40_000_000), unique=True), later=st.integers(0, 40_000_000))
def test_thinning_again_drops_nothing_more_and_never_all_of_a_day(ages, later):
    moments = {NOW - datetime.timedelta(seconds=each) for each in ages}
    kept = moments - set(growth.superfluous(moments, NOW))
    assert not growth.superfluous(kept, NOW)
    assert {at.date() for at in moments if NOW - at <= 731 * DAY} == {at.date() for at in kept if NOW - at <= 731 * DAY}
    then = NOW + datetime.timedelta(seconds=later)
    assert set(growth.superfluous(kept, then)) <= kept
