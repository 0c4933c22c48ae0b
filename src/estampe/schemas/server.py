"""Servers."""

from __future__ import annotations

import uuid
from typing import Annotated

import pydantic

from estampe.capture import request as capture
from estampe.model import power
from estampe.schemas import account, configuration, wire

StopTimeout = Annotated[float, pydantic.Field(ge=0, le=86_400, allow_inf_nan=False)]


class StopRequest(wire.Request):
    """How to shut a server down."""

    is_forced: bool = False
    timeout_seconds: StopTimeout = capture.DEFAULT_STOP_TIMEOUT_SECONDS


class AssignRequest(wire.Request):
    """Which account gets the server: its name or id."""

    account: account.Reference


class Server(wire.Answer):
    """A server in a list."""

    id: uuid.UUID
    name: str
    domain_uuid: uuid.UUID
    power_state: power.PowerState
    cpus: int
    memory_bytes: int
    is_persistent: bool
    template: str | None
    busy_operation: uuid.UUID | None


class ServerList(wire.Answer):
    """All servers, by name."""

    servers: list[Server]


class ServerDetail(wire.Answer):
    """A server with all that is known of it."""

    summary: Server
    configuration: configuration.Configuration | None
    addresses: list[str]
    problem: str | None
