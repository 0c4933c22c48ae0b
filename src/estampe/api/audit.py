"""Route of the audit log."""

from __future__ import annotations

import uuid
from typing import Annotated

import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import gate, problems
from estampe.model import access
from estampe.schemas import audit

router = fastapi.APIRouter(prefix="/audit", tags=["audit"], route_class=gate.Route)


@router.get("", responses=problems.answers(errors.AccountNotFound))
def list_audit_entries(
    services: given.Services, actor: given.Actor, query: Annotated[audit.AuditQuery, fastapi.Query()]
) -> audit.AuditList:
    """A page of the changes that were asked for: the account's own, or all for the cloud operator.

    The newest first unless sorted otherwise.
    """
    page = services.audit.list(query.to_domain(account_id=_chosen(services, actor, query.account)))
    return audit.AuditList(entries=[audit.AuditEntry.model_validate(each) for each in page.items], next=page.next)


def _chosen(services: given.Services, actor: access.Actor, name: str | None) -> uuid.UUID | None:
    """None: all accounts. Raises: errors.AccountNotFound (another account's as well)."""
    if actor.is_cloud_operator:
        return None if name is None else services.accounts.resolve(name).id
    if name is not None and name not in {actor.account.name, str(actor.account.id)}:
        raise errors.AccountNotFound(account=name)
    return actor.account_id
