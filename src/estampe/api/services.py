"""What the API asks of the layers below: one protocol per service, wired by `estampe.wiring`.

Every method blocks, is safe from several threads and raises `errors.EstampeError`s only. `owner_id` is the account whose
things are asked for: what belongs to another account is not found. A reference names a thing as people do: a server by
name, id or domain UUID; a template as `web`, `web@3` or by id; an operation by id or the first digits of it.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from estampe.accounts import views as account_views
from estampe.capture import request as capture_request
from estampe.catalogue import views as template_views
from estampe.deploy import request as deploy_request
from estampe.model import access, account, api_key, audit, operation, template
from estampe.servers import views as server_views
from estampe.store import usage as store_usage


class ServerService(Protocol):
    """Servers of the host."""

    def list(self, owner_id: uuid.UUID) -> Sequence[server_views.ServerView]:
        """All of them, by name."""

    def get(self, owner_id: uuid.UUID, reference: str) -> server_views.ServerDetail:
        """One. Raises: errors.ServerNotFound."""

    def start(self, owner_id: uuid.UUID, reference: str) -> server_views.ServerView:
        """Start it; running already is fine. Raises: errors.ServerNotFound, errors.ServerBusy, errors.VolumeLocked."""

    def stop(
        self, owner_id: uuid.UUID, reference: str, *, is_forced: bool, timeout_seconds: float
    ) -> server_views.ServerView:
        """Shut it down cleanly; after `timeout_seconds`, power it off if forced. Shut off already is fine.

        Raises: errors.ServerNotFound, errors.ServerBusy, errors.ShutdownTimeout (not forced; it was left running).
        """

    def delete(self, owner_id: uuid.UUID, reference: str, *, is_volumes_deleted: bool, is_forced: bool) -> None:
        """Forget a shut-off server, with its volumes if asked; a running one is powered off first if forced.

        Raises: errors.ServerNotFound, errors.ServerBusy, errors.ServerStateForbids (running, not forced).
        """

    def assign(self, reference: str, owner_id: uuid.UUID) -> server_views.ServerView:
        """Give any account's server to an account. Raises: errors.ServerNotFound, errors.ServerBusy."""


class CaptureService(Protocol):
    """From a server to a template."""

    def plan(self, owner_id: uuid.UUID, request: capture_request.CaptureRequest) -> capture_request.CapturePlan:
        """What `start` would do. Raises as `start`."""

    def start(self, owner_id: uuid.UUID, request: capture_request.CaptureRequest) -> operation.Operation:
        """Begin. Raises: errors.ServerNotFound, errors.ServerBusy, errors.NotAVirtualServer, and errors of the request."""


class DeployService(Protocol):
    """From a template to servers."""

    def plan(self, owner_id: uuid.UUID, request: deploy_request.DeployRequest) -> deploy_request.DeployPlan:
        """What `start` would do. Raises as `start`."""

    def start(self, owner_id: uuid.UUID, request: deploy_request.DeployRequest) -> operation.Operation:
        """Begin. Raises: errors.TemplateNotFound, errors.NameInUse, errors.NoSpace, and errors of the request."""


class TemplateService(Protocol):
    """The catalogue."""

    def list(
        self, owner_id: uuid.UUID, *, name_glob: str | None, tag: str | None, limit: int, after: uuid.UUID | None
    ) -> Sequence[template.Template]:
        """At most `limit` templates in a fixed order (name, then version descending), those behind the template `after`."""

    def get(self, owner_id: uuid.UUID, reference: str) -> template_views.TemplateDetail:
        """One. Raises: errors.TemplateNotFound."""

    def edit(
        self, owner_id: uuid.UUID, reference: str, *, name: str | None, note: str | None, tags: tuple[str, ...] | None
    ) -> template.Template:
        """Change what is not None. Raises: errors.TemplateNotFound, errors.InvalidName, errors.NameInUse."""

    def delete(self, owner_id: uuid.UUID, reference: str) -> None:
        """Remove it from the catalogue and the store. Raises: errors.TemplateNotFound, errors.TemplateInUse."""


class OperationService(Protocol):
    """Long work."""

    def list(
        self, owner_id: uuid.UUID, *, states: tuple[operation.State, ...], kind: operation.Kind | None, limit: int
    ) -> Sequence[operation.Operation]:
        """The newest first; no states means all states."""

    def get(self, owner_id: uuid.UUID, reference: str) -> operation.Operation:
        """One. Raises: errors.OperationNotFound (also where a prefix fits several)."""

    def wait(
        self, owner_id: uuid.UUID, reference: str, *, timeout_seconds: float, seen: str | None
    ) -> operation.Operation:
        """The operation as soon as its `change_token` is not `seen`, when it has ended, or after `timeout_seconds`.

        Raises: errors.OperationNotFound.
        """

    def cancel(self, owner_id: uuid.UUID, reference: str) -> operation.Operation:
        """Ask it to stop and return at once; a second wish is fine.

        Raises: errors.OperationNotFound, errors.OperationEnded.
        """


class StorageService(Protocol):
    """The store as a whole."""

    def usage(self) -> store_usage.Usage:
        """What the store holds, and for which templates."""

    def check(self, owner_id: uuid.UUID, *, sample: float) -> operation.Operation:
        """Begin to verify the share `sample` (0 < sample <= 1) of the chunks; the result holds the report."""

    def sweep(self, owner_id: uuid.UUID, *, is_dry_run: bool, grace_seconds: float | None) -> operation.Operation:
        """Begin to remove what no template names and is older than the grace (None: the configured one)."""


class Identity(Protocol):
    """Who asks."""

    def identify(self, shown: access.Credentials) -> access.Actor:
        """Who shows these credentials.

        Raises: errors.SignInNeeded, errors.ApiKeyRefused, errors.AccountNotFound (another account's as well).
        """


class AccountService(Protocol):
    """Accounts and their quotas."""

    def create(self, name: str) -> account.Account:
        """A new one. Raises: errors.InvalidName, errors.NameInUse."""

    def list(self) -> Sequence[account.Account]:
        """All, by name."""

    def resolve(self, reference: str) -> account.Account:
        """By name or id. Raises: errors.AccountNotFound."""

    def suspend(self, account_id: uuid.UUID) -> account.Account:
        """Nothing of it can be changed from now on. Raises: errors.AccountNotFound, errors.AccountBuiltIn."""

    def resume(self, account_id: uuid.UUID) -> account.Account:
        """Active again. Raises: errors.AccountNotFound."""

    def delete(self, account_id: uuid.UUID) -> None:
        """Drop it. Raises: errors.AccountNotFound, errors.AccountBuiltIn, errors.AccountInUse."""

    def quota(self, account_id: uuid.UUID) -> account_views.QuotaUse:
        """What it may have, and has. Raises: errors.AccountNotFound."""

    def set_quota(self, account_id: uuid.UUID, changes: dict[str, int | None]) -> account_views.QuotaUse:
        """Change the limits that are named; None lifts one. Raises: errors.AccountNotFound."""


class PeopleService(Protocol):
    """Users and members."""

    def add_user(self, name: str, *, password: str | None, is_cloud_operator: bool) -> account.User:
        """A new user. Raises: errors.InvalidName, errors.NameInUse, errors.InvalidRequest."""

    def list_users(self) -> Sequence[account.User]:
        """All, by name."""

    def remove_user(self, name: str) -> None:
        """Drop a user with memberships and keys. Raises: errors.UserNotFound."""

    def set_password(self, actor: access.Actor, name: str, *, password: str, current: str | None) -> None:
        """Change a password. Raises: errors.UserNotFound, errors.InvalidRequest, errors.SignInRefused, errors.SignInLocked."""

    def knows(self, name: str) -> bool:
        """Whether there is a user of that name."""

    def list_members(self, account_id: uuid.UUID) -> Sequence[account.Member]:
        """The account's, by name."""

    def add_member(self, account_id: uuid.UUID, name: str, role: account.Role) -> account.Member:
        """Raises: errors.UserNotFound, errors.NameInUse."""

    def set_role(self, account_id: uuid.UUID, name: str, role: account.Role) -> account.Member:
        """Raises: errors.MemberNotFound."""

    def remove_member(self, account_id: uuid.UUID, name: str) -> None:
        """Raises: errors.MemberNotFound."""


class KeyService(Protocol):
    """API keys."""

    def create(
        self, actor: access.Actor, *, name: str, role: account.Role | None, expires_at: datetime.datetime | None,
        is_cloud_operator: bool,
    ) -> account_views.NewKey:  # fmt: skip
        """A key that may at most what its maker may. Raises: errors.RoleDenied, errors.CloudOperatorOnly, errors.InvalidRequest."""

    def list(self, actor: access.Actor) -> Sequence[api_key.ApiKey]:
        """Those the actor may see, the newest first."""

    def revoke(self, actor: access.Actor, reference: str) -> api_key.ApiKey:
        """It lets nobody in from now on. Raises: errors.ApiKeyNotFound, errors.AmbiguousId."""

    def sign_out(self, actor: access.Actor) -> None:
        """Revoke the key that was shown. Raises: errors.InvalidRequest."""


class SignInService(Protocol):
    """Signing in with a password."""

    def sign_in(self, *, name: str, password: str, account_name: str | None, address: str) -> account_views.SignedIn:
        """A key for some hours. Raises: errors.SignInRefused, errors.SignInLocked, errors.AccountAmbiguous."""


class AuditService(Protocol):
    """The audit log."""

    def record(
        self, *, actor: str, account: account.Account | None, action: str, subject: str, address: str,
        outcome: audit.Outcome, code: str | None, request_id: str | None,
    ) -> audit.Entry:  # fmt: skip
        """Add an entry; it is durable on return."""

    def list(
        self, *, account_id: uuid.UUID | None, actor: str | None, action: str | None, since: datetime.datetime | None,
        until: datetime.datetime | None, limit: int, after: uuid.UUID | None,
    ) -> Sequence[audit.Entry]:  # fmt: skip
        """A page, the newest first: one account's, or (None) all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything the API is a face of."""

    servers: ServerService
    captures: CaptureService
    deployments: DeployService
    templates: TemplateService
    operations: OperationService
    storage: StorageService
    identity: Identity
    accounts: AccountService
    people: PeopleService
    keys: KeyService
    sign_in: SignInService
    audit: AuditService
