"""What endpoints are given: the services, who asks, and the account that is asked for.

What only looks something up in the request is `async`: FastAPI would take a thread of the pool for each of it, and under load
each has to be waited for.
"""

from __future__ import annotations

import uuid
from typing import Annotated, cast

import fastapi
import pydantic

from estampe import errors
from estampe.api import gate, paths, services
from estampe.model import access
from estampe.model import account as accounts
from estampe.schemas import wire


async def get_services(request: fastapi.Request) -> services.Services:
    """The services the application was created with."""
    return cast("services.Services", request.app.state.services)


async def get_actor(request: fastapi.Request) -> access.Actor:
    """Who asks."""
    return gate.actor_of(request)


async def get_trail(request: fastapi.Request) -> gate.Trail:
    """What the audit log will say."""
    return gate.trail_of(request)


async def get_owner_id(request: fastapi.Request) -> uuid.UUID:
    """The account that is acted for; who may act for it, the gate has settled."""
    return gate.actor_of(request).account_id


Services = Annotated[services.Services, fastapi.Depends(get_services)]
Actor = Annotated[access.Actor, fastapi.Depends(get_actor)]
Trail = Annotated[gate.Trail, fastapi.Depends(get_trail)]
OwnerId = Annotated[uuid.UUID, fastapi.Depends(get_owner_id)]
Reference = Annotated[
    str,
    fastapi.Path(min_length=1, max_length=wire.REFERENCE_CHARACTERS, description="name or id"),
    pydantic.AfterValidator(wire.check_line),
]
TemplateReference = Annotated[
    str,
    fastapi.Path(
        min_length=1,
        max_length=wire.REFERENCE_CHARACTERS,
        description="name or id; of another account's, its publisher and name with the slash as `%2F`: `acme%2Fweb@3`",
    ),
    pydantic.AfterValidator(paths.decoded),
    pydantic.AfterValidator(wire.check_line),
]
AccountPath = Annotated[
    str,
    fastapi.Path(min_length=1, max_length=wire.REFERENCE_CHARACTERS, description="name or id of the account"),
    pydantic.AfterValidator(wire.check_line),
]
UserPath = Annotated[
    str,
    fastapi.Path(min_length=1, max_length=128, description="name of the user"),
    pydantic.AfterValidator(wire.check_line),
]


def get_target(asked: Services, actor: Actor, trail: Trail, account: AccountPath) -> accounts.Account:
    """The account that the path names: any for the cloud operator, for others their own only.

    Raises: errors.AccountNotFound (another account's as well).
    """
    if actor.is_cloud_operator:
        trail.account = found = asked.accounts.resolve(account)
        return found
    if account not in {actor.account.name, str(actor.account.id)}:
        raise errors.AccountNotFound(account=account)
    return actor.account


Target = Annotated[accounts.Account, fastapi.Depends(get_target)]
