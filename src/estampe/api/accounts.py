"""Routes of accounts and their quotas."""

from __future__ import annotations

import fastapi

from estampe.api import dependencies as given
from estampe.api import gate
from estampe.schemas import account

router = fastapi.APIRouter(prefix="/accounts", tags=["accounts"], route_class=gate.Route)


@router.get("")
def list_accounts(services: given.Services, actor: given.Actor) -> account.AccountList:
    """All accounts, for the cloud operator; for others the one they act for."""
    found = services.accounts.list() if actor.is_cloud_operator else [actor.account]
    return account.AccountList(accounts=[account.Account.model_validate(each) for each in found])


@router.post("", status_code=201)
def create_account(
    services: given.Services, trail: given.Trail, request: account.CreateAccountRequest
) -> account.Account:
    """Make an account: active, without members and without limits."""
    trail.subject = request.name
    trail.account = made = services.accounts.create(request.name)
    return account.Account.model_validate(made)


@router.get("/{account}")
def get_account(target: given.Target) -> account.Account:
    """One account."""
    return account.Account.model_validate(target)


@router.post("/{account}/suspend")
def suspend_account(services: given.Services, target: given.Target) -> account.Account:
    """From now on nothing of the account can be changed; its servers are left as they are."""
    return account.Account.model_validate(services.accounts.suspend(target.id))


@router.post("/{account}/resume")
def resume_account(services: given.Services, target: given.Target) -> account.Account:
    """Active again; active already is fine."""
    return account.Account.model_validate(services.accounts.resume(target.id))


@router.delete("/{account}", status_code=204)
def delete_account(services: given.Services, target: given.Target) -> None:
    """Remove an account that has no templates, servers or unfinished operations any more, with its members and keys."""
    services.accounts.delete(target.id)


@router.get("/{account}/quota")
def get_quota(services: given.Services, target: given.Target) -> account.Quota:
    """What the account may have, and has."""
    return account.Quota.model_validate(services.accounts.quota(target.id))


@router.patch("/{account}/quota")
def edit_quota(
    services: given.Services, target: given.Target, trail: given.Trail, request: account.QuotaRequest
) -> account.Quota:
    """Change limits; what the account has above a limit stays."""
    told = (f"{name}={'none' if value is None else value}" for name, value in sorted(request.changes().items()))
    trail.subject = " ".join([target.name, *told])
    return account.Quota.model_validate(services.accounts.set_quota(target.id, request.changes()))
