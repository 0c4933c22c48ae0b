"""What endpoints are given: the services and the account that asks."""

from __future__ import annotations

import uuid
from typing import Annotated, cast

import fastapi
import pydantic

from estampe.api import services
from estampe.model import account
from estampe.schemas import wire


def get_services(request: fastapi.Request) -> services.Services:
    """The services the application was created with."""
    return cast("services.Services", request.app.state.services)


def get_owner_id() -> uuid.UUID:
    """The account that asks. Whoever may open the unix socket is an administrator and acts as the default account."""
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
