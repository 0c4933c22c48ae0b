"""What the API asks of the layers below: one protocol per service, wired by `estampe.wiring`.

Every method blocks, is safe from several threads and raises `errors.EstampeError`s only. `owner_id` is the account whose
things are asked for: what belongs to another account is not found. `account_id` is the account that looks, and it sees what is
shared with it or public as well. A reference names a thing as people do: a server by name, id or domain UUID; a template as
`web`, `web@3`, `acme/web@3` or by id; an operation by id or the first digits of it.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from estampe.accounts import views as account_views
from estampe.capture import request as capture_request
from estampe.catalogue import lineage, profiles
from estampe.catalogue import views as template_views
from estampe.db import idempotency
from estampe.deploy import request as deploy_request
from estampe.model import (
    access,
    account,
    api_key,
    audit,
    characteristics,
    listing,
    oidc,
    operation,
    retention,
    session,
    sight,
    template,
    visibility,
)
from estampe.servers import views as server_views
from estampe.store import usage as store_usage


class ServerService(Protocol):
    """Servers of the host."""

    def list(self, owner_id: uuid.UUID, query: listing.ServerQuery) -> listing.Page[server_views.ServerView]:
        """A page, by name. Raises: errors.InvalidRequest where `after` is no cursor."""

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

    def list(self, account_id: uuid.UUID, query: listing.TemplateQuery) -> listing.Page[sight.Seen]:
        """A page of what the account sees. Raises: errors.InvalidRequest where `after` is no cursor of that sort."""

    def seen(self, account_id: uuid.UUID, template_id: uuid.UUID) -> sight.Seen:
        """As the account sees it. Raises: errors.TemplateNotFound."""

    def get(self, account_id: uuid.UUID, reference: str) -> template_views.TemplateDetail:
        """One. Raises: errors.TemplateNotFound."""

    def edit(
        self,
        owner_id: uuid.UUID,
        reference: str,
        *,
        name: str | None,
        note: str | None,
        tags: tuple[str, ...] | None,
        etags: Collection[str] | None = None,
    ) -> template.Template:
        """Change what is not None, if its ETag is one of `etags` where some are given.

        Raises: errors.TemplateNotFound, errors.InvalidName, errors.NameInUse, errors.VersionGiven,
        errors.TemplateChanged.
        """

    def change_characteristics(
        self,
        owner_id: uuid.UUID,
        reference: str,
        change: characteristics.Change,
        *,
        etags: Collection[str] | None = None,
    ) -> template.Template:
        """Change a part of what it is tuned for, if its ETag is one of `etags` where some are given.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids, errors.TemplateChanged, errors.ProfileNotFound,
        and errors of the request.
        """

    def replace_characteristics(
        self,
        owner_id: uuid.UUID,
        reference: str,
        new: characteristics.Characteristics,
        *,
        etags: Collection[str] | None = None,
    ) -> template.Template:
        """Say anew what it is tuned for; empty says nothing. Raises as `change_characteristics`."""


class LifeService(Protocol):
    """The moves of templates, each only if its ETag is one of `etags` where some are given.

    All raise errors.TemplateNotFound, errors.TemplateChanged, and errors.TemplateStateForbids where there is no such move.
    """

    def deprecate(
        self, owner_id: uuid.UUID, reference: str, *, successor: str | None, etags: Collection[str] | None = None
    ) -> template.Template:
        """It still deploys, with a warning. Raises: errors.InvalidRequest where it would succeed itself."""

    def disable(
        self, owner_id: uuid.UUID, reference: str, *, etags: Collection[str] | None = None
    ) -> template.Template:
        """Nothing is deployed from it any more."""

    def enable(self, owner_id: uuid.UUID, reference: str, *, etags: Collection[str] | None = None) -> template.Template:
        """Neither deprecated nor disabled any more."""

    def protect(
        self, owner_id: uuid.UUID, reference: str, *, is_protected: bool, etags: Collection[str] | None = None
    ) -> template.Template:
        """Keep it from deletion, purge and retention rules, or no longer."""

    def delete(
        self, owner_id: uuid.UUID, reference: str, *, by: str, etags: Collection[str] | None = None
    ) -> template.Template:
        """To the trash; where there is none, it is gone. Raises: errors.TemplateProtected, errors.TemplateInUse."""

    def restore(
        self, owner_id: uuid.UUID, reference: str, *, etags: Collection[str] | None = None
    ) -> template.Template:
        """Out of the trash."""

    def purge(self, owner_id: uuid.UUID, reference: str, *, etags: Collection[str] | None = None) -> None:
        """Out of the trash, for ever. Raises: errors.TemplateProtected, errors.TemplateInUse."""


class LineageService(Protocol):
    """What came of templates."""

    def list_servers(self, actor: access.Actor, reference: str, *, is_every_version: bool) -> lineage.Lineage:
        """The servers from one template, or from all versions of its name. Raises: errors.TemplateNotFound."""


class SharingService(Protocol):
    """Who else may see templates. What an actor gives away is its account's: of others errors.TemplateNotOwned.

    All raise errors.TemplateNotFound, errors.AccountNotFound where they name such.
    """

    def share(
        self, actor: access.Actor, reference: str, receiver: str, terms: visibility.Terms, *,
        expires_at: datetime.datetime | None,
    ) -> visibility.Share:  # fmt: skip
        """Let an account see a template. Raises: errors.TemplateStateForbids, errors.InvalidRequest."""

    def unshare(self, actor: access.Actor, reference: str, receiver: str) -> None:
        """Take it back. Raises: errors.ShareNotFound."""

    def list_shares(self, account_id: uuid.UUID, reference: str) -> Sequence[visibility.Share]:
        """Whom it is shared with, by name."""

    def publish(
        self, actor: access.Actor, reference: str, terms: visibility.Terms, *, is_unsealed_accepted: bool,
        etags: Collection[str] | None = None,
    ) -> sight.Seen:  # fmt: skip
        """Let everybody see it.

        Raises: errors.TemplateStateForbids, errors.TemplateNotSealed, errors.PublishingNotAllowed, errors.CloudOperatorOnly,
        errors.TemplateChanged.
        """

    def unpublish(self, actor: access.Actor, reference: str, *, etags: Collection[str] | None = None) -> sight.Seen:
        """Public no longer. Raises: errors.TemplateChanged."""

    def hide(self, account_id: uuid.UUID, reference: str, *, is_hidden: bool) -> sight.Seen:
        """Leave another's template out of lists, or no longer. Raises: errors.InvalidRequest where it is an own one."""

    def get_publishing(self, account_id: uuid.UUID) -> visibility.Publishing:
        """What an account may publish, and whose templates it takes."""

    def allow_publishing(self, account_id: uuid.UUID, *, may_publish: bool) -> visibility.Publishing:
        """Let an account publish, or no longer."""

    def limit_publishers(
        self, account_id: uuid.UUID, *, is_limited: bool, publishers: Sequence[str] | None
    ) -> visibility.Publishing:
        """Let an account see the templates of those publishers alone, or everybody's."""


class RetentionService(Protocol):
    """Retention rules."""

    def set(self, owner_id: uuid.UUID, pattern: str, *, keep_last: int, keep_days: int | None) -> retention.Rule:
        """Keep a rule, in place of the one for that pattern. Raises: errors.InvalidName, errors.InvalidRequest."""

    def list(self, owner_id: uuid.UUID) -> Sequence[retention.Rule]:
        """All rules, by pattern."""

    def remove(self, owner_id: uuid.UUID, pattern: str) -> None:
        """Forget a rule. Raises: errors.RetentionRuleNotFound."""

    def apply(self, owner_id: uuid.UUID, *, is_dry_run: bool) -> Sequence[retention.Verdict]:
        """A verdict for each template that a rule matches; those that go are deleted, unless it is a dry run."""


class ProfileService(Protocol):
    """Tuned settings that Estampe ships."""

    def list(self) -> Sequence[profiles.Profile]:
        """All, by name."""

    def get(self, name: str) -> profiles.Profile:
        """One. Raises: errors.ProfileNotFound."""


class OperationService(Protocol):
    """Long work."""

    def list(self, owner_id: uuid.UUID, query: listing.OperationQuery) -> listing.Page[operation.Operation]:
        """A page. Raises: errors.InvalidRequest where `after` is no cursor of that sort."""

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

    def space_of(self, owner_id: uuid.UUID, reference: str) -> store_usage.TemplateUsage:
        """What an own template takes. Raises: errors.TemplateNotFound, errors.TemplateStateForbids."""

    def check(self, owner_id: uuid.UUID, *, sample: float) -> operation.Operation:
        """Begin to verify the share `sample` (0 < sample <= 1) of the chunks; the result holds the report."""

    def sweep(self, owner_id: uuid.UUID, *, is_dry_run: bool, grace_seconds: float | None) -> operation.Operation:
        """Begin to remove what no template names and is older than the grace (None: the configured one)."""


class IdempotencyKeys(Protocol):
    """What creates were asked for under which key, and what was answered."""

    def claim(
        self,
        owner_id: uuid.UUID,
        key: str,
        *,
        fingerprint: str,
        operation_id: uuid.UUID,
        at: datetime.datetime,
        lifetime: datetime.timedelta,
    ) -> idempotency.Claim:
        """Take the key, or give what it was taken for; keys older than `lifetime` are forgotten first."""

    def keep(self, owner_id: uuid.UUID, key: str, answer: str) -> None:
        """Record the answer."""

    def release(self, owner_id: uuid.UUID, key: str) -> None:
        """Give an unanswered key back."""


class ReadinessService(Protocol):
    """The parts that the daemon stands on."""

    def check(self) -> Sequence[str]:
        """Their names; all answer, within seconds. Raises: errors.NotReady."""


class Identity(Protocol):
    """Who asks."""

    def identify(self, shown: access.Credentials) -> access.Actor:
        """Who shows these credentials.

        Raises: errors.SignInNeeded, errors.ApiKeyRefused, errors.SessionEnded, errors.AccountNotFound (another account's as
        well).
        """


class AccountService(Protocol):
    """Accounts and their quotas."""

    def create(self, name: str) -> account.Account:
        """A new one. Raises: errors.InvalidName, errors.NameInUse."""

    def list(self, query: listing.AccountQuery) -> listing.Page[account.Account]:
        """A page. Raises: errors.InvalidRequest where `after` is no cursor of that sort."""

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

    def list_users(self, query: listing.UserQuery) -> listing.Page[account.User]:
        """A page. Raises: errors.InvalidRequest where `after` is no cursor of that sort."""

    def remove_user(self, name: str) -> None:
        """Drop a user with memberships and keys. Raises: errors.UserNotFound."""

    def set_password(self, actor: access.Actor, name: str, *, password: str, current: str | None) -> None:
        """Change a password. Raises: errors.UserNotFound, errors.InvalidRequest, errors.SignInRefused, errors.SignInLocked."""

    def knows(self, name: str) -> bool:
        """Whether there is a user of that name."""

    def list_members(self, account_id: uuid.UUID, query: listing.MemberQuery) -> listing.Page[account.Member]:
        """A page of the account's. Raises: errors.InvalidRequest where `after` is no cursor of that sort."""

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

    def list(self, actor: access.Actor, query: listing.ApiKeyQuery) -> listing.Page[api_key.ApiKey]:
        """A page of those the actor may see. Raises: errors.InvalidRequest where `after` is no cursor of that sort."""

    def revoke(self, actor: access.Actor, reference: str) -> api_key.ApiKey:
        """It lets nobody in from now on. Raises: errors.ApiKeyNotFound, errors.AmbiguousId."""

    def sign_out(self, actor: access.Actor) -> None:
        """Revoke the key that was shown. Raises: errors.InvalidRequest."""


class SignInService(Protocol):
    """Signing in with a password."""

    def sign_in(self, *, name: str, password: str, account_name: str | None, address: str) -> account_views.SignedIn:
        """A key for some hours. Raises: errors.SignInRefused, errors.SignInLocked, errors.AccountAmbiguous."""

    def open_session(
        self, *, name: str, password: str, account_name: str | None, browser: session.Browser
    ) -> account_views.OpenedSession:
        """A browser's session. Raises as `sign_in`."""


class SessionService(Protocol):
    """Sessions of browsers."""

    def list(self, actor: access.Actor, query: listing.SessionQuery) -> listing.Page[session.Session]:
        """A page of those the actor may see. Raises: errors.InvalidRequest."""

    def get_current(self, actor: access.Actor) -> session.Session | None:
        """The one that was shown; None: the actor is known another way."""

    def revoke(self, actor: access.Actor, reference: str) -> session.Session:
        """It lets nobody in from now on. Raises: errors.SessionNotFound, errors.AmbiguousId."""

    def sign_out(self, actor: access.Actor) -> None:
        """End the one that was shown. Raises: errors.InvalidRequest."""


class AdmissionService(Protocol):
    """Which accounts a person who is signed in may act for."""

    def switch(
        self, actor: access.Actor, account_name: str, *, browser: session.Browser
    ) -> account_views.OpenedSession:
        """Another session in place of the one that is shown. Raises: errors.InvalidRequest, errors.AccountNotFound."""

    def list_memberships(self, actor: access.Actor) -> Sequence[account_views.Membership]:
        """The person's accounts, by name."""


class OidcService(Protocol):
    """Signing in at an OpenID provider."""

    def takes_browsers(self) -> bool:
        """Whether browsers can sign in that way."""

    def depart(self, *, next: str, account_name: str | None, address: str) -> account_views.Departure:
        """Begin for a browser. Raises: errors.OidcNotConfigured, errors.InvalidRequest, errors.SignInLocked, errors.OidcUnavailable."""

    def depart_command(
        self, *, port: int, binding: str, account_name: str | None, address: str
    ) -> account_views.Departure:
        """Begin for a command. Raises: errors.OidcNotConfigured, errors.SignInLocked, errors.OidcUnavailable."""

    def arrive(self, answer: oidc.Answer, *, browser: session.Browser) -> account_views.Arrival:
        """End for a browser.

        Raises: errors.OidcAnswerRefused, errors.OidcPersonUnknown, errors.SignInRefused, errors.AccountAmbiguous,
        errors.SignInLocked, errors.OidcNotConfigured, errors.OidcUnavailable.
        """

    def redeem(self, answer: oidc.Answer, *, address: str) -> account_views.SignedIn:
        """End for a command. Raises as `arrive`."""

    def link(self, name: str, subject: str) -> None:
        """Let a provider's person in as the user. Raises: errors.OidcNotConfigured, errors.UserNotFound, errors.NameInUse."""

    def unlink(self, name: str) -> None:
        """Nobody at the provider is the user any more. Raises: errors.UserNotFound."""


class AuditService(Protocol):
    """The audit log."""

    def record(
        self, *, actor: str, account: account.Account | None, action: str, subject: str, address: str,
        outcome: audit.Outcome, code: str | None, request_id: str | None,
    ) -> audit.Entry:  # fmt: skip
        """Add an entry; it is durable on return."""

    def list(self, query: listing.AuditQuery) -> listing.Page[audit.Entry]:
        """A page, of one account or of all. Raises: errors.InvalidRequest where `after` is no cursor of that sort."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything the API is a face of."""

    servers: ServerService
    captures: CaptureService
    deployments: DeployService
    templates: TemplateService
    operations: OperationService
    storage: StorageService
    idempotency: IdempotencyKeys
    readiness: ReadinessService
    life: LifeService
    lineage: LineageService
    sharing: SharingService
    retention: RetentionService
    profiles: ProfileService
    identity: Identity
    accounts: AccountService
    people: PeopleService
    keys: KeyService
    sign_in: SignInService
    sessions: SessionService
    admission: AdmissionService
    oidc: OidcService
    audit: AuditService
