"""Which versions stay, and why: the arithmetic of retention rules."""

import datetime
import fnmatch
import uuid

import hypothesis
import pytest
from hypothesis import strategies

from estampe import errors
from estampe.model import account, retention, template

NOW = datetime.datetime(2026, 3, 31, 12, 0, tzinfo=datetime.UTC)
State = template.State


def a_version(version, *, state=State.ACTIVE, days=0, name="ci-web", **facts):
    return template.Template(
        id=uuid.UUID(int=version), owner_id=account.DEFAULT_ACCOUNT_ID, name=name, version=version, state=state, note="",
        tags=(), server_id=None, server_name="web", created_at=NOW - datetime.timedelta(days=days), logical_bytes=1,
        data_bytes=1, new_bytes=1, is_sealed=True, guest_product=None, **facts,
    )  # fmt: skip


def a_rule(pattern="ci-*", keep_last=2, keep_days=None):
    return retention.Rule(
        owner_id=account.DEFAULT_ACCOUNT_ID, pattern=pattern, keep_last=keep_last, keep_days=keep_days
    )


def judge(versions, *rules, in_use=None, succeeds=None):
    facts = retention.Facts(now=NOW, in_use=in_use or {}, succeeds=succeeds or {})
    return {verdict.template.version: verdict for verdict in retention.judge(rules or (a_rule(),), versions, facts)}


def going(verdicts):
    return sorted(version for version, verdict in verdicts.items() if not verdict.is_kept)


def test_the_newest_versions_stay_and_the_others_go():
    verdicts = judge([a_version(nth) for nth in (1, 2, 3, 4)])
    assert going(verdicts) == [1, 2]
    assert verdicts[4].why == "by count: 0 newer versions, 2 stay"
    assert verdicts[1].why == "3 newer versions, 2 stay"


def test_young_versions_stay_whatever_their_number():
    verdicts = judge([a_version(1, days=14), a_version(2, days=13), a_version(3), a_version(4)], a_rule(keep_days=14))
    assert going(verdicts) == [1]
    assert verdicts[2].why == "by age: 13 days old, 14 stay"
    assert verdicts[1].why == "3 newer versions, 2 stay; 14 days old, 14 stay"


def test_a_disabled_version_takes_no_place_of_one_that_can_be_deployed():
    versions = [a_version(1), a_version(2), a_version(3, state=State.DISABLED), a_version(4, state=State.DISABLED)]
    assert going(judge(versions, a_rule(keep_last=1))) == [1]


def test_a_disabled_version_goes_when_enough_newer_ones_can_be_deployed():
    versions = [a_version(1, state=State.DISABLED), a_version(2), a_version(3, state=State.DEPRECATED)]
    assert going(judge(versions)) == [1]


def test_what_is_protected_in_use_or_a_successor_stays_and_says_so():
    versions = [a_version(1, is_protected=True), a_version(2), a_version(3), a_version(4), a_version(5), a_version(6)]
    verdicts = judge(versions, in_use={uuid.UUID(int=2): "operation op"}, succeeds={uuid.UUID(int=3): "ci-web@0"})
    assert going(verdicts) == [4]
    assert [verdicts[nth].why for nth in (1, 2, 3)] == [
        "protected",
        "in use by operation op",
        "the successor of ci-web@0",
    ]


def test_what_is_being_captured_stays_and_takes_no_place():
    verdicts = judge([a_version(1), a_version(2), a_version(3, state=State.CAPTURING)], a_rule(keep_last=1))
    assert going(verdicts) == [1]
    assert verdicts[3].why == "being captured"


def test_the_trash_is_passed_over_and_takes_no_place():
    gone = template.Trash(at=NOW, by="x", until=NOW, state_before=State.ACTIVE)
    versions = [
        a_version(1),
        a_version(2, state=State.TRASHED, trash=gone),
        a_version(3, state=State.DELETING),
        a_version(4),
    ]
    assert set(judge(versions)) == {1, 4}
    assert going(judge(versions)) == []


def test_what_no_pattern_matches_is_not_spoken_of():
    assert judge([a_version(nth, name="web") for nth in (1, 2, 3, 4)]) == {}
    assert judge([]) == {}


def test_of_several_rules_the_most_careful_one_decides():
    versions = [a_version(nth, days=9) for nth in (1, 2, 3, 4, 5)]
    careless, careful, by_age = a_rule(keep_last=1), a_rule("*", keep_last=3), a_rule("ci-w?b", keep_days=10)
    verdicts = judge(versions, careless, careful)
    assert going(verdicts) == [1, 2]
    assert (verdicts[3].pattern, verdicts[1].pattern) == ("*", "*")
    assert going(judge(versions, careless, careful, by_age)) == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"keep_last": 0}, errors.InvalidRequest),
        ({"keep_last": -1}, errors.InvalidRequest),
        ({"keep_last": 10_001}, errors.InvalidRequest),
        ({"keep_days": 0}, errors.InvalidRequest),
        ({"keep_days": 36_501}, errors.InvalidRequest),
        ({"pattern": ""}, errors.InvalidName),
        ({"pattern": "CI"}, errors.InvalidName),
        ({"pattern": "a/b"}, errors.InvalidName),
        ({"pattern": "["}, errors.InvalidName),
        ({"pattern": "."}, errors.InvalidName),
        ({"pattern": "a" * 64}, errors.InvalidName),
    ],
)
def test_a_rule_that_cannot_be_is_refused(changes, error):
    with pytest.raises(error):
        retention.check(a_rule(**changes))


_names = strategies.text("abc-._", min_size=1, max_size=8)
_patterns = strategies.text("abc-._*?", min_size=1, max_size=8)


@hypothesis.given(_patterns, _names)
def test_a_pattern_matches_as_the_shells_does(pattern, name):
    assert a_rule(pattern).matches(name) == fnmatch.fnmatchcase(name, pattern)


_states = strategies.sampled_from([State.ACTIVE, State.DEPRECATED, State.DISABLED, State.CAPTURING])
_histories = strategies.lists(strategies.tuples(_states, strategies.integers(0, 40)), max_size=12)


@hypothesis.given(_histories, strategies.integers(1, 4), strategies.none() | strategies.integers(1, 30))
def test_however_they_lie_the_newest_that_can_be_deployed_stay_and_nothing_young_goes(history, keep_last, keep_days):
    versions = [a_version(nth, state=state, days=days) for nth, (state, days) in enumerate(history, 1)]
    verdicts = judge(versions, a_rule(keep_last=keep_last, keep_days=keep_days))
    assert set(verdicts) == {each.version for each in versions}
    gone = set(going(verdicts))
    deployable = [each.version for each in reversed(versions) if each.state in template.DEPLOYABLE]
    assert not gone & set(deployable[:keep_last])
    if keep_days is None:
        assert set(deployable[keep_last:]) <= gone
    else:
        young = {each.version for each in versions if NOW - each.created_at < datetime.timedelta(days=keep_days)}
        assert not gone & young
