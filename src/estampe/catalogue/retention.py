"""Retention rules of accounts: kept, judged and carried out."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.catalogue import life, unasked
from estampe.db import operations as operation_rows
from estampe.db import retention as rule_rows
from estampe.db import templates as template_rows
from estampe.jobs import dispatch, locks
from estampe.model import listing, retention
from estampe.model import template as templates

_PAGE: Final = 1000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionService:
    """The rules, and what they do to templates: at once, and from time to time."""

    rules: rule_rows.Rules
    rows: template_rows.Templates
    operations: operation_rows.Operations
    life: life.LifeService
    record: unasked.Recorder
    now: Callable[[], datetime.datetime] = dispatch.utc_now

    def set(self, owner_id: uuid.UUID, pattern: str, *, keep_last: int, keep_days: int | None) -> retention.Rule:
        """Keep a rule, in place of the one for that pattern. Raises: errors.InvalidName, errors.InvalidRequest."""
        rule = retention.Rule(owner_id=owner_id, pattern=pattern, keep_last=keep_last, keep_days=keep_days)
        self.rules.set(retention.check(rule))
        return rule

    def list(self, owner_id: uuid.UUID) -> Sequence[retention.Rule]:
        """The account's, by pattern."""
        return self.rules.list(owner_id)

    def remove(self, owner_id: uuid.UUID, pattern: str) -> None:
        """Forget a rule. Raises: errors.RetentionRuleNotFound."""
        self.rules.remove(owner_id, pattern)

    def apply(self, owner_id: uuid.UUID, *, is_dry_run: bool) -> Sequence[retention.Verdict]:
        """A verdict for each template that a rule matches, by name, newest version first; what goes is in the trash then."""
        verdicts = self._judge(owner_id)
        return verdicts if is_dry_run else [self.carry_out(verdict) for verdict in verdicts]

    def apply_all(self) -> None:
        """All accounts' rules; suspended accounts are left as they are."""
        for owner_id in self.rules.list_owners():
            for verdict in self._judge(owner_id):
                if not self.carry_out(verdict).is_kept:
                    self._tell(owner_id, verdict)

    def _tell(self, owner_id: uuid.UUID, verdict: retention.Verdict) -> None:
        gone = f"{verdict.template.reference} ({verdict.template.id})"
        _log.info("retention rule %s deleted template %s: %s", verdict.pattern, gone, verdict.why)
        self.record(owner_id, action="delete_template", subject=f"{gone} by retention rule {verdict.pattern}")

    def carry_out(self, verdict: retention.Verdict) -> retention.Verdict:
        """Delete what is not kept. What has changed since it was judged wins: a template that may not go now stays, and says why."""
        if verdict.is_kept:
            return verdict
        try:
            self.life.discard(verdict.template, by=f"retention rule {verdict.pattern}")
        except (errors.Conflict, errors.NotFound) as error:
            return dataclasses.replace(verdict, is_kept=True, why=str(error))
        return verdict

    def _judge(self, owner_id: uuid.UUID) -> Sequence[retention.Verdict]:
        rules = self.rules.list(owner_id)
        if not rules:
            return []
        in_use = locks.templates_in_use(self.operations)
        facts = retention.Facts(
            now=self.now(),
            in_use={template_id: self._user(owner_id, user) for template_id, user in in_use.items()},
            succeeds=self.rows.successors(owner_id),
        )
        by_name = itertools.groupby(self._each(owner_id), key=lambda one: one.name)
        return [verdict for _name, group in by_name for verdict in retention.judge(rules, list(group), facts)]

    def _user(self, owner_id: uuid.UUID, operation_id: uuid.UUID) -> str:
        """Of another account's operation nothing is told."""
        try:
            is_own = self.operations.get(operation_id).owner_id == owner_id
        except errors.OperationNotFound:  # it has ended meanwhile, and was dropped
            is_own = True
        return f"operation {operation_id}" if is_own else "a deploy of another account"

    def _each(self, owner_id: uuid.UUID) -> Iterator[templates.Template]:
        page = self.rows.list(owner_id, listing.TemplateQuery(limit=_PAGE))
        yield from page.items
        while page.next is not None:
            page = self.rows.list(owner_id, listing.TemplateQuery(limit=_PAGE, after=page.next))
            yield from page.items
