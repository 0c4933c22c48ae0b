"""What endpoints are given: the services and the account that asks."""

from __future__ import annotations

import uuid
from typing import Annotated, cast

import fastapi
import pydantic

from estampe import errors
from estampe.api import services, transport
from estampe.model import account
from estampe.schemas import wire


def get_services(request: fastapi.Request) -> services.Services:
    """The services the application was created with."""
    return cast("services.Services", request.app.state.services)


def get_owner_id(request: fastapi.Request) -> uuid.UUID:
    """The account that asks. Whoever may open the unix socket is an administrator and acts as the default account.

    This is the one gate of identity: nobody who comes by TCP is known, so nobody is let in. Every route but those that say
    whether the daemon lives asks it.

    Raises: errors.Unauthenticated.
    """
    if transport.of(request.scope) is not transport.Transport.UNIX:
        raise errors.Unauthenticated(advice="over TCP nobody can sign in; use the unix socket on the host itself")
    return account.DEFAULT_ACCOUNT_ID


def get_actor() -> str:
    """Who asks, in words for people: what is kept with a deletion."""
    return "an administrator"


Services = Annotated[services.Services, fastapi.Depends(get_services)]
OwnerId = Annotated[uuid.UUID, fastapi.Depends(get_owner_id)]
Actor = Annotated[str, fastapi.Depends(get_actor)]
Reference = Annotated[
    str,
    fastapi.Path(min_length=1, max_length=wire.REFERENCE_CHARACTERS, description="name or id"),
    pydantic.AfterValidator(wire.check_line),
]
