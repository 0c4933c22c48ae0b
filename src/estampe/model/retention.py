"""Retention rules: which versions of which templates stay, and why. Pure: what is asked of it is decided here alone."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.model import template

_PATTERN: Final = re.compile(r"[a-z0-9*?][a-z0-9*?._-]{0,62}")
_PATTERN_RULE: Final = "1 to 63 of a-z, 0-9, '.', '_', '-', '*' and '?', as ci-*"
MAX_KEEP_LAST: Final = 10_000
MAX_KEEP_DAYS: Final = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Of the templates whose name matches, the newest versions stay, and the young ones; the others go to the trash."""

    owner_id: uuid.UUID
    pattern: str  # `*` is any run of characters, `?` any one
    keep_last: int  # deployable versions of each name, at least one
    keep_days: int | None  # None: age keeps nothing

    def matches(self, name: str) -> bool:
        """Whether it is about templates of that name."""
        parts = ({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in self.pattern)
        return re.fullmatch("".join(parts), name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a template that a rule matches goes, and why so."""

    template: template.Template
    is_kept: bool
    pattern: str  # of the rule that decided
    why: str  # in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What else speaks for a template; ids of templates, with who needs it in words."""

    now: datetime.datetime
    in_use: Mapping[uuid.UUID, str]
    succeeds: Mapping[uuid.UUID, str]


def check_pattern(pattern: str) -> str:
    """`pattern` itself. Raises: errors.InvalidName."""
    if not _PATTERN.fullmatch(pattern):
        raise errors.InvalidName(name=pattern, what="retention pattern", rule=_PATTERN_RULE)
    return pattern


def check(rule: Rule) -> Rule:
    """`rule` itself. Raises: errors.InvalidName, errors.InvalidRequest."""
    check_pattern(rule.pattern)
    for field, value, most in (
        ("keep_last", rule.keep_last, MAX_KEEP_LAST),
        ("keep_days", rule.keep_days, MAX_KEEP_DAYS),
    ):
        if value is not None and not 1 <= value <= most:
            raise errors.InvalidRequest(field=field, problem=f"must be from 1 to {most}")
    return rule


def judge(rules: Collection[Rule], versions: Sequence[template.Template], facts: Facts) -> Iterator[Verdict]:
    """A verdict for each of `versions`, which are all of one name, of the account of `rules`; none where no rule matches.

    Those in the trash, or on their way out, are passed over. Where several rules match, the most careful one decides: what
    one of them keeps stays.
    """
    matching = [rule for rule in rules if versions and rule.matches(versions[0].name)]
    newer = 0  # deployable versions newer than the one looked at; a disabled version does not use up a place
    for one in sorted(versions, key=lambda each: each.version, reverse=True):
        if matching and one.state in template.KEPT | {template.State.CAPTURING}:
            yield _verdict(matching, one, newer, facts)
        newer += one.state in template.DEPLOYABLE


def _verdict(rules: Sequence[Rule], one: template.Template, newer: int, facts: Facts) -> Verdict:
    own = _own_reason(one, facts)
    if own is not None:
        return Verdict(template=one, is_kept=True, pattern=rules[0].pattern, why=own)
    for rule in rules:
        why = _rules_reason(rule, one, newer, facts.now)
        if why is not None:
            return Verdict(template=one, is_kept=True, pattern=rule.pattern, why=why)
    rule = max(rules, key=lambda each: (each.keep_last, each.keep_days or 0))
    why = f"{newer} newer versions, {rule.keep_last} stay"
    if rule.keep_days is not None:
        why += f"; {_age_days(one, facts.now)} days old, {rule.keep_days} stay"
    return Verdict(template=one, is_kept=False, pattern=rule.pattern, why=why)


def _own_reason(one: template.Template, facts: Facts) -> str | None:
    if one.state is template.State.CAPTURING:
        return "being captured"
    if one.is_protected:
        return "protected"
    if one.id in facts.in_use:
        return f"in use by {facts.in_use[one.id]}"
    if one.id in facts.succeeds:
        return f"the successor of {facts.succeeds[one.id]}"
    return None


def _rules_reason(rule: Rule, one: template.Template, newer: int, now: datetime.datetime) -> str | None:
    if newer < rule.keep_last:
        return f"by count: {newer} newer versions, {rule.keep_last} stay"
    if rule.keep_days is not None and now - one.created_at < datetime.timedelta(days=rule.keep_days):
        return f"by age: {_age_days(one, now)} days old, {rule.keep_days} stay"
    return None


def _age_days(one: template.Template, now: datetime.datetime) -> int:
    return max(0, (now - one.created_at).days)
