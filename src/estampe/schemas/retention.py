"""Retention rules."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated

import pydantic

from estampe.model import retention, template
from estampe.schemas import wire


class RetentionRuleRequest(wire.Request):
    """What stays of each name that the rule's pattern matches: so many versions, and those younger than so many days."""

    keep_last: Annotated[int, pydantic.Field(ge=1, le=retention.MAX_KEEP_LAST)]
    keep_days: Annotated[int, pydantic.Field(ge=1, le=retention.MAX_KEEP_DAYS)] | None = None


class ApplyRequest(wire.Request):
    """Whether to tell only what would go."""

    is_dry_run: bool = False


class RetentionRule(wire.Answer):
    """A rule of the account."""

    pattern: str
    keep_last: int
    keep_days: int | None


class RetentionRuleList(wire.Answer):
    """All rules of the account, by pattern."""

    rules: list[RetentionRule]


class RuledTemplate(wire.Answer):
    """A template that a rule matches; it may be gone by now."""

    id: uuid.UUID
    name: str
    version: int
    state: template.State
    created_at: datetime.datetime

    @property
    def reference(self) -> str:
        """As its account names it: web@3."""
        return f"{self.name}@{self.version}"


class Verdict(wire.Answer):
    """Whether a template that a rule matches stays, and why; `pattern` is that of the rule that decided."""

    template: RuledTemplate
    is_kept: bool
    pattern: str
    why: str


class RetentionReport(wire.Answer):
    """A verdict for each template that a rule matches. Unless it was a dry run, those that are not kept are deleted."""

    is_dry_run: bool
    verdicts: list[Verdict]
