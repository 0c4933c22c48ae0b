"""Routes of users: the people who may sign in."""

from __future__ import annotations

from typing import Annotated

import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import gate, hashing, problems
from estampe.schemas import account, oidc

router = fastapi.APIRouter(prefix="/users", tags=["users"], route_class=gate.Route)


@router.get("")
def list_users(services: given.Services, query: Annotated[account.UserQuery, fastapi.Query()]) -> account.UserList:
    """A page of users, by name."""
    page = services.people.list_users(query.to_domain())
    return account.UserList(users=[account.User.model_validate(each) for each in page.items], next=page.next)


@router.post("", status_code=201, responses=problems.answers(errors.InvalidName, errors.NameInUse))
async def create_user(
    services: given.Services, trail: given.Trail, limiter: hashing.Limiter, request: account.CreateUserRequest
) -> account.User:
    """Make a user: a member of no account yet."""
    trail.subject = request.name

    def create() -> account.User:
        made = services.people.add_user(
            request.name, password=request.password, is_cloud_operator=request.is_cloud_operator
        )
        return account.User.model_validate(made)

    return await limiter.run(create)


@router.delete("/{reference}", status_code=204, responses=problems.answers(errors.UserNotFound))
def delete_user(services: given.Services, reference: given.UserPath) -> None:
    """Remove a user with all memberships and keys."""
    services.people.remove_user(reference)


@router.put(
    "/{reference}/password",
    status_code=204,
    responses=problems.answers(errors.UserNotFound, errors.SignInRefused, errors.SignInLocked),
)
async def set_password(
    services: given.Services,
    actor: given.Actor,
    reference: given.UserPath,
    limiter: hashing.Limiter,
    request: account.PasswordRequest,
) -> None:
    """Change a password: one's own, or anybody's for the cloud operator. What was signed in with the old one is signed out."""

    def change() -> None:
        services.people.set_password(actor, reference, password=request.password, current=request.current)

    await limiter.run(change)


@router.put(
    "/{reference}/oidc",
    status_code=204,
    responses=problems.answers(errors.UserNotFound, errors.NameInUse, errors.OidcNotConfigured),
)
def link_user(
    services: given.Services, trail: given.Trail, reference: given.UserPath, request: oidc.LinkRequest
) -> None:
    """Let a person of the OpenID provider in as this user, whoever it was before. What was signed in as the user is signed out."""
    trail.subject = f"{reference} ({request.subject})"
    services.oidc.link(reference, request.subject)


@router.delete("/{reference}/oidc", status_code=204, responses=problems.answers(errors.UserNotFound))
def unlink_user(services: given.Services, reference: given.UserPath) -> None:
    """Nobody at the OpenID provider is this user any more. What was signed in as the user is signed out."""
    services.oidc.unlink(reference)
