"""Routes of users: the people who may sign in."""

from __future__ import annotations

import fastapi

from estampe.api import dependencies as given
from estampe.api import gate, hashing
from estampe.schemas import account

router = fastapi.APIRouter(prefix="/users", tags=["users"], route_class=gate.Route)


@router.get("")
def list_users(services: given.Services) -> account.UserList:
    """All users, by name."""
    found = services.people.list_users()
    return account.UserList(users=[account.User.model_validate(each) for each in found])


@router.post("", status_code=201)
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


@router.delete("/{reference}", status_code=204)
def delete_user(services: given.Services, reference: given.UserPath) -> None:
    """Remove a user with all memberships and keys."""
    services.people.remove_user(reference)


@router.put("/{reference}/password", status_code=204)
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
