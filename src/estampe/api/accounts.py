"""Routes of accounts and their quotas."""

from __future__ import annotations

from typing import Annotated

import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import gate, problems
from estampe.schemas import account

router = fastapi.APIRouter(prefix="/accounts", tags=["accounts"], route_class=gate.Route)


@router.get("")
def list_accounts(
    services: given.Services, actor: given.Actor, query: Annotated[account.AccountQuery, fastapi.Query()]
) -> account.AccountList:
    """A page of all accounts, for the cloud operator; for others the one they act for."""
    only_id = None if actor.is_cloud_operator else actor.account_id
    page = services.accounts.list(query.to_domain(only_id=only_id))
    return account.AccountList(accounts=[account.Account.model_validate(each) for each in page.items], next=page.next)


@router.post("", status_code=201, responses=problems.answers(errors.InvalidName, errors.NameInUse))
def create_account(
    services: given.Services, trail: given.Trail, request: account.CreateAccountRequest
) -> account.Account:
    """Make an account: active, without members and without limits."""
    trail.subject = request.name
    trail.account = made = services.accounts.create(request.name)
    return account.Account.model_validate(made)


@router.get("/{account}", responses=problems.answers(errors.AccountNotFound))
def get_account(target: given.Target) -> account.Account:
    """One account."""
    return account.Account.model_validate(target)


@router.post("/{account}/suspend", responses=problems.answers(errors.AccountNotFound, errors.AccountBuiltIn))
def suspend_account(services: given.Services, target: given.Target) -> account.Account:
    """From now on nothing of the account can be changed; its servers are left as they are."""
    return account.Account.model_validate(services.accounts.suspend(target.id))


@router.post("/{account}/resume", responses=problems.answers(errors.AccountNotFound))
def resume_account(services: given.Services, target: given.Target) -> account.Account:
    """Active again; active already is fine."""
    return account.Account.model_validate(services.accounts.resume(target.id))


@router.delete(
    "/{account}",
    status_code=204,
    responses=problems.answers(errors.AccountNotFound, errors.AccountBuiltIn, errors.AccountInUse),
)
def delete_account(services: given.Services, target: given.Target) -> None:
    """Remove an account that has no templates, servers or unfinished operations any more, with its members and keys."""
    services.accounts.delete(target.id)


@router.get("/{account}/quota", responses=problems.answers(errors.AccountNotFound))
def get_quota(services: given.Services, target: given.Target) -> account.Quota:
    """What the account may have, and has."""
    return account.Quota.model_validate(services.accounts.quota(target.id))


@router.patch("/{account}/quota", responses=problems.answers(errors.AccountNotFound))
def edit_quota(
    services: given.Services, target: given.Target, trail: given.Trail, request: account.QuotaRequest
) -> account.Quota:
    """Change limits; what the account has above a limit stays."""
    told = (f"{name}={'none' if value is None else value}" for name, value in sorted(request.changes().items()))
    trail.subject = " ".join([target.name, *told])
    return account.Quota.model_validate(services.accounts.set_quota(target.id, request.changes()))
