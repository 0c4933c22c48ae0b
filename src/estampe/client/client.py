"""The typed client: a method per route, schemas in and out, errors as `estampe.errors`."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import pydantic

from estampe import errors
from estampe.client import target, transport
from estampe.model import operation as operations
from estampe.schemas import account, api_key, audit, capture, deploy, operation, server, store, system, template, wire

_PLAN_SECONDS: Final = 300.0  # a plan reads the extents of every volume; usage every manifest
_START_SECONDS: Final = 120.0  # of a server, by libvirt on a busy host
_MARGIN_SECONDS: Final = 15.0  # between the end of a wait in the daemon and our giving up on it
_PAGE: Final = 200
_Request = TypeVar("_Request", bound=wire.Request)


def socket_path() -> Path:
    """Where the daemon listens: $ESTAMPE_SOCKET, else as the chosen context has it, else the usual place."""
    return target.current().socket


def make(kind: type[_Request], **fields: Any) -> _Request:
    """A request of that kind, by the rules that the daemon has too. Raises: errors.InvalidRequest."""
    try:
        return kind(**fields)
    except pydantic.ValidationError as error:
        raise wire.invalid_request([dict(problem) for problem in error.errors()]) from error


class Client:
    """Estampe's daemon. Context manager; not for several threads.

    Every method raises errors.DaemonUnavailable, errors.SocketDenied and what its route answers.
    """

    def __init__(
        self,
        socket: Path | None = None,
        *,
        account: str | None = None,
        key: str | None = None,
        request_seconds: float = transport.REQUEST_SECONDS,
    ) -> None:
        """Without a socket, what is not given comes from `target.current()`; with one, from nowhere.

        `key` is an API key, shown instead of the socket's own rights; `account` the one to act for.
        """
        chosen = target.current() if socket is None else target.Target(socket=socket)
        headers = {"Estampe-Account": account or chosen.account, "Authorization": _bearer(key or chosen.key)}
        self._daemon = transport.Transport(
            chosen.socket,
            request_seconds=request_seconds,
            headers={name: value for name, value in headers.items() if value is not None},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._daemon.__exit__(*exc)

    # --- servers

    def list_servers(self) -> list[server.Server]:
        """All servers, by name."""
        return self._daemon.ask(server.ServerList, "GET", "/servers").servers

    def get_server(self, reference: str) -> server.ServerDetail:
        """One server."""
        return self._daemon.ask(server.ServerDetail, "GET", _server(reference))

    def start_server(self, reference: str) -> server.Server:
        """Start it; returns when it has started."""
        return self._daemon.ask(server.Server, "POST", f"{_server(reference)}/start", timeout_seconds=_START_SECONDS)

    def stop_server(self, reference: str, request: server.StopRequest) -> server.Server:
        """Shut it down; returns when it is off."""
        return self._daemon.ask(
            server.Server,
            "POST",
            f"{_server(reference)}/stop",
            body=request,
            timeout_seconds=request.timeout_seconds + _START_SECONDS,
        )

    def delete_server(self, reference: str, *, is_volumes_deleted: bool, is_forced: bool) -> None:
        """Remove it."""
        query = {"is_volumes_deleted": is_volumes_deleted, "is_forced": is_forced}
        self._daemon.send("DELETE", _server(reference), query=query, timeout_seconds=_START_SECONDS)

    def assign_server(self, reference: str, request: server.AssignRequest) -> server.Server:
        """Give it to an account."""
        return self._daemon.ask(server.Server, "POST", f"{_server(reference)}/assign", body=request)

    # --- captures and deployments

    def plan_capture(self, request: capture.CaptureRequest) -> capture.CapturePlan:
        """What the capture would do."""
        return self._daemon.ask(
            capture.CapturePlan, "POST", "/captures/plan", body=request, timeout_seconds=_PLAN_SECONDS
        )

    def start_capture(self, request: capture.CaptureRequest) -> operation.Operation:
        """Begin a capture."""
        return self._daemon.ask(operation.Operation, "POST", "/captures", body=request, timeout_seconds=_PLAN_SECONDS)

    def plan_deployment(self, request: deploy.DeployRequest) -> deploy.DeployPlan:
        """What the deployment would do."""
        return self._daemon.ask(
            deploy.DeployPlan, "POST", "/deployments/plan", body=request, timeout_seconds=_PLAN_SECONDS
        )

    def start_deployment(self, request: deploy.DeployRequest) -> operation.Operation:
        """Begin a deployment."""
        return self._daemon.ask(
            operation.Operation, "POST", "/deployments", body=request, timeout_seconds=_PLAN_SECONDS
        )

    # --- templates

    def list_templates(self, *, name: str | None = None, tag: str | None = None) -> Iterator[template.Template]:
        """All templates that fit, page by page."""
        after: uuid.UUID | None = None
        while True:
            query = {"name": name, "tag": tag, "limit": _PAGE, "after": str(after) if after else None}
            page = self._daemon.ask(template.TemplateList, "GET", "/templates", query=query)
            yield from page.templates
            after = page.next
            if after is None:
                return

    def get_template(self, reference: str) -> template.TemplateDetail:
        """One template."""
        return self._daemon.ask(template.TemplateDetail, "GET", _template(reference), timeout_seconds=_PLAN_SECONDS)

    def edit_template(self, reference: str, request: template.EditRequest) -> template.Template:
        """Change it."""
        return self._daemon.ask(template.Template, "PATCH", _template(reference), body=request)

    def delete_template(self, reference: str) -> None:
        """Remove it."""
        self._daemon.send("DELETE", _template(reference), timeout_seconds=_START_SECONDS)

    # --- operations

    def list_operations(
        self, *, states: Sequence[operations.State] = (), kind: operations.Kind | None = None, limit: int = 100
    ) -> list[operation.Operation]:
        """Operations, the newest first."""
        query = {"state": [state.value for state in states], "kind": kind.value if kind else None, "limit": limit}
        return self._daemon.ask(operation.OperationList, "GET", "/operations", query=query).operations

    def get_operation(self, reference: str) -> operation.Operation:
        """One operation as it stands."""
        return self._daemon.ask(operation.Operation, "GET", _operation(reference))

    def wait_operation(self, reference: str, *, seen: str | None, wait_seconds: float) -> operation.Operation:
        """One operation when it differs from `seen` (a change token), has ended, or those seconds have passed."""
        return self._daemon.ask(
            operation.Operation,
            "GET",
            _operation(reference),
            query={"wait": wait_seconds, "seen": seen},
            timeout_seconds=wait_seconds + _MARGIN_SECONDS,
        )

    def cancel_operation(self, reference: str) -> operation.Operation:
        """Ask it to stop."""
        return self._daemon.ask(operation.Operation, "POST", f"{_operation(reference)}/cancel")

    # --- store

    def get_usage(self) -> store.Usage:
        """What the store holds."""
        return self._daemon.ask(store.Usage, "GET", "/store/usage", timeout_seconds=_PLAN_SECONDS)

    def start_check(self, request: store.CheckRequest) -> operation.Operation:
        """Begin to verify the store."""
        return self._daemon.ask(operation.Operation, "POST", "/store/check", body=request)

    def start_sweep(self, request: store.SweepRequest) -> operation.Operation:
        """Begin to sweep the store."""
        return self._daemon.ask(operation.Operation, "POST", "/store/sweep", body=request)

    # --- who one is

    def sign_in(self, request: api_key.SignInRequest) -> api_key.SignedIn:
        """A key for a name and a password."""
        return self._daemon.ask(api_key.SignedIn, "POST", "/login", body=request)

    def sign_out(self) -> None:
        """Revoke the key that this client shows."""
        self._daemon.send("POST", "/logout")

    def get_identity(self) -> api_key.Identity:
        """Who this client is taken for."""
        return self._daemon.ask(api_key.Identity, "GET", "/identity")

    # --- accounts and people

    def list_accounts(self) -> list[account.Account]:
        """Those that may be seen, by name."""
        return self._daemon.ask(account.AccountList, "GET", "/accounts").accounts

    def create_account(self, request: account.CreateAccountRequest) -> account.Account:
        """Make one."""
        return self._daemon.ask(account.Account, "POST", "/accounts", body=request)

    def get_account(self, reference: str) -> account.Account:
        """One account."""
        return self._daemon.ask(account.Account, "GET", _account(reference))

    def suspend_account(self, reference: str) -> account.Account:
        """Let nothing of it be changed."""
        return self._daemon.ask(account.Account, "POST", f"{_account(reference)}/suspend")

    def resume_account(self, reference: str) -> account.Account:
        """Active again."""
        return self._daemon.ask(account.Account, "POST", f"{_account(reference)}/resume")

    def delete_account(self, reference: str) -> None:
        """Remove it."""
        self._daemon.send("DELETE", _account(reference))

    def get_quota(self, reference: str) -> account.Quota:
        """What it may have, and has."""
        return self._daemon.ask(account.Quota, "GET", f"{_account(reference)}/quota", timeout_seconds=_PLAN_SECONDS)

    def edit_quota(self, reference: str, request: account.QuotaRequest) -> account.Quota:
        """Change limits; only what the request names is sent, since null lifts a limit."""
        path = f"{_account(reference)}/quota"
        return self._daemon.ask(account.Quota, "PATCH", path, body=request, timeout_seconds=_PLAN_SECONDS)

    def list_members(self, reference: str) -> list[account.Member]:
        """The account's, by name."""
        return self._daemon.ask(account.MemberList, "GET", f"{_account(reference)}/members").members

    def add_member(self, reference: str, request: account.AddMemberRequest) -> account.Member:
        """Let a user act for the account."""
        return self._daemon.ask(account.Member, "POST", f"{_account(reference)}/members", body=request)

    def edit_member(self, reference: str, user: str, request: account.EditMemberRequest) -> account.Member:
        """Give a member another role."""
        return self._daemon.ask(account.Member, "PATCH", _member(reference, user), body=request)

    def remove_member(self, reference: str, user: str) -> None:
        """Let a user act for the account no more."""
        self._daemon.send("DELETE", _member(reference, user))

    def list_users(self) -> list[account.User]:
        """All users, by name."""
        return self._daemon.ask(account.UserList, "GET", "/users").users

    def create_user(self, request: account.CreateUserRequest) -> account.User:
        """Make one."""
        return self._daemon.ask(account.User, "POST", "/users", body=request)

    def delete_user(self, name: str) -> None:
        """Remove one, with memberships and keys."""
        self._daemon.send("DELETE", _user(name))

    def set_password(self, name: str, request: account.PasswordRequest) -> None:
        """Change one's own password, or as the cloud operator anybody's."""
        self._daemon.send("PUT", f"{_user(name)}/password", body=request)

    # --- API keys and the audit log

    def list_api_keys(self) -> list[api_key.ApiKey]:
        """Those that may be seen, the newest first."""
        return self._daemon.ask(api_key.ApiKeyList, "GET", "/api-keys").api_keys

    def create_api_key(self, request: api_key.CreateApiKeyRequest) -> api_key.NewApiKey:
        """Make one; the answer is the only place where the key itself stands."""
        return self._daemon.ask(api_key.NewApiKey, "POST", "/api-keys", body=request)

    def revoke_api_key(self, reference: str) -> api_key.ApiKey:
        """Let it let nobody in any more."""
        path = f"/api-keys/{transport.segment(reference, errors.ApiKeyNotFound(key=reference))}"
        return self._daemon.ask(api_key.ApiKey, "DELETE", path)

    def list_audit_entries(
        self, *, account: str | None = None, actor: str | None = None, action: str | None = None,
        since: datetime.datetime | None = None, until: datetime.datetime | None = None,
    ) -> Iterator[audit.AuditEntry]:  # fmt: skip
        """All entries that fit, the newest first, page by page."""
        query = {
            "account": account, "actor": actor, "action": action, "since": since and since.isoformat(),
            "until": until and until.isoformat(), "limit": _PAGE, "after": None,
        }  # fmt: skip
        while True:
            page = self._daemon.ask(audit.AuditList, "GET", "/audit", query=query)
            yield from page.entries
            if page.next is None:
                return
            query["after"] = str(page.next)

    # --- the daemon itself

    def get_version(self) -> system.Version:
        """Which Estampe answers."""
        return self._daemon.ask(system.Version, "GET", "/version")

    def get_health(self) -> system.Health:
        """Whether it answers."""
        return self._daemon.ask(system.Health, "GET", "/health")


def _server(reference: str) -> str:
    return f"/servers/{transport.segment(reference, errors.ServerNotFound(server=reference))}"


def _template(reference: str) -> str:
    return f"/templates/{transport.segment(reference, errors.TemplateNotFound(template=reference))}"


def _operation(reference: str) -> str:
    return f"/operations/{transport.segment(reference, errors.OperationNotFound(operation=reference))}"


def _account(reference: str) -> str:
    return f"/accounts/{transport.segment(reference, errors.AccountNotFound(account=reference))}"


def _member(reference: str, user: str) -> str:
    missing = errors.MemberNotFound(account=reference, user=user)
    return f"{_account(reference)}/members/{transport.segment(user, missing)}"


def _user(name: str) -> str:
    return f"/users/{transport.segment(name, errors.UserNotFound(user=name))}"


def _bearer(key: str | None) -> str | None:
    """Raises: errors.ApiKeyRefused where no header can hold it."""
    if key is None:
        return None
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise errors.ApiKeyRefused
    return f"Bearer {key}"
