"""What the API asks of the layers below: one protocol per service, wired by `estampe.wiring`.

Every method blocks, is safe from several threads and raises `errors.EstampeError`s only. `owner_id` is the account whose
things are asked for: what belongs to another account is not found. A reference names a thing as people do: a server by
name, id or domain UUID; a template as `web`, `web@3` or by id; an operation by id or the first digits of it.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from estampe.capture import request as capture_request
from estampe.catalogue import contents, profiles
from estampe.catalogue import views as template_views
from estampe.db import idempotency
from estampe.deploy import request as deploy_request
from estampe.model import characteristics, inventory, listing, operation, retention, template
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

    def list(self, owner_id: uuid.UUID, query: listing.TemplateQuery) -> listing.Page[template.Template]:
        """A page. Raises: errors.InvalidRequest where `after` is no cursor of that sort."""

    def get(self, owner_id: uuid.UUID, reference: str) -> template_views.TemplateDetail:
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


class ContentService(Protocol):
    """What is in templates.

    Both raise errors.TemplateNotFound, errors.TemplateStateForbids (captured or purged just now), errors.ManifestCorrupt,
    errors.ChunkMissing, errors.ChunkCorrupt.
    """

    def inventory(self, owner_id: uuid.UUID, reference: str) -> inventory.Inventory:
        """What is installed and set. Raises: errors.InventoryNotFound."""

    def compare(self, owner_id: uuid.UUID, before: str, after: str) -> contents.Comparison:
        """What is different in `after`."""


class LineageService(Protocol):
    """What came of templates."""

    def list_servers(
        self, owner_id: uuid.UUID, reference: str, *, is_every_version: bool
    ) -> Sequence[server_views.ServerView]:
        """The servers from one template, or from all versions of its name. Raises: errors.TemplateNotFound."""


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
    contents: ContentService
    retention: RetentionService
    profiles: ProfileService
