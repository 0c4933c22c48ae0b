"""The typed clients: a method per route, schemas in and out, errors as `estampe.errors`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, TypeVar

import pydantic

from estampe.client import calls, exchange, transport
from estampe.client.method import Ask, Each, Follow
from estampe.schemas import wire

SOCKET_VARIABLE: Final = "ESTAMPE_SOCKET"
DEFAULT_SOCKET: Final = Path("/run/estampe/estampe.sock")
_Request = TypeVar("_Request", bound=wire.Request)


def socket_path() -> Path:
    """Where the daemon listens: $ESTAMPE_SOCKET, else the usual place."""
    return Path(os.environ.get(SOCKET_VARIABLE) or DEFAULT_SOCKET)


def make(kind: type[_Request], **fields: Any) -> _Request:
    """A request of that kind, by the rules that the daemon has too. Raises: errors.InvalidRequest."""
    try:
        return kind(**fields)
    except pydantic.ValidationError as error:
        raise wire.invalid_request([dict(problem) for problem in error.errors()]) from error


class Routes:
    """The methods that both clients have; what each asks is in `calls`.

    Every method raises errors.DaemonUnavailable, errors.SocketDenied and what its route answers.
    """

    list_servers = Each(calls.list_servers)
    get_server = Ask(calls.get_server)
    start_server = Ask(calls.start_server)
    stop_server = Ask(calls.stop_server)
    delete_server = Ask(calls.delete_server)

    plan_capture = Ask(calls.plan_capture)
    start_capture = Ask(calls.start_capture)
    plan_deployment = Ask(calls.plan_deployment)
    start_deployment = Ask(calls.start_deployment)

    list_templates = Each(calls.list_templates)
    get_template = Ask(calls.get_template)
    get_inventory = Ask(calls.get_inventory)
    compare_templates = Ask(calls.compare_templates)
    edit_template = Ask(calls.edit_template)
    delete_template = Ask(calls.delete_template)
    deprecate_template = Ask(calls.deprecate_template)
    disable_template = Ask(calls.disable_template)
    enable_template = Ask(calls.enable_template)
    restore_template = Ask(calls.restore_template)
    protect_template = Ask(calls.protect_template)
    unprotect_template = Ask(calls.unprotect_template)
    purge_template = Ask(calls.purge_template)
    replace_characteristics = Ask(calls.replace_characteristics)
    change_characteristics = Ask(calls.change_characteristics)
    list_servers_of_template = Each(calls.list_servers_of_template)

    list_retention_rules = Ask(calls.list_retention_rules)
    set_retention_rule = Ask(calls.set_retention_rule)
    remove_retention_rule = Ask(calls.remove_retention_rule)
    apply_retention_rules = Ask(calls.apply_retention_rules)

    list_profiles = Ask(calls.list_profiles)
    get_profile = Ask(calls.get_profile)

    list_operations = Each(calls.list_operations)
    get_operation = Ask(calls.get_operation)
    wait_operation = Ask(calls.wait_operation)
    watch_operation = Follow(calls.watch_operation)
    cancel_operation = Ask(calls.cancel_operation)

    get_usage = Ask(calls.get_usage)
    start_check = Ask(calls.start_check)
    start_sweep = Ask(calls.start_sweep)

    get_version = Ask(calls.get_version)
    get_health = Ask(calls.get_health)
    get_readiness = Ask(calls.get_readiness)
    get_metrics = Ask(calls.get_metrics)


class Client(Routes, transport.Blocking):
    """Estampe's daemon, at its unix socket or at a URL. Context manager; not for several threads.

    `ca` is a PEM file of who signed the certificate at the URL; `pause_seconds` lie between two tries to reach a daemon
    that went away.
    """

    def __init__(
        self,
        socket: Path | None = None,
        *,
        url: str | None = None,
        ca: Path | None = None,
        request_seconds: float = transport.REQUEST_SECONDS,
        pause_seconds: float = transport.PAUSE_SECONDS,
    ) -> None:
        super().__init__(_daemon(socket, url, ca), request_seconds=request_seconds, pause_seconds=pause_seconds)


class AsyncClient(Routes, transport.Awaiting):
    """The same for asyncio: every method is awaited, or iterated with `async for`."""

    def __init__(
        self,
        socket: Path | None = None,
        *,
        url: str | None = None,
        ca: Path | None = None,
        request_seconds: float = transport.REQUEST_SECONDS,
        pause_seconds: float = transport.PAUSE_SECONDS,
    ) -> None:
        super().__init__(_daemon(socket, url, ca), request_seconds=request_seconds, pause_seconds=pause_seconds)


def _daemon(socket: Path | None, url: str | None, ca: Path | None) -> exchange.Daemon:
    if url is not None:
        return exchange.Daemon(url=url, ca=ca)
    return exchange.Daemon(socket=socket or socket_path())
