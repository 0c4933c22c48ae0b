"""Routes of an account's members."""

from __future__ import annotations

import fastapi

from estampe.api import dependencies as given
from estampe.api import gate
from estampe.schemas import account

router = fastapi.APIRouter(prefix="/accounts/{account}/members", tags=["accounts"], route_class=gate.Route)


@router.get("")
def list_members(services: given.Services, target: given.Target) -> account.MemberList:
    """Who may act for the account, and as what."""
    found = services.people.list_members(target.id)
    return account.MemberList(members=[account.Member.model_validate(each) for each in found])


@router.post("", status_code=201)
def add_member(
    services: given.Services, target: given.Target, trail: given.Trail, request: account.AddMemberRequest
) -> account.Member:
    """Let a user act for the account."""
    trail.subject = f"{request.user} as {request.role.value}"
    return account.Member.model_validate(services.people.add_member(target.id, request.user, request.role))


@router.patch("/{reference}")
def edit_member(
    services: given.Services,
    target: given.Target,
    trail: given.Trail,
    reference: given.UserPath,
    request: account.EditMemberRequest,
) -> account.Member:
    """Give a member another role. It holds at once, also for keys that the member has made."""
    trail.subject = f"{reference} as {request.role.value}"
    return account.Member.model_validate(services.people.set_role(target.id, reference, request.role))


@router.delete("/{reference}", status_code=204)
def remove_member(
    services: given.Services, target: given.Target, trail: given.Trail, reference: given.UserPath
) -> None:
    """A user acts for the account no more, nor do the keys that the user made for it."""
    trail.subject = reference
    services.people.remove_member(target.id, reference)
