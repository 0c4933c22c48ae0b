"""Servers."""

from __future__ import annotations

import uuid
from typing import Annotated

import pydantic

from estampe.capture import request as capture
from estampe.model import listing, power
from estampe.schemas import account, configuration, wire
from estampe.schemas import report as reports

StopTimeout = Annotated[float, pydantic.Field(ge=0, le=86_400, allow_inf_nan=False)]


class StopRequest(wire.Request):
    """How to shut a server down."""

    is_forced: bool = False
    timeout_seconds: StopTimeout = capture.DEFAULT_STOP_TIMEOUT_SECONDS


class ListQuery(wire.Query):
    """Which servers to list."""

    name: wire.Glob | None = None
    power_state: Annotated[list[power.PowerState], pydantic.Field(max_length=8, description="may be repeated")] = (
        pydantic.Field(default_factory=list)
    )
    limit: wire.Limit = listing.DEFAULT_LIMIT
    after: wire.Cursor | None = None

    def to_domain(self) -> listing.ServerQuery:
        """As the service takes it."""
        return listing.ServerQuery(
            name_glob=self.name, power_states=tuple(self.power_state), limit=self.limit, after=self.after
        )


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
    template_id: uuid.UUID | None


class ServerList(wire.Answer):
    """One page; `next` goes back as `after` for the page behind it, null on the last."""

    servers: list[Server]
    next: str | None


class DeployedElsewhere(wire.Answer):
    """Servers of other accounts from a template. No account: of whoever deployed it while it was public.

    Which servers they are is told to the cloud operator only.
    """

    account: str | None
    count: int
    servers: list[Server]


class DeployedList(wire.Answer):
    """The servers that were deployed from a template: the account's own, and where others have some."""

    servers: list[Server]
    elsewhere: list[DeployedElsewhere]


class ServerDetail(wire.Answer):
    """A server with all that is known of it."""

    summary: Server
    configuration: configuration.Configuration | None
    addresses: list[str]
    problem: str | None
    report: list[reports.ReportedChange] | None = None
