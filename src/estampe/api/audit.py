"""Route of the audit log."""

from __future__ import annotations

import uuid
from typing import Annotated

import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import gate
from estampe.model import access
from estampe.schemas import audit

router = fastapi.APIRouter(prefix="/audit", tags=["audit"], route_class=gate.Route)


@router.get("")
def list_audit_entries(
    services: given.Services, actor: given.Actor, query: Annotated[audit.AuditQuery, fastapi.Query()]
) -> audit.AuditList:
    """A page of the changes that were asked for, the newest first: the account's own, or all for the cloud operator."""
    found = services.audit.list(
        account_id=_chosen(services, actor, query.account), actor=query.actor, action=query.action, since=query.since,
        until=query.until, limit=query.limit + 1, after=query.after,
    )  # fmt: skip
    page = [audit.AuditEntry.model_validate(each) for each in found[: query.limit]]
    return audit.AuditList(entries=page, next=page[-1].id if len(found) > query.limit else None)


def _chosen(services: given.Services, actor: access.Actor, name: str | None) -> uuid.UUID | None:
    """None: all accounts. Raises: errors.AccountNotFound (another account's as well)."""
    if actor.is_cloud_operator:
        return None if name is None else services.accounts.resolve(name).id
    if name is not None and name not in {actor.account.name, str(actor.account.id)}:
        raise errors.AccountNotFound(account=name)
    return actor.account_id
