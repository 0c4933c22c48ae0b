"""What the API asks of the layers below: one protocol per service, wired by `estampe.wiring`.

Every method blocks, is safe from several threads and raises `errors.EstampeError`s only. `owner_id` is the account whose
things are asked for: what belongs to another account is not found. A reference names a thing as people do: a server by
name, id or domain UUID; a template as `web`, `web@3` or by id; an operation by id or the first digits of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from estampe.capture import request as capture_request
from estampe.catalogue import views as template_views
from estampe.deploy import request as deploy_request
from estampe.model import operation, template
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
        """Change what is not None.

        Raises: errors.TemplateNotFound, errors.InvalidName, errors.NameInUse, errors.VersionGiven.
        """

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything the API is a face of."""

    servers: ServerService
    captures: CaptureService
    deployments: DeployService
    templates: TemplateService
    operations: OperationService
    storage: StorageService
