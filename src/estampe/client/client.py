"""The typed clients: a method per route, schemas in and out, errors as `estampe.errors`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import pydantic

from estampe.client import calls, exchange, target, transport
from estampe.client.method import Ask, Each, Follow
from estampe.schemas import wire

_Request = TypeVar("_Request", bound=wire.Request)


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
    assign_server = Ask(calls.assign_server)

    plan_capture = Ask(calls.plan_capture)
    start_capture = Ask(calls.start_capture)
    plan_deployment = Ask(calls.plan_deployment)
    start_deployment = Ask(calls.start_deployment)

    list_templates = Each(calls.list_templates)
    get_template = Ask(calls.get_template)
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
    list_servers_of_template = Ask(calls.list_servers_of_template)
    get_template_usage = Ask(calls.get_template_usage)

    list_shares = Ask(calls.list_shares)
    share_template = Ask(calls.share_template)
    unshare_template = Ask(calls.unshare_template)
    publish_template = Ask(calls.publish_template)
    unpublish_template = Ask(calls.unpublish_template)
    hide_template = Ask(calls.hide_template)
    unhide_template = Ask(calls.unhide_template)

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

    sign_in = Ask(calls.sign_in)
    sign_out = Ask(calls.sign_out)
    get_identity = Ask(calls.get_identity)
    get_session = Ask(calls.get_session)
    create_session = Ask(calls.create_session)
    end_session = Ask(calls.end_session)
    switch_account = Ask(calls.switch_account)
    list_memberships = Ask(calls.list_memberships)
    get_sign_in_ways = Ask(calls.get_sign_in_ways)
    list_sessions = Each(calls.list_sessions)
    revoke_session = Ask(calls.revoke_session)
    start_oidc_command = Ask(calls.start_oidc_command)
    finish_oidc_command = Ask(calls.finish_oidc_command)

    list_accounts = Each(calls.list_accounts)
    create_account = Ask(calls.create_account)
    get_account = Ask(calls.get_account)
    suspend_account = Ask(calls.suspend_account)
    resume_account = Ask(calls.resume_account)
    delete_account = Ask(calls.delete_account)
    get_quota = Ask(calls.get_quota)
    edit_quota = Ask(calls.edit_quota)
    get_publishing = Ask(calls.get_publishing)
    allow_publishing = Ask(calls.allow_publishing)
    limit_publishers = Ask(calls.limit_publishers)

    list_members = Each(calls.list_members)
    add_member = Ask(calls.add_member)
    edit_member = Ask(calls.edit_member)
    remove_member = Ask(calls.remove_member)

    list_users = Each(calls.list_users)
    create_user = Ask(calls.create_user)
    delete_user = Ask(calls.delete_user)
    set_password = Ask(calls.set_password)
    link_user = Ask(calls.link_user)
    unlink_user = Ask(calls.unlink_user)

    list_api_keys = Each(calls.list_api_keys)
    create_api_key = Ask(calls.create_api_key)
    revoke_api_key = Ask(calls.revoke_api_key)

    list_audit_entries = Each(calls.list_audit_entries)

    get_version = Ask(calls.get_version)
    get_health = Ask(calls.get_health)
    get_readiness = Ask(calls.get_readiness)
    get_metrics = Ask(calls.get_metrics)


class Client(Routes, transport.Blocking):
    """Estampe's daemon, at its unix socket or at a URL. Context manager; not for several threads.

    `ca` is a PEM file of who signed the certificate at the URL. `key` is an API key, shown instead of the socket's own
    rights; `account` is the one to act for. With neither socket nor URL, what is not given comes from `target.current()`;
    with one of them, from nowhere. `pause_seconds` lie between two tries to reach a daemon that went away.
    """

    def __init__(
        self,
        socket: Path | None = None,
        *,
        url: str | None = None,
        ca: Path | None = None,
        account: str | None = None,
        key: str | None = None,
        request_seconds: float = transport.REQUEST_SECONDS,
        pause_seconds: float = transport.PAUSE_SECONDS,
    ) -> None:
        chosen = _target(socket, url, ca).acting(account=account, key=key)
        super().__init__(_daemon(chosen), request_seconds=request_seconds, pause_seconds=pause_seconds)


class AsyncClient(Routes, transport.Awaiting):
    """The same for asyncio: every method is awaited, or iterated with `async for`."""

    def __init__(
        self,
        socket: Path | None = None,
        *,
        url: str | None = None,
        ca: Path | None = None,
        account: str | None = None,
        key: str | None = None,
        request_seconds: float = transport.REQUEST_SECONDS,
        pause_seconds: float = transport.PAUSE_SECONDS,
    ) -> None:
        chosen = _target(socket, url, ca).acting(account=account, key=key)
        super().__init__(_daemon(chosen), request_seconds=request_seconds, pause_seconds=pause_seconds)


def _target(socket: Path | None, url: str | None, ca: Path | None) -> target.Target:
    if url is not None:
        return target.Target(url=url, ca=ca)
    return target.current() if socket is None else target.Target(socket=socket)


def _daemon(chosen: target.Target) -> exchange.Daemon:
    return exchange.Daemon(
        socket=None if chosen.url is not None else chosen.socket,
        url=chosen.url,
        ca=chosen.ca,
        account=chosen.account,
        key=chosen.key,
    )
