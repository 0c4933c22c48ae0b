"""Routes of retention rules."""

from __future__ import annotations

from typing import Annotated

import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import gate, problems
from estampe.schemas import retention

router = fastapi.APIRouter(prefix="/retention", tags=["retention"], route_class=gate.Route)

Pattern = Annotated[str, fastapi.Path(min_length=1, max_length=63, description="names of templates, as ci-*")]


@router.get("/rules")
def list_retention_rules(services: given.Services, owner_id: given.OwnerId) -> retention.RetentionRuleList:
    """All retention rules, by pattern."""
    rules = [retention.RetentionRule.model_validate(each) for each in services.retention.list(owner_id)]
    return retention.RetentionRuleList(rules=rules)


@router.put("/rules/{pattern}", responses=problems.answers(errors.InvalidName))
def set_retention_rule(
    services: given.Services, owner_id: given.OwnerId, pattern: Pattern, request: retention.RetentionRuleRequest
) -> retention.RetentionRule:
    """Keep a rule, in place of the one for that pattern; it is applied within the hour."""
    kept = services.retention.set(owner_id, pattern, keep_last=request.keep_last, keep_days=request.keep_days)
    return retention.RetentionRule.model_validate(kept)


@router.delete("/rules/{pattern}", status_code=204, responses=problems.answers(errors.RetentionRuleNotFound))
def remove_retention_rule(services: given.Services, owner_id: given.OwnerId, pattern: Pattern) -> None:
    """Forget a rule; what it has deleted stays in the trash."""
    services.retention.remove(owner_id, pattern)


@router.post("/apply")
def apply_retention_rules(
    services: given.Services, owner_id: given.OwnerId, trail: given.Trail, request: retention.ApplyRequest
) -> retention.RetentionReport:
    """Apply the rules now, or tell what they would do."""
    trail.subject = "(dry run)"
    found = services.retention.apply(owner_id, is_dry_run=request.is_dry_run)
    if not request.is_dry_run:
        gone = [verdict.template.reference for verdict in found if not verdict.is_kept]
        trail.subject = ", ".join(["deleted", *gone]) if gone else "nothing to delete"
    verdicts = [retention.Verdict.model_validate(each) for each in found]
    return retention.RetentionReport(is_dry_run=request.is_dry_run, verdicts=verdicts)
